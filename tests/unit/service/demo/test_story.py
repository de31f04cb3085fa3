"""The organisation of the demo as a sender for days: a restart goes on where it was."""

from __future__ import annotations

import json

import httpx
import pytest

from flow.definition_file import read_definitions
from flow.errors import SettingsError, Unavailable
from flow.instants import DAY, MINUTE
from flow.matching import Router
from service.api_client import ApiClient
from service.command_line.demo_command import definitions
from service.demo.poster import Poster
from service.demo.story import Story

START = 1_795_339_800_000
NAMES = Router(read_definitions(definitions())).items_named_in
HISTORY = 2 * DAY
HOUR_OF_WORK = 30 * MINUTE
"""Slow, so that two days of history are little to make."""


class Service:
    """Keeps the ids of the native facts that are posted, and counts webhooks."""

    def __init__(self):
        self.now = START
        self.facts: list[str] = []
        self.webhooks = 0
        self.away = False

    def __call__(self, request):
        if self.away:
            return httpx.Response(503, json={})
        if request.url.path == "/v1/facts":
            self.facts += [json.loads(line)["id"] for line in request.content.splitlines()]
        else:
            self.webhooks += 1
        return httpx.Response(202, json={})

    def story(self, file=None):
        client = ApiClient("http://gauge.test", transport=httpx.MockTransport(self))
        poster = Poster(client, "pretend-secret")
        return Story(poster, NAMES, lambda: self.now, hour=HOUR_OF_WORK, history=HISTORY, file=file)


def test_it_begins_with_history_and_goes_on_with_webhooks():
    service = Service()
    story = service.story()
    told = list(story.catch_up())
    assert told == sorted(told)
    assert told[-1] == len(service.facts) > 100
    assert len(set(service.facts)) == len(service.facts)
    assert service.webhooks == 0
    service.now += 30 * MINUTE
    story.go_on()
    assert service.webhooks > 10


def test_a_restart_tells_the_same_story_on(tmp_path):
    whole, service = Service(), Service()
    file = tmp_path / "story.json"
    list(service.story(file).catch_up())
    whole.now = service.now = START + HISTORY
    beginning = tmp_path / "whole.json"
    beginning.write_text(json.dumps(json.loads(file.read_text()) | {"told_until": 0}))
    list(whole.story(beginning).catch_up())
    second = service.story(file)
    posted = max(second.catch_up())
    assert 0 < posted < len(whole.facts)
    assert service.facts == whole.facts
    assert max(second.catch_up()) == 0


def test_what_could_not_be_posted_is_posted_by_the_next_run(tmp_path):
    service = Service()
    file = tmp_path / "story.json"
    service.away = True
    with pytest.raises(Unavailable):
        list(service.story(file).catch_up())
    service.away = False
    first = service.story(file)
    list(first.catch_up())
    kept = json.loads(file.read_text())
    assert kept["told_until"] == START
    service.away = True
    service.now += 5 * MINUTE
    first.go_on()
    assert json.loads(file.read_text()) == kept
    service.away = False
    first.go_on()
    assert json.loads(file.read_text()) == kept | {"told_until": service.now}


def test_a_file_that_is_something_else_is_refused(tmp_path):
    (tmp_path / "story.json").write_text("once upon a time")
    with pytest.raises(SettingsError, match="remove it to begin a new story"):
        Service().story(tmp_path / "story.json")
