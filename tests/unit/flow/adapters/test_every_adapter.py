"""What holds of every adapter, whatever is sent to it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.adapters import ADAPTERS, Delivery
from flow.errors import Reason, Rejected
from flow.facts import decode_fact, encode_fact
from tests.unit.flow.adapters.ci_payloads import SAMPLES as OF_CI
from tests.unit.flow.adapters.github_payloads import SAMPLES as OF_GITHUB
from tests.unit.flow.adapters.telling import ARRIVED, is_the_same_when_sent_again, names_in, survives_everything, told
from tests.unit.flow.adapters.tracker_payloads import SAMPLES as OF_TRACKERS

SAMPLES = [*OF_GITHUB, *OF_TRACKERS, *OF_CI]

EVENTS = {
    "github": [
        "issues", "pull_request", "push", "deployment_status", "workflow_run", "release", "projects_v2_item", "ping",
    ],
}  # fmt: skip
LONGEST_ID = 255

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMED = [pytest.param(*sample, id=f"{sample[0]}-{number}") for number, sample in enumerate(SAMPLES)]


def headers_of(source: str) -> st.SearchStrategy[dict[str, str]]:
    events = st.sampled_from(EVENTS.get(source, ["Issue"]))
    names = st.sampled_from(["x-github-event", "x-gitlab-event", "linear-event", "x-event-key", "x-plane-event"])
    return st.dictionaries(names, st.text(max_size=10), max_size=2).flatmap(
        lambda headers: events.map(lambda event: headers | ({"x-github-event": event} if source == "github" else {}))
    )


def check_that_it_is_told_ignored_or_refused(source: str, headers: dict[str, str], body: bytes) -> None:
    try:
        translation = ADAPTERS[source].translate(Delivery(source, headers, body, ARRIVED), names_in)
    except Rejected as error:
        assert error.reason in {Reason.NOT_UNDERSTOOD, Reason.MALFORMED_JSON, Reason.UNSUPPORTED_MEDIA_TYPE}  # noqa: PT017
        assert error.message  # noqa: PT017
        return
    assert bool(translation.facts) != bool(translation.ignored)
    for fact in translation.facts:
        assert decode_fact(encode_fact(fact)) == fact
        assert 0 < len(fact.id) <= LONGEST_ID


@pytest.mark.parametrize("source", sorted(ADAPTERS))
@given(st.data())
def test_any_body_is_told_ignored_or_refused(source: str, data: st.DataObject) -> None:
    headers = data.draw(headers_of(source))
    body = data.draw(st.binary(max_size=200) | JSON.map(json.dumps).map(str.encode))
    check_that_it_is_told_ignored_or_refused(source, headers, body)


@given(st.data())
def test_a_payload_of_which_any_part_is_changed_is_told_ignored_or_refused(data: st.DataObject) -> None:
    source, headers, sample = data.draw(st.sampled_from(SAMPLES))
    body: Any = json.loads(json.dumps(sample))
    for _ in range(data.draw(st.integers(1, 3))):
        place = body
        while isinstance(place, (dict, list)) and place:
            key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
            if isinstance(place[key], (dict, list)) and place[key] and data.draw(st.booleans()):
                place = place[key]
                continue
            if data.draw(st.booleans()):
                del place[key]
            else:
                place[key] = data.draw(JSON)
            break
    check_that_it_is_told_ignored_or_refused(source, headers, json.dumps(body).encode())


@pytest.mark.parametrize(("source", "headers", "sample"), NAMED)
def test_each_value_of_a_payload_may_be_missing_or_nonsense(source, headers, sample):
    assert survives_everything(source, sample, headers) > 50


@pytest.mark.parametrize(("source", "headers", "sample"), NAMED)
def test_a_payload_tells_facts_with_short_ids(source, headers, sample):
    facts = told(source, sample, headers).facts
    assert facts
    assert all(0 < len(fact.id) <= LONGEST_ID for fact in facts)


@pytest.mark.parametrize(("source", "headers", "sample"), NAMED)
def test_a_redelivery_tells_facts_under_the_same_ids(source, headers, sample):
    headers = headers | ({"x-gitlab-event-uuid": "e-1"} if source == "gitlab" else {})
    assert is_the_same_when_sent_again(source, sample, headers)


@pytest.mark.parametrize(("source", "headers", "sample"), NAMED)
def test_a_byte_order_mark_in_front_changes_nothing(source, headers, sample):
    body = json.dumps(sample).encode()
    assert (
        told(source, b"\xef\xbb\xbf" + body, headers).facts == told(source, body, headers).facts or source == "gitlab"
    )
