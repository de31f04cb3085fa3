"""Invented streams and facts: few items and few instants, so that ties, late facts and returns are common."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import strategies as st

from flow.definitions import Condition, ServiceLevel, Stage, StageKind, Stream
from flow.facts import ChangeFact, DeploymentFact, IncidentFact, ItemFact, LaneFact, SignalFact
from flow.instants import DAY, HOUR, MINUTE
from tests.oracle import TimelineFact

BASE = 4_102_444_800_000
"""The start of 2100: a server's real clock lets none of these rows expire."""

INSTANTS = [BASE - 1, BASE, BASE + 1, BASE + 40, BASE + MINUTE, BASE + 61_000, BASE + HOUR - 1, BASE + HOUR]
INSTANTS += [BASE + 5 * HOUR + 7, BASE + DAY, BASE + 2 * DAY + 12_345, BASE + 9 * DAY, BASE + 40 * DAY]

STATUSES = ["S0", "S1", "S2", "S3", "S4"]
LABELS = ["l0", "l1", "l2", "l3", "l4"]
SIGNALS = ["change.opened", "change.merged", "deployment.succeeded"]

PLAIN = Stream(
    "plain",
    (
        Stage("backlog", "queue", (Condition(status="S0"),)),
        Stage("develop", "active", (Condition(status="S1"),), sle=ServiceLevel(0.85, 90_000)),
        Stage("review", "active", (Condition(status="S2"),)),
        Stage("done", "done", (Condition(status="S3"),)),
    ),
    targets={"cycle_time_p85": 2 * HOUR, "lead_time_p50": 3 * HOUR},
)


_CONDITIONS = st.one_of(
    st.builds(Condition, label=st.sampled_from(LABELS)),
    st.builds(Condition, status=st.sampled_from(STATUSES), label=st.sampled_from(LABELS)),
    st.builds(Condition, signal=st.sampled_from(SIGNALS)),
    st.builds(Condition, signal=st.just("deployment.succeeded"), environment=st.sampled_from(["test", "live"])),
)
_STAGE_PARTS = st.tuples(
    st.sampled_from(["queue", "active"]),
    st.lists(_CONDITIONS, max_size=2),
    st.sampled_from([None, None, 40, 90_000, 3 * HOUR, 200 * DAY]),
)


@st.composite
def generated_streams(draw: st.DrawFn) -> Stream:
    """Two to five stages, the last one or two of kind done; read by status, label, both or signal."""
    parts = draw(st.lists(_STAGE_PARTS, min_size=2, max_size=5))
    first_done = len(parts) - (2 if len(parts) > 2 and draw(st.booleans()) else 1)
    marked = draw(st.none() | st.integers(0, first_done))
    stages = []
    for index, (kind, conditions, objective) in enumerate(parts):
        every = (Condition(status=STATUSES[index]), *conditions)
        sle = None if objective is None else ServiceLevel(0.85, objective)
        stages.append(
            Stage(
                f"stage-{index}",
                cast(StageKind, kind if index < first_done else "done"),
                every,
                None,
                sle,
                index == marked,
            )
        )
    objectives: list[dict[str, float]] = [{}, {"cycle_time_p85": 2 * HOUR}, {"lead_time_p50": 61_000.0}]
    targets = draw(st.sampled_from(objectives))
    return Stream("generated", tuple(stages), targets=targets)


STREAMS = st.one_of(st.just(PLAIN), generated_streams(), generated_streams())


def _optional(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these, mostly few. Built once: drawing from a new strategy costs ten times as much."""
    some = st.fixed_dictionaries({}, optional=values)
    return st.one_of(st.just({}), some)


_PLACES = st.tuples(st.integers(0, 9), st.integers(0, 7), st.integers(0, 7), st.sampled_from([0, 0, 0, 1, 2]))
"""Of a fact: a digit that its id starts with, which item or service and which instant of those drawn, its seq."""

_TOLD_OF_ITEMS = st.tuples(
    st.sampled_from([*STATUSES, *STATUSES, "Nobody's", None]),
    st.sampled_from(["acme", "acme", "other-tracker"]),
    _optional(
        blocked=st.booleans(),
        deleted=st.booleans(),
        labels=st.lists(st.sampled_from(LABELS), max_size=2).map(tuple),
        type=st.sampled_from(["Bug", "story", "defect", "Unheard of"]),
        title=st.sampled_from(["Pay by card", "Pay by invoice"]),
        value=st.sampled_from([0.0, 1.0, 2.5, 8.0, -1.0]),
        team=st.sampled_from(["payments", "payments", "platform"]),
        criticality=st.sampled_from([0.0, 3.0]),
        risk_reduction=st.sampled_from([0.0, 0.1]),
        size=st.sampled_from([1.0, 3.0, 0.0]),
    ),
)
_SIGNALLED = st.tuples(st.sampled_from(SIGNALS), st.sampled_from([None, "test", "live"]))
_ABOUT_ITEMS = st.tuples(_PLACES, st.one_of(*[_TOLD_OF_ITEMS] * 5, _SIGNALLED))

_CHOSEN_INSTANTS = st.lists(st.sampled_from(INSTANTS), min_size=1, max_size=8, unique=True)
_FEW_NUMBERS = st.integers(1, 3)
TOLD = {most: st.lists(_ABOUT_ITEMS, min_size=most // 4, max_size=most) for most in (8, 16)}
LONG = st.lists(_ABOUT_ITEMS, min_size=8, max_size=16)
_TIMELINES = st.one_of(TOLD[16], LONG, LONG)


def item_fact(drawn: Any, number: int, items: list[str], instants: list[int]) -> TimelineFact:
    """One fact of an item. Its id starts with a drawn digit, so that ids don't follow the order of arrival.

    Some ids are also statuses: what a timeline holds must not be taken for an id by chance.
    """
    (digit, item, at, seq), told = drawn
    name = STATUSES[number] if digit == 7 and number < len(STATUSES) else f"{digit}-{number}"
    item, at = items[item % len(items)], instants[at % len(instants)]
    if len(told) == 2:
        return SignalFact(name, "forge", item, at, told[0], seq, told[1])
    status, source, rest = told
    return ItemFact(name, source, item, at, seq, status, **rest)


@st.composite
def timelines(draw: st.DrawFn, items: int = 2) -> list[TimelineFact]:
    """Facts of a few items at a few instants, in no order, each once."""
    names = [f"CHK-{number}" for number in range(1 + draw(_FEW_NUMBERS) % items)]
    instants = draw(_CHOSEN_INSTANTS)
    return [item_fact(drawn, number, names, instants) for number, drawn in enumerate(draw(_TIMELINES))]


@st.composite
def arrivals(draw: st.DrawFn, facts: list[Any]) -> list[Any]:
    """The facts in any order, some of them more than once."""
    again = draw(st.lists(st.sampled_from(facts), max_size=4))
    return draw(st.permutations([*facts, *again]))


_COMMITS = st.sampled_from([None, "c1", "c2", "c3"])
_OF_CHANGES = st.tuples(
    st.sampled_from(["opened", "merged", "merged", "abandoned"]),
    st.sampled_from([("7", "c1"), ("7", None), ("7", "c2"), ("8", "c2"), ("9", "c3"), ("c3", "c3"), ("c3", None)]),
    st.sampled_from([None, "before 1970", *range(8)]),
)
"""Names and commits; what is told of a merge may lack its commit, and `9` is also told as a pushed commit."""
_LIVE_OR_TEST = st.sampled_from(["live", "live", "test"])
_DEPLOYMENTS = st.sampled_from(["d1", "d2", "d3"])
_OF_DEPLOYMENTS = st.tuples(
    st.sampled_from(["started", "succeeded", "succeeded", "succeeded", "failed", "rolled_back"]),
    _DEPLOYMENTS,
    _COMMITS,
    _LIVE_OR_TEST,
    st.sampled_from([None, None, None, "P-1"]),
)
_OF_INCIDENTS = st.tuples(
    st.sampled_from(["opened", "acknowledged", "resolved", "resolved"]),
    st.sampled_from(["P-1", "P-1", "P-2"]),
    st.none() | _DEPLOYMENTS,
    _LIVE_OR_TEST,
    st.none(),
    st.none(),
)
_ABOUT_LANES = st.tuples(
    _PLACES, st.one_of(_OF_CHANGES, _OF_DEPLOYMENTS, _OF_DEPLOYMENTS, _OF_INCIDENTS, _OF_INCIDENTS)
)
DELIVERED = {most: st.lists(_ABOUT_LANES, min_size=1, max_size=most) for most in (4, 16)}
_HISTORIES = st.one_of(DELIVERED[16], *[st.lists(_ABOUT_LANES, min_size=10, max_size=20)] * 2)


def lane_fact(drawn: Any, number: int, services: list[str], instants: list[int]) -> LaneFact:
    """One fact of a change, a deployment or an incident; several may tell the same of the same one."""
    (digit, service, at, seq), told = drawn
    name, service, at = f"{digit}-{number}", services[service % len(services)], instants[at % len(instants)]
    if len(told) == 3:
        state, (change, commit), written = told
        written_at = instants[written % len(instants)] if isinstance(written, int) else -5 if written else None
        return ChangeFact(name, "forge", service, change, at, state, seq, written_at, commit)
    if len(told) == 5:
        state, deployment, commit, environment, incident = told
        return DeploymentFact(name, "forge", service, environment, deployment, at, state, seq, commit, (), incident)
    state, incident, deployment, environment, *_ = told
    return IncidentFact(name, "pager", service, environment, incident, at, state, seq, deployment)


@st.composite
def deliveries(draw: st.DrawFn) -> list[LaneFact]:
    """Facts of one or two services at a few instants, in no order, each once."""
    services = ["shop", "till"][: 1 + draw(_FEW_NUMBERS) % 2]
    instants = draw(_CHOSEN_INSTANTS)
    return [lane_fact(drawn, number, services, instants) for number, drawn in enumerate(draw(_HISTORIES))]
