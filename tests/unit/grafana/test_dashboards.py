"""The boards: they are what the generator makes, ask only for what exists, and keep the rules of the house."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import promql_parser
import pytest
import yaml

from flow.catalogue import METRICS
from grafana.__main__ import BOARDS
from tests.dashboards import (
    BUILT_IN,
    FOLDER,
    GRAFANA,
    Asked,
    as_promql,
    boards,
    panels_of,
    queries_of,
    queries_of_annotations,
    queries_of_panels,
    variables_in,
)
from tests.promql import labels_of, problems_of, selectors_of
from tests.unit.deploy.test_rules import ALERTING, KNOWN

ROOT: Final = Path(__file__).parents[3]
UIDS: Final = ("flow-deliveries", "flow-measures", "flow-overview", "flow-pipeline", "flow-stage")
BOARD: Final = boards()
QUERIES: Final = [query for board in BOARD.values() for query in queries_of(board)]
PANELS: Final = [(uid, panel) for uid, board in BOARD.items() for panel in panels_of(board)]

OF_GRAFANA: Final = {"stat", "timeseries", "table", "heatmap"}
"""Kinds of panels that Grafana itself brings: no plugin of the community."""

COLOURS: Final = {"green", "orange", "red", "blue", "text"}
FIRST_SCREEN: Final = 16
"""Rows of Grafana's grid, of 38 pixels, that are in sight on a screen of 768 pixels, give or take the browser's own."""

PROCESS: Final = {name for metric in METRICS.values() if metric.part == "process" for name in metric.samples()}
COUNTERS: Final = {name for metric in METRICS.values() if metric.kind != "gauge" for name in metric.samples()}
ALERTS: Final = {"ALERTS", "ALERTS_FOR_STATE"}


def panel_of(uid: str, title: str) -> Any:
    (found,) = [panel for panel in panels_of(BOARD[uid]) if panel["title"] == title]
    return found


def named(panel: tuple[str, Any]) -> str:
    return f"{panel[0]}: {panel[1]['title']}"


# --- generated -------------------------------------------------------------------------------------------------------


def test_the_committed_boards_are_what_the_generator_makes() -> None:
    made = {f"{board.uid}.json": board.json() for board in BOARDS}
    assert {path.name for path in FOLDER.iterdir()} == set(made)
    for name, text in made.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, f"{name} is old: run `make dashboards`"


def test_there_is_a_board_for_each_question() -> None:
    assert tuple(sorted(BOARD)) == UIDS


# --- what is asked exists --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_every_metric_and_label_of_a_query_exists(query: Asked) -> None:
    assert problems_of(as_promql(query.expression), KNOWN) == []


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_legend_names_only_labels_that_the_answer_has(query: Asked) -> None:
    assert set(re.findall(r"{{(\w+)}}", query.legend)) <= labels_of(as_promql(query.expression), KNOWN)


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_whatever_is_scraped_is_selected_by_its_job(query: Asked) -> None:
    """Another installation that the same Prometheus scrapes is another job."""
    for name, matchers in selectors_of(as_promql(query.expression), KNOWN):
        assert matchers.get("job") == "streamgauge" or ":" in name or name in ALERTS, name


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_what_every_process_tells_of_the_state_is_counted_once(query: Asked) -> None:
    """Whatever is added up, or shown as a line, has no label of a process in it: `max` came before."""
    if query.ref == "variable":
        return
    plain = as_promql(query.expression)
    once = {"up", "streamgauge_build_info", *PROCESS, *ALERTS}
    for inner in [plain, *added_up(promql_parser.parse(plain))]:
        names = {name for name, _ in selectors_of(inner, KNOWN)}
        per_process = "instance" in labels_of(inner, KNOWN)
        assert not per_process or names <= once or (query.board == "flow-pipeline" and "(instance)" in plain), inner


def added_up(node: Any) -> list[str]:
    """What is below each aggregation of it but max and min."""
    found = []
    kind = type(node).__name__
    if kind == "AggregateExpr" and str(node.op) not in {"max", "min"}:
        found.append(node.expr.prettify())
    for name in ("expr", "lhs", "rhs"):
        if kind != "VectorSelector" and hasattr(node, name):
            found += added_up(getattr(node, name))
    if kind == "Call":
        found += [each for argument in node.args for each in added_up(argument)]
    return found


def test_the_check_for_what_is_added_up_sees_a_sum_over_processes() -> None:
    (inner,) = added_up(promql_parser.parse('sum by (stage) (flow_stage_wip{job="streamgauge"})'))
    assert "instance" in labels_of(inner, KNOWN)
    (inner,) = added_up(promql_parser.parse('time() - sum(max by (stage) (flow_stage_wip{job="streamgauge"}))'))
    assert "instance" not in labels_of(inner, KNOWN)


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_only_counters_are_asked_how_fast_they_grow_and_over_a_time_that_fits(query: Asked) -> None:
    grown = re.findall(r"\b(?:rate|increase)\((\w+)\{[^}]*\}\[([^]]+)\]", query.expression)
    assert len(grown) == len(re.findall(r"\b(?:rate|increase|irate|delta|deriv)\(", query.expression))
    assert {name for name, _ in grown} <= COUNTERS
    assert {over for _, over in grown} <= {"$__rate_interval", "$__range", "$window", "7d"}
    for name, _ in selectors_of(as_promql(query.expression), KNOWN):
        if name in COUNTERS and query.ref != "variable":
            # By themselves only where the start of the range is taken away, or to see whether it ever happened.
            alone = (
                f"min_over_time({name}" in query.expression or f'({name}{{job="streamgauge"}}) > 0' in query.expression
            )
            assert alone or name in {found for found, _ in grown}


def test_every_metric_about_work_and_deliveries_is_on_some_board() -> None:
    asked = {name for query in QUERIES for name, _ in selectors_of(as_promql(query.expression), KNOWN)}
    shown = {metric.name for metric in METRICS.values() if set(metric.samples()) & asked}
    left_out = {name for name in METRICS if name.startswith(("flow_", "delivery_")) and name not in shown}
    assert left_out == {
        "flow_stream_info",  # for roll-ups over streams: these boards are about one
        "flow_cycle_time_seconds",  # the windows say the same, late facts included
        "flow_stage_queue_depth",  # WIP, of a stage that is a queue; its history is on the board
        "flow_stage_sle_ratio",  # the rules about ageing read it, and the boards read those
    }


# --- the rules of the house ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uid", UIDS)
def test_a_board_is_named_linked_and_locked(uid: str) -> None:
    board = BOARD[uid]
    assert len(uid) <= 40
    assert board["title"].startswith("Flow / ")
    assert board["description"].endswith((".", "?"))
    assert board["tags"] == ["flow", "generated"]
    assert board["editable"] is False
    assert board["timezone"] == "utc"
    assert board["schemaVersion"] >= 41
    (menu,) = board["links"]
    assert (menu["tags"], menu["includeVars"], menu["keepTime"]) == (["flow"], True, True)
    assert "placement" not in menu  # the SDK's own would hide it


@pytest.mark.parametrize(("uid", "span", "refresh"), [
    ("flow-overview", "24h", "1m"), ("flow-stage", "24h", "1m"), ("flow-pipeline", "1h", "30s"),
    ("flow-measures", "30d", "5m"), ("flow-deliveries", "30d", "5m"),
])  # fmt: skip
def test_a_board_looks_back_as_far_as_its_subject_moves(uid: str, span: str, refresh: str) -> None:
    assert BOARD[uid]["time"] == {"from": f"now-{span}", "to": "now"}
    assert BOARD[uid]["refresh"] == refresh


@pytest.mark.parametrize("panel", PANELS, ids=named)
def test_a_panel_is_titled_described_by_a_question_and_has_units(panel: tuple[str, Any]) -> None:
    _, shown = panel
    assert shown["type"] in OF_GRAFANA
    assert re.fullmatch(r"[A-Z#%].*[^.]", shown["title"])
    assert "?" in shown["description"]
    assert shown["description"].endswith(("?", "."))
    assert shown["fieldConfig"]["defaults"]["unit"]
    assert shown["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert shown["targets"]
    for target in shown["targets"]:
        assert target["datasource"] == shown["datasource"]


@pytest.mark.parametrize("panel", PANELS, ids=named)
def test_colour_says_state_and_nobody_left_the_default_red_at_80(panel: tuple[str, Any]) -> None:
    _, shown = panel
    fields = [shown["fieldConfig"]["defaults"]]
    for override in shown["fieldConfig"]["overrides"]:
        fields += [{"thresholds": each["value"]} for each in override["properties"] if each["id"] == "thresholds"]
    for field in fields:
        steps = field["thresholds"]["steps"]
        assert field["thresholds"]["mode"] == "absolute"
        assert steps[0].get("value") is None
        assert {step["color"] for step in steps} <= COLOURS
        assert 80 not in [step.get("value") for step in steps]
    if shown["type"] == "stat":
        steps = fields[0]["thresholds"]["steps"]
        assert ("blue" in {step["color"] for step in steps}) == (len(steps) == 1)


def test_the_thresholds_are_those_of_the_alerts() -> None:
    """Read out of the rules: where a rule changes, its panel must."""
    (lag,) = re.findall(r"> (\d+)$", ALERTING["StreamgaugeLagging"]["expr"])
    (snapshot,) = set(re.findall(r"<= (\d+)", ALERTING["StreamgaugeDown"]["expr"]))
    steps = {title: thresholds_of("flow-overview", title) for title in ("Waits in the log", "State was read")}
    assert steps == {
        "Waits in the log": [(None, "green"), (int(lag), "red")],
        "State was read": [(None, "green"), (int(snapshot), "red")],
    }
    severities = {name: rule["labels"]["severity"] for name, rule in ALERTING.items()}
    assert severities["FlowWipLimitBreached"] == "critical"
    assert thresholds_of("flow-stage", "Room below the limit") == [(None, "red"), (0, "orange"), (1, "green")]
    assert severities["FlowItemsAgeing"] == severities["FlowBottleneckEmerging"] == "warning"
    assert thresholds_of("flow-stage", "Ageing") == [(None, "green"), (1, "orange")]
    assert thresholds_of("flow-overview", "Bottleneck now")[-1] == (1, "orange")


def thresholds_of(uid: str, title: str) -> list[tuple[float | None, str]]:
    steps = panel_of(uid, title)["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return [(step.get("value"), step["color"]) for step in steps]


@pytest.mark.parametrize("uid", UIDS)
def test_titles_are_told_apart_and_no_panel_covers_another(uid: str) -> None:
    panels = panels_of(BOARD[uid])
    places = [(panel["type"] == "stat", panel["title"]) for panel in panels]
    assert len(set(places)) == len(places)
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    for row in [BOARD[uid], *(panel for panel in BOARD[uid]["panels"] if panel["type"] == "row")]:
        taken: set[tuple[int, int]] = set()
        for panel in row["panels"]:
            at = panel["gridPos"]
            assert at["x"] + at["w"] <= 24
            cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            assert not cells & taken, panel["title"]
            taken |= cells


@pytest.mark.parametrize("uid", UIDS)
def test_details_are_behind_rows_that_are_closed(uid: str) -> None:
    rows = [panel for panel in BOARD[uid]["panels"] if panel["type"] == "row"]
    assert all(row["collapsed"] for row in rows)
    graphs = [panel for panel in BOARD[uid]["panels"] if panel["type"] in {"timeseries", "heatmap"}]
    assert len(graphs) <= 8


@pytest.mark.parametrize("panel", [each for each in PANELS if each[1]["type"] == "stat"], ids=named)
def test_every_figure_leads_to_its_detail(panel: tuple[str, Any]) -> None:
    assert panel[1]["fieldConfig"]["defaults"]["links"]


def addresses(board: Any) -> list[str]:
    """Every link of its panels to a board."""
    found = []
    for panel in panels_of(board):
        links = list(panel["fieldConfig"]["defaults"].get("links", ()))
        for override in panel["fieldConfig"]["overrides"]:
            links += [link for each in override["properties"] if each["id"] == "links" for link in each["value"]]
        found += [link["url"] for link in links]
    return found


@pytest.mark.parametrize("uid", UIDS)
def test_a_link_leads_to_a_board_and_sets_what_it_has(uid: str) -> None:
    for address in addresses(BOARD[uid]):
        path, _, asked = address.partition("?")
        other = path.removeprefix("/d/")
        theirs = {variable["name"] for variable in BOARD[other]["templating"]["list"]}
        passed = re.findall(r"\$\{(\w+):queryparam\}", asked)
        assert set(passed) <= {variable["name"] for variable in BOARD[uid]["templating"]["list"]}
        assert {*passed, *re.findall(r"var-(\w+)=", asked)} <= theirs
        assert asked.endswith("&${__url_time_range}")


@pytest.mark.parametrize("uid", UIDS)
def test_a_board_uses_the_variables_that_it_has_and_no_others(uid: str) -> None:
    board = BOARD[uid]
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert next(iter(variables)) == "datasource"
    used = set().union(*(variables_in(query.expression) for query in queries_of(board)))
    assert used - BUILT_IN == set(variables) - {"datasource"}
    assert set().union(*(variables_in(address) for address in addresses(board))) <= {*variables, *BUILT_IN}
    for variable in variables.values():
        if variable["type"] == "query":
            assert variable["refresh"] == 2  # whenever the time range changes
            assert variable["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("query", [query for query in QUERIES if query.ref != "variable"], ids=str)
def test_a_choice_of_several_is_asked_as_a_pattern(query: Asked) -> None:
    several = {
        variable["name"] for variable in BOARD[query.board]["templating"]["list"] if variable.get("multi") is True
    }
    for operator, name in re.findall(r'(=~|=)"\$(\w+)\|?"', query.expression):
        assert operator == "=~" or name not in several


@pytest.mark.parametrize("uid", UIDS)
def test_alerts_and_deployments_are_marked_on_the_graphs(uid: str) -> None:
    asked = {query.place: query.expression for query in queries_of_annotations(BOARD[uid])}
    assert {"Pages", "Warnings"} <= set(asked)
    assert 'severity="critical"' in asked["Pages"]
    assert ("Deployments" in asked) == (uid != "flow-pipeline")
    for annotation in BOARD[uid]["annotations"]["list"]:
        assert annotation["enable"] is True
        assert annotation["titleFormat"]
        assert "placement" not in annotation


def test_tables_show_every_column_that_they_ask_for() -> None:
    tables = [panel for _, panel in PANELS if panel["type"] == "table"]
    assert len(tables) >= 5
    for panel in tables:
        merge, organize = panel["transformations"]  # Time must be there to merge answers of which one is empty
        assert (merge["id"], organize["id"]) == ("merge", "organize")
        assert organize["options"]["excludeByName"] == {"Time": True}
        refs = [target["refId"] for target in panel["targets"]]
        values = [f"Value #{ref}" for ref in refs] if len(refs) > 1 else ["Value"]
        renamed = organize["options"]["renameByName"]
        assert set(values) <= set(renamed)
        labels = set(renamed) - set(values)
        for target in panel["targets"]:
            assert target["format"] == "table"
            assert target["instant"] is True
            assert labels_of(as_promql(target["expr"]), KNOWN) == labels, target["expr"]
        titles = list(renamed.values())
        assert len(set(titles)) == len(titles)
        assert {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]} == set(titles)
        assert sorted(organize["options"]["indexByName"].values()) == list(range(len(renamed)))
        for sort in panel["options"].get("sortBy", ()):
            assert sort["displayName"] in titles


# --- what the overview promises --------------------------------------------------------------------------------------


def test_the_overview_answers_the_four_questions_on_the_first_screen() -> None:
    """Is data arriving, where is the bottleneck, what is oldest, is lead time within target."""
    first = [
        panel["title"]
        for panel in BOARD["flow-overview"]["panels"]
        if panel["gridPos"]["y"] + panel["gridPos"]["h"] <= FIRST_SCREEN
    ]
    assert first == [
        "Newest event", "Silent sources", "Processes that answer", "Waits in the log", "Workers", "State was read",
        "Bottleneck now", "Oldest item in a stage", "Time against target", "Time, p85", "Finished", "In progress",
        "Stages, in the order of the stream",
    ]  # fmt: skip


def test_value_stands_beside_throughput() -> None:
    panels = [panel["title"] for panel in BOARD["flow-measures"]["panels"]]
    assert panels[panels.index("Velocity") + 1] == "Value"
    assert "Value delivered" in panels
    for measure in ("distribution", "time", "load", "efficiency", "predictability"):
        assert [title for title in panels if measure in title.lower()]


def test_the_five_measures_of_delivery_go_by_doras_names() -> None:
    panels = [panel["title"] for panel in BOARD["flow-deliveries"]["panels"]]
    assert panels[:5] == [
        "Deployment frequency", "Change lead time", "Change fail rate", "Failed deployment recovery time",
        "Deployment rework rate",
    ]  # fmt: skip


# --- what else Grafana reads, and who leads here ---------------------------------------------------------------------


def test_the_provisioning_names_the_data_source_and_the_folder_of_the_boards() -> None:
    (sources,) = (GRAFANA / "provisioning/datasources").glob("*.yaml")
    (providers,) = (GRAFANA / "provisioning/dashboards").glob("*.yaml")
    kinds = {entry["type"]: entry for entry in yaml.safe_load(sources.read_text())["datasources"]}
    assert kinds["prometheus"]["isDefault"] is True
    assert kinds["prometheus"]["jsonData"]["alertmanagerUid"] == kinds["alertmanager"]["uid"]
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    assert kinds["prometheus"]["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]
    (provider,) = yaml.safe_load(providers.read_text())["providers"]
    assert provider["allowUiUpdates"] is False
    assert provider["options"]["path"] == "/etc/grafana/dashboards"


@pytest.mark.parametrize("name", ALERTING)
def test_an_alert_leads_to_a_board_with_what_it_is_about(name: str) -> None:
    address = urlsplit(ALERTING[name]["annotations"]["dashboard_url"].removeprefix("{{ $externalLabels.grafana_url }}"))
    uid = address.path.removeprefix("/d/")
    has = {variable["name"] for variable in BOARD[uid]["templating"]["list"]}
    assert {key.removeprefix("var-") for key, _ in parse_qsl(address.query)} <= has


@pytest.mark.parametrize("uid", UIDS)
def test_the_page_about_the_boards_tells_of_each_and_its_panels(uid: str) -> None:
    page = (ROOT / "docs/dashboards.md").read_text()
    section = re.search(rf"^## `{uid}`.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert section is not None
    assert BOARD[uid]["description"] in section[0]
    missing = [panel["title"] for panel in panels_of(BOARD[uid]) if f"**{panel['title']}**" not in section[0]]
    assert missing == []


def test_the_checks_see_a_query_that_cannot_be_right() -> None:
    assert problems_of("max by (stage) (flow_stage_wipp)", KNOWN)
    with pytest.raises(ValueError, match="parenthesis"):
        problems_of("max by (stage (flow_stage_wip)", KNOWN)
    assert list(queries_of_panels(BOARD["flow-overview"]))
