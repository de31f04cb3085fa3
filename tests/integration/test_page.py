"""The live page in a real browser: what it shows is what the API says, soon, to everybody, and for long."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator

import pytest
from selenium.webdriver.common.keys import Keys

from flow.instants import HOUR
from tests.integration.accessibility import problems_of
from tests.integration.gauges import Gauge
from tests.integration.live_page import HOSTILE, OTHERS, STATUSES, Poster, installation, now, process_of
from tests.servers.chromium import Browser, running_chromium

pytestmark = [pytest.mark.needs_server("valkey"), pytest.mark.needs_server("chromium"), pytest.mark.timeout(300)]

TOKEN = "a token for tests"


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Gauge, Poster]]:
    hashed = hashlib.sha256(TOKEN.encode()).hexdigest()
    with installation(STREAMGAUGE_API__TOKENS=f"test:{hashed}", token=TOKEN) as found:
        yield found


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with running_chromium() as found:
        yield found


@pytest.fixture
def browser(window: Browser, place) -> Iterator[Browser]:
    """A desktop window in light colours that shows the checkout stream over 30 days."""
    window.resize(1440, 900)
    window.prefer("light")
    show(window, place[0].url)
    yield window
    assert [entry for entry in window.said() if "favicon" not in entry] == []


@pytest.fixture
def poster(place) -> Poster:
    return place[1]


def show(browser: Browser, url: str, query: str = "?stream=checkout&window=30d") -> None:
    look(browser, f"{url}/{query}")
    browser.until(lambda: browser.text("#title") == "checkout" and browser.texts(".stage .wip"))
    browser.until(lambda: browser.texts("#items tbody tr") and browser.shows("#cycle-times .dot"))


def look(browser: Browser, url: str) -> None:
    """Open it with the token that this tab was given."""
    if not browser.driver.current_url.startswith(url.rpartition("/")[0]):
        browser.open(url.rpartition("/")[0] + "/page/mark.svg")
    browser.run("sessionStorage.setItem('streamgauge.token', arguments[0])", TOKEN)
    browser.open(url)


def stage(browser: Browser, name: str) -> dict[str, str]:
    """A stage's card: its label and value pairs, `wip`, `limit`."""
    return browser.run(
        """
        const cards = [...document.querySelectorAll('.stage')];
        const card = cards.find((one) => one.querySelector('h3').innerText === arguments[0]);
        const rows = [...card.querySelectorAll('dl > div')].map((row) => [...row.children].map((one) => one.innerText));
        return {
          ...Object.fromEntries(rows),
          wip: card.querySelector('.wip').innerText, limit: card.querySelector('.limit').innerText,
        };
        """,
        name,
    )


def figures(browser: Browser) -> dict[str, str]:
    return dict(
        zip(browser.texts("#summary dt"), browser.texts("#summary .value"), strict=True),
    )


# --- what it shows ---------------------------------------------------------------------------------------------------


def test_every_count_is_the_one_that_the_api_answers(browser, poster):
    said = poster.get("/v1/streams/checkout", window="30d")
    assert said["throughput"] > 10
    for entry in said["stages"]:
        card = stage(browser, entry["stage"])
        if entry["kind"] == "done":
            assert card["Arrivals"] == str(entry["arrivals"])
            continue
        assert card["wip"] == str(entry["wip"])
        assert card["In → out"] == f"{entry['arrivals']} → {entry['departures']}"
        assert card["%C&A"] == f"{round(entry['percent_complete_accurate'] * 100)}%"
        assert seconds(card["Time, 85%"]) == pytest.approx(entry["time"]["p85"], rel=0.04)
        assert entry["wip_limit"] is None or str(entry["wip_limit"]) in card["limit"]
    shown = figures(browser)
    assert shown["In progress"] == str(said["wip"])
    assert shown["Finished"] == str(said["throughput"])
    assert shown["Value delivered"] == str(said["value_delivered"])
    assert shown["Flow efficiency"] == f"{round(said['flow_efficiency'] * 100)}%"
    assert seconds(shown["Cycle time, 85%"]) == pytest.approx(said["cycle_time"]["p85"], rel=0.04)


def seconds(text: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    return sum(float(part[:-1]) * units[part[-1]] for part in text.split())


def test_every_chart_has_the_same_numbers_as_a_table(browser, poster):
    flow = poster.get("/v1/streams/checkout/cumulative-flow", window="30d")
    for summary in browser.driver.find_elements("css selector", ".panel details summary"):
        browser.run("arguments[0].click()", summary)
    browser.until(lambda: browser.texts("#cumulative-flow tbody tr"))
    names, last = browser.run(
        "return ['thead th.number', 'tbody tr:last-child td'].map((cells) => "
        "[...document.querySelectorAll(`#cumulative-flow ${cells}`)].map((one) => one.innerText))"
    )
    counts = flow["points"][-1]["stages"]
    expected = {name: str(counts[name]["wip"]) for name in ("backlog", "develop", "review", "release")}
    if "done is left out" not in browser.texts("#cumulative-flow .note")[0]:  # as it is where little is in progress
        expected["done"] = str(counts["done"]["arrivals"] - counts["done"]["departures"])
    assert dict(zip(names, last, strict=True)) == expected
    said = poster.get("/v1/streams/checkout", window="30d")
    browser.until(lambda: len(browser.texts("#cycle-times tbody tr")) == said["throughput"])
    browser.until(lambda: len(browser.driver.find_elements("css selector", "#cycle-times .dot")) == said["throughput"])
    browser.until(lambda: browser.texts("#ageing tbody th") == ["develop", "review", "release"])


def test_deliveries_are_shown_lane_by_lane(browser, poster):
    [lane] = poster.get("/v1/deliveries", window="30d")["lanes"]
    browser.until(lambda: browser.texts("#deliveries tbody tr"))
    cells = browser.run("return [...document.querySelectorAll('#deliveries tbody tr > *')].map((one) => one.innerText)")
    assert cells[:4] == ["shop", "production", str(lane["deployments"]), f"{lane['deployment_frequency']:.1g}"]


def test_the_forecast_is_the_one_that_the_api_answers_to_the_same_question(browser, poster):
    browser.until(lambda: browser.texts("#forecast tbody tr"))
    said = poster.get("/v1/streams/checkout/forecast", trials=2000)
    [done_by, how_many] = rows(browser, "#forecast")
    assert done_by[0] == f"All {said['when']['items']} in progress, done by"
    assert [int(text) for text in how_many[1:]] == [said["how_many"][name] for name in ("p50", "p85", "p95")]
    assert str(said["history"]["items"]) in browser.text("#forecast .note:last-child")
    browser.driver.find_element("id", "forecast-items").send_keys("20", Keys.TAB)
    browser.until(lambda: rows(browser, "#forecast")[0][0] == "20 items, done by")
    said = poster.get("/v1/streams/checkout/forecast", trials=2000, items=20)["when"]
    shown = [int(text.split()[0]) for text in rows(browser, "#forecast")[0][1:]]
    assert shown == [int(said[name]["date"][-2:]) for name in ("p50", "p85", "p95")]
    browser.run("arguments[0].value = '-5'", browser.driver.find_element("id", "forecast-items"))
    browser.run("document.getElementById('forecast-items').dispatchEvent(new Event('change', { bubbles: true }))")
    browser.until(lambda: "can't be foreseen" in browser.text("#forecast .notice"))


def test_a_forecast_is_never_shown_under_the_name_of_another_stream(browser):
    browser.until(lambda: browser.shows("#forecast table"))
    browser.run(
        """
        const picker = document.getElementById('stream');
        picker.value = 'team-001';
        picker.dispatchEvent(new Event('change', { bubbles: true }));
        """
    )
    browser.until(lambda: browser.text("#title") == "team-001" or browser.shows("#empty"))
    browser.until(lambda: "nothing was finished" in browser.text("#forecast .warnings").lower())
    assert not browser.shows("#forecast table")


def rows(browser: Browser, panel: str) -> list[list[str]]:
    """The cells of the table in a panel, row by row."""
    found: list[list[str]] = browser.run(
        """
        const rows = [...document.querySelectorAll(`${arguments[0]} tbody tr`)];
        return rows.map((row) => [...row.cells].map((cell) => cell.innerText));
        """,
        panel,
    )
    return found


def test_measures_and_value_are_those_of_the_api(browser, poster):
    browser.until(lambda: len(rows(browser, "#measures")) > 10)
    said = poster.get("/v1/streams/checkout/measures", window="30d")
    shown = {cells[0].split("\n")[0]: cells[1:] for cells in rows(browser, "#measures")}
    assert shown["Flow load"][0] == str(said["load"])
    assert shown["Flow velocity"][0] == f"{round(said['velocity']['per_week'], 1):g} a week"
    assert shown["Flow predictability"][0] == "not planned"
    assert shown["Flow efficiency"][1] == f"40%: {'met' if said['targets']['flow_efficiency']['met'] else 'missed'}"
    assert shown["Flow time, 85%"][1].startswith("10d: ")
    browser.run("document.querySelector('#value details').open = true")
    browser.until(lambda: rows(browser, "#value"))
    steps = [(int(items), float(value)) for _, items, value in rows(browser, "#value")]
    assert sum(items for items, _ in steps) == said["velocity"]["items"]
    assert sum(value for _, value in steps) == said["value"]["delivered"]


def test_a_queue_is_shown_in_wsjf_order(browser, poster):
    known = {"value": 8, "criticality": 1, "risk_reduction": 1}
    sizes = {"NEXT-1": 5, "NEXT-2": 1, "NEXT-3": 2}
    poster.post(*(poster.fact(item=item, status="To Do", size=size, **known) for item, size in sizes.items()))
    poster.post(poster.fact(item="NEXT-4", status="To Do", **known))
    browser.until(lambda: len(rows(browser, "#queues")) == 4)
    said = poster.get("/v1/streams/checkout/stages/backlog/wsjf")["items"]
    shown = rows(browser, "#queues")
    assert [cells[0].split()[0] for cells in shown] == [entry["item"] for entry in said]
    assert [cells[1] for cells in shown] == ["10", "5", "2", "no size"]
    browser.driver.find_element("css selector", "#queues tbody button").click()
    browser.until(lambda: browser.text("#item-title") == "NEXT-2")
    browser.press(Keys.ESCAPE)
    poster.post(*(poster.fact(item=f"NEXT-{number}", deleted=True) for number in range(1, 5)))
    browser.until(lambda: not browser.shows("#queues tbody tr"))


def test_a_finished_item_is_opened_without_a_pointer(browser):
    browser.run("document.querySelector('#cycle-times details').open = true")
    browser.until(lambda: rows(browser, "#cycle-times"))
    browser.run("document.querySelector('#cycle-times tbody button').focus()")
    first = browser.run("return document.activeElement.innerText")
    browser.press(Keys.ENTER)
    browser.until(lambda: browser.text("#item-title") == first)
    browser.press(Keys.ESCAPE)


def test_the_table_behind_a_chart_keeps_its_rows_while_their_figures_change(browser, poster):
    browser.run("document.querySelector('#cycle-times details').open = true")
    browser.until(lambda: rows(browser, "#cycle-times"))
    browser.run("document.querySelector('#cycle-times tbody button').focus()")
    first = browser.run("return document.activeElement.innerText")
    at = now()
    steps = enumerate(reversed(STATUSES))
    poster.post(*(poster.fact(at - step * HOUR, item="LATEST-1", status=status) for step, status in steps))
    browser.until(lambda: rows(browser, "#cycle-times")[0][0] == "LATEST-1")
    assert browser.run("return document.activeElement.innerText") == first
    browser.press(Keys.ENTER)
    browser.until(lambda: browser.text("#item-title") == first)
    browser.press(Keys.ESCAPE)


def test_what_a_tracker_sends_is_text_and_never_markup(browser):
    assert any(HOSTILE in text for text in browser.texts("#items tbody tr") + shown_titles(browser))
    assert "owned" not in browser.driver.title
    assert browser.run("return document.querySelectorAll('#figures img, dialog img').length") == 0


def shown_titles(browser: Browser) -> list[str]:
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    browser.until(lambda: browser.texts("#cycle-times tbody tr"))
    return browser.texts("#cycle-times tbody tr")


def test_it_asks_no_other_host(browser, place):
    asked = browser.requests()
    assert len(asked) > 20
    assert [url for url in asked if not url.startswith((place[0].url, "about:", "data:"))] == []


# --- how soon and how long -------------------------------------------------------------------------------------------


def test_a_fact_is_shown_within_a_second(browser, poster):
    taken = []
    for number in range(8):
        before = int(figures(browser)["In progress"])
        began = time.monotonic()
        poster.post(poster.fact(item=f"SOON-{number}", status="In Progress"))
        browser.until(lambda before=before: int(figures(browser)["In progress"]) == before + 1)
        taken.append(time.monotonic() - began)
    print("fact to page, seconds:", [round(each, 2) for each in sorted(taken)])
    assert sorted(taken)[3] < 1.0
    poster.post(*(poster.fact(item=f"SOON-{number}", deleted=True) for number in range(8)))
    browser.until(lambda: int(figures(browser)["In progress"]) == before - 7)


def test_the_first_paint_takes_less_than_half_a_second(browser, place):
    paints = []
    for _ in range(5):
        show(browser, place[0].url)
        paints += browser.until(
            lambda: browser.run(
                "return performance.getEntriesByName('first-contentful-paint').map((one) => one.startTime)"
            )
        )
    print("first contentful paint, ms:", [round(each) for each in sorted(paints)])
    assert min(paints) < 500  # what else this machine does only adds to it


def test_memory_stays_flat_in_a_storm_of_facts(browser, poster):
    items = [f"STORM-{number}" for number in range(30)]
    poster.post(*(poster.fact(item=item, status="In Progress") for item in items))
    browser.until(lambda: any("STORM-7" in text for text in browser.texts("#items tbody tr")))
    storm(browser, poster, items)
    before, *after = [storm(browser, poster, items) for _ in range(3)]
    print("storm: (heap bytes, nodes, listeners) after each round:", before, *after)
    heap, nodes, listeners = after[-1]
    assert heap - before[0] < 200_000
    assert nodes - before[1] < 25
    assert listeners - before[2] < 20
    poster.post(*(poster.fact(item=item, deleted=True) for item in items))
    browser.until(lambda: not any("STORM" in text for text in browser.texts("#items tbody tr")))


def storm(browser: Browser, poster: Poster, items: list[str], seconds: float = 4.0) -> tuple[int, int, int]:
    """Sixty facts a second, half of them in the stream that is shown, the others all over; then what the page holds."""
    end = time.monotonic() + seconds
    number = 0
    while (began := time.monotonic()) < end:
        status = ("In Review", "In Progress")[number // 30 % 2]
        poster.post(*(poster.fact(item=items[(number + k) % 30], status=status) for k in range(3)))
        others = [f"T{(number * 7 + k) % OTHERS}" for k in range(3)]
        poster.post(*(poster.fact(project=project, item=f"{project}-1", status=status) for project in others))
        number += 3
        time.sleep(max(0.0, 0.1 - (time.monotonic() - began)))
    return min(browser.held() for _ in range(8))  # a frame that is being drawn holds the one before


# --- choosing --------------------------------------------------------------------------------------------------------


def test_another_window_is_another_question(browser, poster):
    browser.click("#windows label:first-child")
    browser.until(lambda: "window=1d" in browser.driver.current_url)
    said = poster.get("/v1/streams/checkout", window="1d")
    browser.until(lambda: figures(browser)["Finished"] == str(said["throughput"]))
    browser.driver.back()
    browser.until(lambda: "window=30d" in browser.driver.current_url)
    whole = poster.get("/v1/streams/checkout", window="30d")
    browser.until(lambda: figures(browser)["Finished"] == str(whole["throughput"]))


def test_an_item_is_opened_and_left_with_the_keyboard_alone(browser, poster):
    first = browser.run("return document.querySelector('#items tbody button').innerText")
    browser.run("document.querySelector('#items .list').focus()")
    browser.press(Keys.TAB, Keys.ENTER)
    browser.until(lambda: browser.texts("dialog table tbody tr"))
    assert browser.text("#item-title") == first
    assert f"item={first}" in browser.driver.current_url
    story = poster.get(f"/v1/streams/checkout/items/{first}")
    rows = browser.run("return [...document.querySelectorAll('dialog table')].map((one) => one.tBodies[0].rows.length)")
    assert rows == [len(story["visits"]), len(story["facts"])]
    assert browser.run("return document.querySelector('dialog').contains(document.activeElement)")
    browser.press(Keys.ESCAPE)
    browser.until(lambda: not browser.shows("dialog"))
    browser.until(lambda: "item=" not in browser.driver.current_url)
    browser.until(lambda: browser.run("return document.activeElement.innerText") == first)


def test_a_link_to_an_item_opens_it(browser, place):
    show(browser, place[0].url, "?stream=checkout&window=30d&item=CHK-3")
    browser.until(lambda: browser.texts("dialog table tbody tr"))
    assert browser.text("#item-title") == "CHK-3"
    bars = browser.run(
        "return [...document.querySelectorAll('dialog .strip rect')].map((bar) => bar.className.baseVal)"
    )
    assert set(bars) == {"queue", "active"}
    browser.driver.find_element("css selector", "dialog button").click()
    browser.until(lambda: "item=" not in browser.driver.current_url)


def test_targets_say_in_words_and_colour_whether_they_are_met(browser, poster):
    targets = poster.get("/v1/streams/checkout", window="30d")["targets"]
    met = [targets[name]["met"] for name in ("cycle_time_p85", "flow_efficiency")]
    shown = browser.run(
        """
        const targets = [...document.querySelectorAll('#summary .target:not([hidden])')];
        return targets.map((one) => [one.dataset.met, one.innerText]);
        """
    )
    assert [one for one, _ in shown] == [str(each).lower() for each in met]
    assert [text.endswith(": met") for _, text in shown] == met


def test_focus_stays_on_an_item_while_others_come_and_go_past_it(browser, poster):
    item, other = "MOVES-2", "MOVES-1"
    poster.post(*(poster.fact(item=f"MOVES-{number}", status="In Review") for number in (1, 2)))
    browser.until(lambda: {item, other} <= set(names(browser)))
    row = names(browser).index(item)
    browser.run("document.querySelectorAll('#items tbody button')[arguments[0]].focus()", row)
    poster.post(poster.fact(item=other, status="Ready"))
    browser.until(lambda: names(browser).index(item) < row)
    assert browser.run("return document.activeElement.innerText") == item
    poster.post(*(poster.fact(item=f"MOVES-{number}", deleted=True) for number in (1, 2)))
    browser.until(lambda: item not in names(browser))


def names(browser: Browser) -> list[str]:
    return browser.texts("#items tbody button")


def test_a_stage_shows_its_items(browser):
    browser.click(".stage:nth-child(3) h3 button")
    browser.until(lambda: browser.text("#items h2") == "Longest in review")
    assert set(browser.texts("#items tbody td.narrow")) <= {"review", "review, blocked"}
    assert browser.run("return document.querySelector('.stage:nth-child(3) h3 button').ariaPressed") == "true"
    browser.click("#items .titled button")
    browser.until(lambda: browser.text("#items h2") == "Longest in their stage")


def test_a_stream_without_facts_tells_how_to_send_the_first(browser, place, poster):
    look(browser, f"{place[0].url}/?stream=empty")
    browser.until(lambda: browser.shows("#empty-command"))
    command = browser.text("#empty-command")
    assert f"curl {place[0].url}/v1/facts" in command
    assert '"project": "EMPTY"' in command
    assert not browser.shows("#figures")
    assert problems_of(browser) == []
    assert "Bearer $TOKEN" in command
    assert os.system(f"TOKEN='{TOKEN}'; {command} --silent --fail --output /dev/null") == 0
    browser.until(lambda: browser.shows("#figures") and stage(browser, "backlog")["wip"] == "1")
    poster.post(poster.fact(project="EMPTY", item="FIRST-1", deleted=True))
    browser.until(lambda: stage(browser, "backlog")["wip"] == "0")


# --- for everybody ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844), (1920, 1080)])
def test_everybody_can_read_it(browser, theme, width, height):
    browser.prefer(theme)
    browser.resize(width, height)
    browser.until(lambda: browser.run("return innerWidth") == width)
    browser.until(lambda: browser.run("return document.documentElement.scrollWidth") <= width)
    assert problems_of(browser) == []
    paper = browser.run("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper[4:-1].split(","))) < 384) == (theme == "dark")


def test_the_theme_can_be_chosen_and_stays(browser, place):
    for theme in ("light", "dark"):
        browser.click("#theme")
        assert browser.text("#theme") == f"Theme: {theme}"
    show(browser, place[0].url)
    assert browser.run("return getComputedStyle(document.documentElement).colorScheme") == "dark"
    browser.click("#theme")
    assert browser.text("#theme") == "Theme: system"


# --- when something is not as it should be ---------------------------------------------------------------------------


def test_a_stream_that_is_not_there_is_said_by_name(browser, place):
    look(browser, f"{place[0].url}/?stream=chekout")
    browser.until(lambda: "checkout" in browser.text("#token-why"))
    assert not browser.shows("#token")
    assert any("404" in entry for entry in browser.said())


def test_a_token_is_asked_for_and_kept_for_this_tab_alone(window, place):
    browser, gauge = window, place[0]
    browser.open(gauge.url)
    browser.run("sessionStorage.clear()")
    browser.open(gauge.url)
    browser.until(lambda: browser.shows("#token"))
    assert problems_of(browser) == []
    browser.press("wrong", Keys.ENTER)
    browser.until(lambda: "not known here" in browser.text("#token-why"))
    browser.press(TOKEN, Keys.ENTER)
    browser.until(lambda: browser.texts(".stage .wip") and not browser.shows("#token"))
    assert browser.run("return [document.cookie, JSON.stringify(localStorage).includes(arguments[0])]", TOKEN) == [
        "",
        False,
    ]
    assert not any(TOKEN.replace(" ", "") in url for url in browser.requests())
    browser.open(gauge.url)
    browser.until(lambda: browser.texts(".stage .wip"))
    browser.driver.switch_to.new_window("tab")
    browser.open(gauge.url)
    browser.until(lambda: browser.shows("#token"))
    browser.driver.close()
    browser.driver.switch_to.window(browser.driver.window_handles[0])


def test_a_lost_connection_is_said_and_mends_itself(window, place):
    browser, (gauge, poster) = window, place
    show(browser, gauge.url)
    serve = process_of(gauge, "serve")
    before = figures(browser)
    os.kill(gauge.process.pid, signal.SIGSTOP)  # or it would start it anew before the page is looked at
    try:
        os.kill(serve, signal.SIGKILL)
        browser.until(lambda: "No connection since" in browser.text("#notices"))
        assert figures(browser) == before
        assert browser.text("#connection") == "Connection lost"
    finally:
        os.kill(gauge.process.pid, signal.SIGCONT)
    browser.until(lambda: browser.text("#notices") == "" and browser.text("#connection").startswith("Live"), 60)
    poster.post(poster.fact(item="AGAIN-1", status="In Review"))
    browser.until(lambda: figures(browser)["In progress"] == str(int(before["In progress"]) + 1))


def test_numbers_that_are_old_are_called_so(window, place):
    browser, gauge = window, place[0]
    show(browser, gauge.url)
    valkey = process_of(gauge, "valkey")
    os.kill(valkey, signal.SIGSTOP)
    try:
        browser.until(lambda: "can't read its state" in browser.text("#notices"), 60)
        assert browser.text("#connection").startswith("Stale")
    finally:
        os.kill(valkey, signal.SIGCONT)
    browser.until(lambda: browser.text("#notices") == "", 60)


def test_a_page_that_nobody_sees_lets_go_of_its_connection(window, place):
    browser, (gauge, poster) = window, place
    show(browser, gauge.url)
    see = """
        Object.defineProperty(document, 'hidden', { value: arguments[0], configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
    """
    before = int(figures(browser)["In progress"])
    browser.run(see, True)
    browser.until(lambda: browser.text("#connection") == "Paused")
    poster.post(poster.fact(item="UNSEEN-1", status="In Review"))
    browser.run(see, False)
    browser.until(lambda: browser.text("#connection").startswith("Live"))
    browser.until(lambda: int(figures(browser)["In progress"]) == before + 1)
    poster.post(poster.fact(item="UNSEEN-1", deleted=True))
    browser.until(lambda: int(figures(browser)["In progress"]) == before)


def test_facts_that_wait_to_be_counted_are_said(window, place):
    browser, (gauge, poster) = window, place
    show(browser, gauge.url)
    aggregator = process_of(gauge, "aggregate")
    os.kill(aggregator, signal.SIGSTOP)
    try:
        poster.post(poster.fact(item="LATER-1", status="In Review"))
        browser.until(lambda: "1 fact came in and is not counted yet" in browser.text("#notices"), 60)
    finally:
        os.kill(aggregator, signal.SIGCONT)
    browser.until(lambda: browser.text("#notices") == "", 60)
