"""What is kept of a delivery: everything but what proves who sent it."""

from __future__ import annotations

import json

import pytest

from flow.dead_letters import LETTER_COLUMNS, read_letter
from flow.errors import Reason
from flow.signatures import SCHEMES
from service.dead_letters import DeliveryLetter, public_headers


def as_bytes(value):
    return value if isinstance(value, bytes) else str(value).encode()


def test_a_letter_is_read_back_as_it_was_written():
    letter = DeliveryLetter("github", Reason.NOT_UNDERSTOOD, "not an event", 5, {"x-github-event": "issues"}, b"\xff\0")
    stored = {as_bytes(name): as_bytes(value) for name, value in letter.fields().items()}
    read = read_letter(b"1-0", stored)
    assert (read.kind, read.source, read.reason, read.message, read.at) == (
        "delivery", "github", "not_understood", "not an event", 5,
    )  # fmt: skip
    assert json.loads(read.headers) == {"x-github-event": "issues"}
    assert read.body == b"\xff\0"
    assert set(letter.fields()) <= set(LETTER_COLUMNS)


def headers_of_schemes():
    for scheme in SCHEMES.values():
        yield scheme.header
        if scheme.otherwise is not None:
            yield scheme.otherwise.header


@pytest.mark.parametrize(
    "name",
    sorted({*headers_of_schemes(), "authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token"}),
)
def test_no_header_that_proves_the_sender_is_kept(name):
    assert public_headers({name: "s3cret", "content-type": "application/json"}) == {"content-type": "application/json"}


@pytest.mark.parametrize(
    "name", ["x-github-event", "x-github-delivery", "ce-id", "ce-type", "user-agent", "content-type"]
)
def test_headers_that_tell_what_it_is_are_kept(name):
    assert public_headers({name: "x"}) == {name: "x"}
