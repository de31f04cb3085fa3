"""The README tells what there is: every command, route and setting, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer.main
from redis.asyncio import Redis

from flow.adapters import ADAPTERS
from flow.cells import Retention
from flow.definition_file import read_definitions
from flow.definitions import Definitions
from service.api import build_api
from service.authorisation import TokenCheck
from service.command_line.app import build
from service.command_line.demo_command import definitions
from service.ingest_openapi import add_ingest_to_openapi
from service.reader import StateReader
from service.setting_sections import SourceSettings
from service.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SETTINGS = (ROOT / "docs" / "settings.md").read_text()


def section(heading):
    found = re.search(rf"^## {heading}$(.*?)^## ", README, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def rows(heading):
    """The cells of the section's table, without its head."""
    return table(section(heading))


def table(text):
    """The cells of all tables in a text, without their heads."""
    lines = text.splitlines()
    under = [line for line, below in zip(lines, [*lines[1:], ""], strict=True) if not below.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in under if line.startswith("| ")]


def test_every_setting_stands_in_the_readme_with_its_default():
    told = {row[0].strip("`"): row[1] for row in table(SETTINGS)}
    of_sources = {name for name in told if "<SOURCE>" in name}
    described = {entry.name: entry.value for entry in Settings.load({}).describe()}
    assert {name: told[name] for name in told.keys() - of_sources} == described
    assert of_sources == {f"STREAMGAUGE_SOURCES__<SOURCE>__{what.upper()}" for what in SourceSettings.model_fields}


def test_every_webhook_source_has_a_page_that_names_its_secret():
    for name in ADAPTERS:
        page = (ROOT / "docs" / "sources" / f"{name}.md").read_text()
        assert f"STREAMGAUGE_SOURCES__{name.upper().replace('-', '_')}__" in page, name


def test_every_command_stands_in_the_readme():
    app: Any = typer.main.get_command(build())
    names = {re.match(r"`streamgauge ([\w-]+)", row[0])[1] for row in rows("Commands")}
    assert names == set(app.commands)


def test_every_route_stands_in_the_readme():
    reader = StateReader(Redis(), Definitions({}), Retention(), 1, lambda: 0)
    document = build_api(reader, TokenCheck({}, open_access=True), "1").openapi()
    add_ingest_to_openapi(document)
    there = {f"{method.upper()} {path}" for path, route in document["paths"].items() for method in route}
    told = {route for row in rows("Routes") for route in re.findall(r"`((?:GET|POST) \S+)`", row[0])}
    assert told == there | {"GET /metrics"}


def test_the_first_things_that_one_does_are_there():
    for words in ("make demo", "make test", "streamgauge up", "docs/metrics.md"):
        assert words in README


def test_the_stream_definitions_of_the_readme_and_of_the_demo_are_right():
    [example] = re.findall(r"<!-- example: streams.yaml -->\n```yaml\n(.*?)```", README, re.DOTALL)
    assert list(read_definitions(example).streams) == ["checkout"]
    assert list(read_definitions(definitions()).streams) == ["product", "platform"]


def test_no_link_leads_nowhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link.partition("#")[0]).exists()] == []
