from __future__ import annotations

import json

import pytest

from flow.adapters import ADAPTERS
from flow.errors import NotFound, Reason, Rejected, Unauthorised, Unavailable
from flow.facts import ChangeFact, DeploymentFact, IncidentFact, ItemFact, SignalFact
from flow.instants import DAY
from flow.native import decode_native
from flow.native_lines import native_line
from service.backfill import MOST_FACTS, Backfill, Watcher, batches
from service.backfill_position import BackfillFile, BackfillPosition
from service.histories.pages import Page, Step
from service.histories.sources import HISTORIES, history_of
from service.provider_access import NAMES
from tests.unit.flow.adapters.telling import names_in
from tests.unit.flow.adapters.tracker_payloads import SAMPLES

NOW = 1_795_340_000_000


def fact(number, **more):
    return ItemFact(
        id=f"f-{number}", source="jira", item=f"CHK-{number}", at=NOW - DAY + number, status="To Do", **more
    )


class Streamgauge:
    """Takes facts in; may be away for a while."""

    def __init__(self, away=0, refuse=False):
        self.bodies = []
        self.away = away
        self.refuse = refuse

    def post(self, body):
        if self.away:
            self.away -= 1
            raise Unavailable(Reason.LOG_UNAVAILABLE, "not now", 7)
        if self.refuse:
            raise Rejected(Reason.INVALID_FACT, "never")
        self.bodies.append(body)

    @property
    def ids(self):
        return [json.loads(line)["id"] for body in self.bodies for line in body.splitlines()]


class Pages:
    """A step of numbered pages, some of which fail."""

    def __init__(self, name, *pages, failures=None):
        self.name = name
        self.pages = pages
        self.failures = failures or {}
        self.read_from = []

    async def read(self, where):
        self.read_from.append(where)
        if where in self.failures:
            raise self.failures.pop(where)
        number = int(where or 0)
        following = str(number + 1) if number + 1 < len(self.pages) else None
        return Page(facts=list(self.pages[number]), read=len(self.pages[number]), next=following, total=9)

    @property
    def step(self):
        return Step(self.name, self.read)


def backfill(*steps, into, position=None, told=None, seen=None):
    saved = []
    waits = []

    async def pause(seconds):
        waits.append(seconds)

    made = Backfill(
        [step.step for step in steps],
        position or BackfillPosition(),
        post=into.post,
        save=lambda kept: saved.append(
            json.loads(json.dumps({"step": kept.step, "page": kept.page, "done": kept.done}))
        ),
        watcher=Watcher(
            (lambda *entry: seen.append(entry)) if seen is not None else (lambda *_: None),
            told.append if told is not None else (lambda _: None),
        ),
        clock=lambda: NOW,
        pause=pause,
    )
    return made, saved, waits


async def test_all_pages_of_all_steps_are_posted_and_each_page_is_noted_behind_its_facts():
    gauge, seen = Streamgauge(), []
    made, saved, _ = backfill(Pages("a", [fact(1), fact(2)], [fact(3)]), Pages("b", [fact(4)]), into=gauge, seen=seen)
    await made.run()
    assert gauge.ids == ["f-1", "f-2", "f-3", "f-4"]
    assert saved[0] == {"step": "a", "page": "1", "done": []}
    assert (made.position.whole, made.position.done, made.position.facts) == (True, ["a", "b"], 4)
    assert seen[:3] == [("a", 0, None), ("a", 2, 9), ("a", 3, 3)]


async def test_an_interrupted_backfill_goes_on_with_the_page_that_it_was_at():
    gauge, position = Streamgauge(), BackfillPosition()
    first = Pages("a", [fact(1)], [fact(2)], [fact(3)], failures={"2": Unauthorised(Reason.BAD_TOKEN, "too old")})
    made, _, _ = backfill(first, into=gauge, position=position)
    with pytest.raises(Unauthorised):
        await made.run()
    assert (position.step, position.page, position.whole) == ("a", "2", False)
    made, _, _ = backfill(first, Pages("b", [fact(4)]), into=gauge, position=position)
    await made.run()
    assert gauge.ids == ["f-1", "f-2", "f-3", "f-4"]
    assert first.read_from == [None, "1", "2", "2"]


async def test_facts_that_could_not_be_posted_are_not_noted():
    position = BackfillPosition()
    made, saved, _ = backfill(Pages("a", [fact(1)], [fact(2)]), into=Streamgauge(refuse=True), position=position)
    with pytest.raises(Rejected):
        await made.run()
    assert saved == []
    assert position.page is None


async def test_a_step_that_is_done_is_not_read_again():
    gauge = Streamgauge()
    done = Pages("a", [fact(1)])
    made, _, _ = backfill(done, Pages("b", [fact(2)]), into=gauge, position=BackfillPosition(done=["a"]))
    await made.run()
    assert (gauge.ids, done.read_from) == (["f-2"], [])


@pytest.mark.parametrize(
    "gone", [Rejected(Reason.INVALID_REQUEST, "the token expired"), NotFound(Reason.UNKNOWN_ITEM, "no such page")]
)
async def test_a_page_that_is_gone_when_it_goes_on_is_read_from_the_start(gone):
    gauge, told = Streamgauge(), []
    pages = Pages("a", [fact(1)], [fact(2)], failures={"1": gone})
    position = BackfillPosition(step="a", page="1", read=1)
    made, _, _ = backfill(pages, into=gauge, position=position, told=told)
    await made.run()
    assert gauge.ids == ["f-1", "f-2"]
    assert pages.read_from == ["1", None, "1"]
    assert "from its start" in told[0]


async def test_a_refused_page_of_a_running_backfill_is_an_error():
    pages = Pages("a", [fact(1)], [fact(2)], failures={"1": Rejected(Reason.INVALID_REQUEST, "no")})
    made, _, _ = backfill(pages, into=Streamgauge())
    with pytest.raises(Rejected):
        await made.run()


async def test_while_streamgauge_is_away_it_waits_and_says_so():
    gauge, told = Streamgauge(away=2), []
    made, _, waits = backfill(Pages("a", [fact(1)]), into=gauge, told=told)
    await made.run()
    assert (gauge.ids, waits) == (["f-1"], [7.0, 7.0])
    assert told == ["Waiting 7 s: not now"] * 2


async def test_streamgauge_that_stays_away_is_given_up_at_last():
    made, _, waits = backfill(Pages("a", [fact(1)]), into=Streamgauge(away=10_000))
    with pytest.raises(Unavailable):
        await made.run()
    assert 600 <= sum(waits) < 700


async def test_a_fact_that_could_never_be_taken_is_left_out_and_said():
    gauge, told = Streamgauge(), []
    wrong = [fact(2, labels=("a\x00b",)), ItemFact(id="f-3", source="jira", item="CHK-3", at=NOW + 3 * DAY)]
    made, _, _ = backfill(Pages("a", [fact(1), *wrong, fact(4)]), into=gauge, told=told)
    await made.run()
    assert gauge.ids == ["f-1", "f-4"]
    assert made.position.left_out == 2
    assert [text.partition(":")[2].partition(":")[0].strip() for text in told] == ["f-2", "f-3"]


async def test_a_provider_that_names_the_same_page_again_and_again_is_stopped():
    async def read(where):
        return Page(facts=[], read=1, next="7")

    step = type("Endless", (), {"step": Step("a", read)})()
    made, _, _ = backfill(step, into=Streamgauge())
    with pytest.raises(Rejected, match="the same page"):
        await made.run()


def test_requests_are_bounded_in_number_and_size():
    assert [len(batch) for batch in batches(iter([b"x"] * (MOST_FACTS + 1)))] == [MOST_FACTS, 1]
    assert [len(batch) for batch in batches(iter([b"x" * 300_000] * 3))] == [1, 1, 1]
    assert list(batches(iter([]))) == []


@pytest.mark.parametrize("number", range(len(SAMPLES)))
def test_what_an_adapter_tells_is_the_same_fact_when_it_is_posted(number):
    source, headers, body = SAMPLES[number]
    from flow.adapters import Delivery  # noqa: PLC0415

    told = ADAPTERS[source].translate(Delivery(source, headers, json.dumps(body).encode(), NOW), names_in).facts
    for each in told:
        assert not isinstance(each, SignalFact)
        assert decode_native(native_line(each), "ndjson", NOW, 10**12) == [each]


@pytest.mark.parametrize(
    "told",
    [
        ItemFact(id="1", source="a", item="i", at=1, labels=(), blocked=False, deleted=True, size=0.5, seq=3),
        ChangeFact(id="1", source="a", service="s", change="c", at=1, state="merged", committed_at=999, items=("i",)),
        DeploymentFact(id="1", source="a", service="s", environment="e", deployment="d", at=0, state="started"),
        IncidentFact(id="1", source="a", service="s", environment="e", incident="x", at=0, state="resolved", seq=1),
    ],
)
def test_every_kind_of_fact_is_the_same_when_it_is_posted(told):
    assert decode_native(native_line(told), "ndjson", NOW, 0) == [told]


def test_the_position_is_kept_by_what_is_asked_for(tmp_path):
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    kept = BackfillFile({"source": "jira", "names": ["CHK"]}, environ)
    assert kept.load() is None
    kept.save(BackfillPosition(since=5, done=["a"], step="b", page="p", read=3, facts=9))
    again = BackfillFile({"names": ["CHK"], "source": "jira"}, environ)
    assert again.load() == BackfillPosition(since=5, done=["a"], step="b", page="p", read=3, facts=9)
    assert BackfillFile({"source": "jira", "names": ["WEB"]}, environ).load() is None
    kept.save(BackfillPosition(done=["a"], whole=True))
    assert again.load() is None
    kept.path.write_text("{")
    assert again.load() is None
    kept.forget()
    kept.forget()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("jira", 'CHK" OR 1=1'),
        ("jira", ""),
        ("github", "shop"),
        ("github", "acme/../x"),
        ("gitlab", "a/b?c"),
        ("linear", "é"),
    ],
)
def test_names_that_can_not_be_are_refused(source, name):
    with pytest.raises(Rejected) as error:
        history_of(source, ["ABC" if source in {"jira", "linear"} else "acme/shop", name])
    assert error.value.reason is Reason.INVALID_REQUEST


def test_an_unknown_source_is_refused_with_those_that_there_are():
    with pytest.raises(Rejected, match="no source is called 'jirra'; near it: jira"):
        history_of("jirra", ["CHK"])


def test_every_history_has_access():
    assert {history.source for history in HISTORIES.values()} == set(NAMES) <= set(ADAPTERS)
