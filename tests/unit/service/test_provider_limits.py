from __future__ import annotations

import pytest

from flow.instants import HOUR, MINUTE, SECOND, parse_instant
from service.provider_limits import LONGEST_WAIT, asked_too_often, retry_after, used_up

NOW = parse_instant("2026-11-22T09:30:00Z")
EPOCH = NOW // 1000


@pytest.mark.parametrize(
    ("status", "headers", "body", "wait"),
    [
        pytest.param(429, {"retry-after": "17"}, b"", 17 * SECOND, id="all-seconds"),
        pytest.param(429, {"retry-after": "Sun, 22 Nov 2026 09:31:00 GMT"}, b"", MINUTE, id="all-date"),
        pytest.param(429, {}, b"", MINUTE, id="all-without-a-word"),
        pytest.param(
            403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(EPOCH + 600)}, b"", 10 * MINUTE, id="github"
        ),
        pytest.param(403, {"retry-after": "30"}, b"{}", 30 * SECOND, id="github-secondary"),
        pytest.param(
            403, {"x-ratelimit-remaining": "41"}, b'{"message": "You have exceeded a secondary rate limit"}', MINUTE,
            id="github-secondary-only-words",
        ),
        pytest.param(
            200, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(EPOCH + 5)},
            b'{"errors": [{"type":"RATE_LIMITED"}]}', 5 * SECOND, id="github-graphql",
        ),
        pytest.param(
            429, {"ratelimit-remaining": "0", "ratelimit-reset": str(EPOCH + 9)}, b"", 9 * SECOND, id="gitlab"
        ),
        pytest.param(
            429, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2026-11-22T09:35Z"}, b"", 5 * MINUTE, id="jira"
        ),
        pytest.param(
            400,
            {"x-ratelimit-requests-remaining": "3", "x-ratelimit-complexity-remaining": "0",
             "x-ratelimit-complexity-reset": str(NOW + 90_000)},
            b'{"errors":[{"extensions":{"code":"RATELIMITED"}}]}', 90 * SECOND, id="linear",
        ),
        pytest.param(503, {"retry-after": "4"}, b"", 4 * SECOND, id="azure"),
    ],
)  # fmt: skip
def test_every_provider_is_left_alone_for_as_long_as_it_says(status, headers, body, wait):
    assert asked_too_often(status, headers, body, NOW) == wait


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (403, {"x-ratelimit-remaining": "41"}, b'{"message": "Resource not accessible by personal access token"}'),
        (401, {}, b"{}"),
        (500, {}, b"rate limit"),
        (503, {}, b""),
        (200, {"x-ratelimit-remaining": "0"}, b'{"title": "rate limit"}'),
        (400, {}, b'{"errors":[{"message":"Query too complex"}]}'),
    ],
)
def test_what_is_not_about_limits_is_not_waited_for(status, headers, body):
    assert asked_too_often(status, headers, body, NOW) is None


@pytest.mark.parametrize(
    "text", ["", "soon", "-3", "1e9", "9" * 70, "Thu, 99 Nov 2026 09:31:00 GMT", "99999999999999999999", "\x00"]
)
def test_a_retry_after_that_can_not_be_read_says_nothing(text):
    assert retry_after({"retry-after": text}, NOW) is None


def test_no_wait_is_longer_than_the_longest_and_none_is_nothing():
    assert asked_too_often(429, {"retry-after": "999999"}, b"", NOW) == LONGEST_WAIT == 2 * HOUR
    assert asked_too_often(429, {"retry-after": "0"}, b"", NOW) == SECOND


def test_a_budget_that_is_used_up_is_known_before_it_is_refused():
    used = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(EPOCH + 60)}
    assert used_up(used, NOW) == MINUTE
    assert used_up({**used, "x-ratelimit-remaining": "1"}, NOW) is None
    assert used_up({**used, "x-ratelimit-reset": str(EPOCH - 60)}, NOW) == 0
