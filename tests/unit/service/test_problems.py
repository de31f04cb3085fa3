from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from flow.errors import (
    NotFound,
    PositionConflict,
    Reason,
    Rejected,
    StreamgaugeError,
    TooLarge,
    Unauthorised,
    Unavailable,
)
from service.problems import MEDIA_TYPE, STATUS_OF_CLASS, problem_of


def every_class(of: type[StreamgaugeError] = StreamgaugeError) -> Iterator[type[StreamgaugeError]]:
    for subclass in of.__subclasses__():
        yield subclass
        yield from every_class(subclass)


def test_every_class_of_the_tree_has_a_status():
    assert set(STATUS_OF_CLASS) == set(every_class())


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Rejected(Reason.INVALID_REQUEST, "no"), 400),
        (Rejected(Reason.UNSUPPORTED_MEDIA_TYPE, "no"), 415),
        (TooLarge("no"), 413),
        (Unauthorised(Reason.BAD_TOKEN, "no"), 401),
        (NotFound(Reason.UNKNOWN_STREAM, "no"), 404),
        (Unavailable(Reason.LOG_UNAVAILABLE, "no"), 503),
    ],
)
def test_a_clients_problem_says_what_and_why(error, status):
    answer = problem_of(error)
    body = json.loads(bytes(answer.body))
    assert (answer.status_code, answer.media_type) == (status, MEDIA_TYPE)
    assert (body["status"], body["detail"], body["reason"]) == (status, "no", error.reason)
    assert body["type"] == f"urn:streamgauge:problem:{error.reason}"


def test_who_is_not_proved_is_told_how_to_prove_it():
    assert problem_of(Unauthorised(Reason.MISSING_TOKEN, "no")).headers["www-authenticate"].startswith("Bearer ")


def test_who_has_to_wait_is_told_how_long():
    assert problem_of(Unavailable(Reason.OVERLOADED, "no", retry_after=7)).headers["retry-after"] == "7"


def test_a_fault_of_ours_says_nothing_of_itself():
    body = bytes(problem_of(PositionConflict("partition 3 of host x")).body)
    assert b"host x" not in body
    assert json.loads(body)["status"] == 500
