from __future__ import annotations

from collections import Counter

import pytest

from flow.definition_file import read_definitions
from flow.facts import ItemFact, SignalFact
from flow.instants import HOUR, MINUTE, SECOND
from flow.matching import Router, StageMap
from flow.native import decode_native
from service.command_line.demo_command import definitions
from service.demo.happenings import Native, Webhook
from service.demo.organisation import Organisation
from service.demo.poster import history_lines
from service.demo.story import TEAMS
from service.log import with_signals

START = 1_795_339_800_000
NEVER = START + 1000 * HOUR

DEFINITIONS = read_definitions(definitions())
STREAM = DEFINITIONS.streams["product"]
ROUTER = Router(DEFINITIONS)
STAGES = StageMap(STREAM)
LIMIT = STREAM.stages[STREAM.stage_index("review")].wip_limit or 0


def told(until, seed=7, slow_from=NEVER, **options):
    return Organisation(seed, START, slow_from=slow_from, **options).until(until)


def facts_of(happenings):
    """The facts that the service makes of what happened, those about items as the stream takes them."""
    lines = b"\n".join(history_lines(happenings, ROUTER.items_named_in))
    facts = with_signals(decode_native(lines, "ndjson", START + 48 * HOUR, 0), ROUTER)
    return [fact for fact in facts if isinstance(fact, ItemFact | SignalFact)]


def visits_of(happenings):
    """By item: the stages that it was in, in order."""
    found: dict[str, list[str]] = {}
    ordered = sorted(facts_of(happenings), key=lambda fact: (fact.at, fact.seq, fact.id))
    for fact in ordered:
        stage = STAGES.stage_of(fact)
        stages = found.setdefault(fact.item, [])
        if stage is not None and (not stages or stages[-1] != STREAM.stages[stage].name):
            stages.append(STREAM.stages[stage].name)
    return found


def wip_of(happenings):
    last = Counter(stages[-1] for stages in visits_of(happenings).values())
    return {stage.name: last[stage.name] for stage in STREAM.stages}


def test_the_same_seed_tells_the_same_however_often_it_is_asked():
    organisation = Organisation(7, START, slow_from=START + MINUTE)
    steps = [happening for step in range(600) for happening in organisation.until(START + step * SECOND)]
    assert steps == told(START + 599 * SECOND, slow_from=START + MINUTE)
    assert steps != told(START + 599 * SECOND, seed=8, slow_from=START + MINUTE)


def test_nothing_is_told_before_it_is_due_and_all_of_it_in_order():
    until = START + 5 * MINUTE
    instants = [happening.at for happening in told(until)]
    assert instants == sorted(instants)
    assert instants[0] >= START
    assert instants[-1] <= until


def test_every_item_moves_through_the_stages_and_most_of_them_finish():
    found = visits_of(told(START + HOUR))
    assert {tuple(stages[:1]) for stages in found.values()} == {("request",)}
    assert {stage for stages in found.values() for stage in stages} == {stage.name for stage in STREAM.stages}
    straight = tuple(stage.name for stage in STREAM.stages)
    walks = Counter(tuple(stages) for stages in found.values())
    assert walks[straight] > 0.6 * len(found)
    assert sum(count for walk, count in walks.items() if walk[-1] == "done") > 0.9 * len(found)
    assert [walk for walk in walks if walk.count("develop") > 1]


def test_the_stream_understands_everything_that_is_said_of_items():
    facts = facts_of(told(START + HOUR))
    assert {ROUTER.streams_of(fact) for fact in facts} == {("product",)}
    unmapped = {fact.status for fact in facts if isinstance(fact, ItemFact) and STAGES.stage_of(fact) is None}
    assert unmapped <= {None}
    assert {fact.type for fact in facts if isinstance(fact, ItemFact)} >= {"bug", "enhancement"}
    assert any(fact.blocked for fact in facts if isinstance(fact, ItemFact))


def test_the_tools_of_an_organisation_all_speak():
    happenings = told(START + HOUR)
    events = Counter(happening.event for happening in happenings if isinstance(happening, Webhook))
    assert set(events) == {"issues", "pull_request", "push", "deployment_status"}
    sources = {happening.fields["source"] for happening in happenings if isinstance(happening, Native)}
    assert sources == {"test-bench", "roadmap", "pager"}


@pytest.mark.parametrize("seed", range(5))
def test_reviews_keep_up_until_they_slow_down_and_then_pile_up(seed):
    slow_from = START + 2 * MINUTE
    usual = told(START + 6 * MINUTE, seed, teams=TEAMS)
    slow = told(START + 6 * MINUTE, seed, slow_from, teams=TEAMS)
    assert wip_of(usual)["review"] <= 1.5 * LIMIT < 2 * LIMIT < wip_of(slow)["review"]
    before = [entry for entry in slow if entry.at < slow_from]
    assert before == [entry for entry in usual if entry.at < slow_from]


def test_organisations_share_no_item_no_deployment_and_no_incident():
    large = told(START + HOUR)
    small = told(START + HOUR, seed=8, repositories=["acme/platform"])
    assert {ROUTER.streams_of(fact) for fact in facts_of(small)} == {("platform",)}
    ids = [{fact.id for fact in facts} for facts in (every_fact_of(large), every_fact_of(small))]
    assert not ids[0] & ids[1]


def every_fact_of(happenings):
    return decode_native(b"\n".join(history_lines(happenings, ROUTER.items_named_in)), "ndjson", START + 48 * HOUR, 0)


def test_time_can_run_slower():
    assert len(told(START + HOUR, hour=10 * SECOND)) < len(told(START + HOUR)) / 5
