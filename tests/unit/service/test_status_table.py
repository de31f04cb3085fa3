from __future__ import annotations

import pytest
from rich.console import Console

from service.status_table import View, render, short_duration, title_of, unmapped_line

NO_TIMES = {"count": 0, "mean": None, "p50": None, "p85": None, "p95": None}


def a_stage(stage="review", **values):
    empty = {
        "stage": stage, "kind": "active", "wip": 0, "wip_limit": None, "queue_depth": None, "blocked": 0,
        "oldest_age": None, "items_over_sle": None, "arrivals": 0, "departures": 0, "rework": 0,
        "percent_complete_accurate": None, "blocked_time": 0.0, "time": NO_TIMES, "bottleneck": None,
    }  # fmt: skip
    return empty | values


def a_status(*stages, **values):
    empty = {
        "stream": "checkout", "at": "2026-11-22T09:30:00Z", "window": "7d", "wip": 0, "throughput": 0, "reopened": 0,
        "cycle_time": NO_TIMES, "lead_time": NO_TIMES, "flow_efficiency": None, "value_delivered": 0, "by_type": {},
        "targets": {}, "stages": list(stages),
    }  # fmt: skip
    return empty | values


def text_of(view, width=80):
    console = Console(width=width, record=True, force_terminal=False, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    with console.file:
        console.print(render(view))
    return console.export_text()


def styled(view):
    console = Console(width=80, force_terminal=True, color_system="standard", no_color=False)
    with console.capture() as capture:
        console.print(render(view))
    return capture.get()


FULL = a_status(
    a_stage("backlog", kind="queue", wip=12, queue_depth=12, oldest_age=190000.0, arrivals=20, departures=14),
    a_stage(
        wip=6, wip_limit=4, blocked=1, oldest_age=7500.0, arrivals=14, departures=11, rework=2,
        percent_complete_accurate=0.82, time=NO_TIMES | {"p50": 72000.0, "p85": 160000.0}, items_over_sle=2,
    ),
    a_stage("done", kind="done", wip=None, arrivals=11, blocked=None),
    wip=18, throughput=1100, cycle_time=NO_TIMES | {"p85": 520000.0}, flow_efficiency=0.314,
)  # fmt: skip


def test_a_stream_is_a_title_and_one_row_a_stage():
    lines = [line.split() for line in text_of(View([FULL])).splitlines() if line.strip()]
    assert " ".join(lines[0]) == "checkout · WIP 18 · 1,100 done in 7d · cycle time p85 6d0h · flow efficiency 31%"
    header = "stage kind WIP queue oldest in out rework p50 p85 %C/A blocked"
    assert lines[1] == header.split()
    assert lines[3] == ["backlog", "queue", "12", "12", "2d4h", "20", "14", "0", "–", "–", "–", "0"]
    assert lines[4] == ["review", "active", "6/4", "–", "2h5m", "14", "11", "2", "20h0m", "1d20h", "82%", "1"]
    assert lines[5] == ["done", "done", "–", "–", "–", "11", "0", "0", "–", "–", "–", "–"]


def test_a_table_of_usual_names_fits_into_80_columns():
    assert max(len(line) for line in text_of(View([FULL]), width=200).splitlines()) <= 80


def test_a_wip_limit_that_is_breached_stands_out_and_one_that_is_kept_does_not():
    breached, kept = (styled(View([a_status(a_stage(wip=wip, wip_limit=4))])) for wip in (5, 4))
    assert "\x1b[1;31m5/4" in breached
    assert "\x1b[32m4/4" in kept


def test_what_a_stream_is_called_is_shown_as_it_is():
    assert "checkout [bold]" in text_of(View([a_status(a_stage(), stream="checkout [bold]")]))
    assert "[/bold]" in title_of(a_status(stream="x"))


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (View([FULL], error="nobody answers"), "The service can't be asked: nobody answers"),
        (View([FULL], age=75.0, error="nobody answers"), "These figures are 1m15s old."),
        (View([FULL], behind=300, stuck=9.0), "300 facts wait in the log and nobody applies them"),
        (View(), "There is no stream yet."),
    ],
)
def test_what_is_wrong_with_the_figures_is_said(view, said):
    assert said in " ".join(text_of(view).split())


@pytest.mark.parametrize("view", [View([FULL]), View([FULL], age=2.0, behind=300, stuck=2.0), View([FULL], stuck=99.0)])
def test_fresh_figures_come_without_a_warning(view):
    assert "figures" not in text_of(view)


def test_durations_have_at_most_two_units():
    texts = [short_duration(seconds) for seconds in (9.94, 9.96, 59.6, 3599.6, 3600, 86399, 86400 * 400)]
    assert texts == ["9.9s", "10s", "1m0s", "1h0m", "1h0m", "23h59m", "400d0h"]


def unmapped(*names, facts=1, stream="checkout"):
    return {stream: [{"source": "jira", "status": name, "facts": facts} for name in names]}


def test_statuses_that_belong_to_no_stage_are_named_in_one_line_below_the_table():
    lines = text_of(View([FULL], unmapped=unmapped("Waiting", "On hold", facts=1200)), 120).splitlines()
    [line] = [line.strip() for line in lines if "no stage" in line]
    assert line == "2 statuses belong to no stage: Waiting (1,200 facts), On hold (1,200 facts)"
    assert lines.index(line) > max(number for number, text in enumerate(lines) if "review" in text)


def test_nothing_is_said_of_a_stream_whose_statuses_all_belong_to_stages():
    assert "no stage" not in text_of(View([FULL], unmapped={"checkout": []}))
    assert "no stage" not in text_of(View([FULL], unmapped=unmapped("Waiting", stream="other")))


def test_one_status_is_one_and_of_many_only_some_are_named():
    assert unmapped_line(unmapped("Held")["checkout"]) == "1 status belongs to no stage: Held (1 fact)"
    many = unmapped_line(unmapped(*"ABCDEFG")["checkout"])
    assert many == f"7 statuses belong to no stage: {', '.join(f'{name} (1 fact)' for name in 'ABCDE')}, …"


def test_names_beyond_those_that_are_kept_are_counted_as_more():
    line = unmapped_line(unmapped("Held", None)["checkout"])
    assert line == "more than 1 statuses belong to no stage: Held (1 fact), …"


def test_a_name_of_a_status_does_nothing_to_the_terminal():
    shown = styled(View([FULL], unmapped=unmapped("\x1b[2J[red]gone\x07" + "x" * 100)))
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown
    assert "\\x1b[2J[red]gone\\x07x" in shown
    assert "x" * 41 not in shown
