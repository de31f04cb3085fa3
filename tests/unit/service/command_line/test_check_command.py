from __future__ import annotations

import os
from pathlib import Path

import pytest
import typer

from service.command_line.check_command import check, checked_environment, summary

GOOD = """
streams:
  checkout:
    match: {project: CHK}
    windows: [1h, 7d]
    stages:
      - {name: backlog, kind: queue, when: [{status: To Do}]}
      - {name: develop, kind: active, when: [{status: Doing}], wip_limit: 6, sle: {p85: 3d}}
      - {name: done, kind: done, when: [{status: Done}]}
"""
SECRET = "hush-hush-hush"


@pytest.fixture
def streams(tmp_path):
    path = tmp_path / "streams.yaml"
    path.write_text(GOOD)
    return path


def test_mistakes_of_the_settings_and_of_the_definitions_are_found_together(streams):
    streams.write_text(GOOD.replace("kind: active", "kind: activ"))
    environ = {"STREAMGAUGE_HTTP__PORT": "many", "STREAMGAUGE_STREAMS": str(streams), "STREAMGAUGE_HTP__HOST": "x"}
    problems = checked_environment(environ, None).problems
    assert [text for text in problems if "STREAMGAUGE_HTTP__PORT" in text]
    assert [text for text in problems if text.startswith("STREAMGAUGE_HTP__HOST")]
    assert [text for text in problems if f"{streams}:8: " in text]


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), (b"\xff\xfe", "not UTF-8"), (b"", "streams.yaml")]
)
def test_definitions_that_cannot_be_read_are_named(streams, content, said):
    streams.unlink()
    if content is not None:
        streams.write_bytes(content)
    [problem, *_] = checked_environment({}, streams).problems
    assert str(streams) in problem
    assert said in problem


def test_definitions_that_nobody_names_are_a_problem():
    [problem] = checked_environment({}, None).problems
    assert "--streams FILE" in problem


def test_the_option_wins_over_the_setting(streams):
    checked = checked_environment({"STREAMGAUGE_STREAMS": "/nowhere.yaml"}, streams)
    assert checked.problems == ()
    assert checked.definitions is not None


def test_the_summary_tells_what_is_set_up_and_no_secret(streams):
    environ = {
        "STREAMGAUGE_SOURCES__GITHUB__SECRET": SECRET,
        "STREAMGAUGE_REDIS__URL": f"redis://:{SECRET}@cache.example:6379/0",
    }
    checked = checked_environment(environ, streams)
    assert checked.settings is not None
    assert checked.definitions is not None
    lines = [" ".join(line.split()) for line in summary(checked.settings, checked.definitions)]
    assert "checkout: 3 stages, windows 1h, 7d" in lines
    assert "develop active WIP limit 6 85% within 3d" in lines
    assert "github on" in lines
    assert "cdevents off: set STREAMGAUGE_SOURCES__CDEVENTS__SECRET" in lines
    assert [line for line in lines if line.startswith("your own: STREAMGAUGE_REDIS__URL")]
    assert "STREAMGAUGE_HTTP__PORT 8080 default" in lines
    assert SECRET not in "\n".join(lines)


def test_a_good_set_up_ends_well_and_a_bad_one_with_1(streams, monkeypatch, capsys):
    monkeypatch.setattr(os, "environ", {})
    check(streams)
    assert "checkout" in capsys.readouterr().out
    with pytest.raises(typer.Exit) as caught:
        check(Path("/nowhere/streams.yaml"))
    assert caught.value.exit_code == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "1 problem:" in said.err
