"""How long a provider's API wants to be left alone. Pure: read from the status, the headers and the body of an answer.

| provider | says |
|---|---|
| all | 429, with Retry-After in seconds or as a date (RFC 9110) |
| GitHub | 403 or 429, x-ratelimit-remaining 0 and x-ratelimit-reset; secondary limit: retry-after, or only words; GraphQL: RATE_LIMITED |
| GitLab | 429, RateLimit-Reset (epoch seconds), Retry-After |
| Jira | 429, Retry-After, X-RateLimit-Reset (a date) |
| Linear | 400 with RATELIMITED, X-RateLimit-Requests-Reset and X-RateLimit-Complexity-Reset (epoch milliseconds) |
| Azure DevOps | Retry-After, also on answers that succeed |
"""  # noqa: E501  (a row of a table can't wrap)

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from flow.adapters.times import provider_time
from flow.instants import DAY, HOUR, MINUTE, SECOND, instant_of

LONGEST_WAIT: Final = 2 * HOUR
"""Whatever is asked for. The longest window of these providers is an hour."""

_WITHOUT_A_WORD: Final = MINUTE
_REMAINING: Final = (
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
    ("x-ratelimit-requests-remaining", "x-ratelimit-requests-reset"),
    ("x-ratelimit-complexity-remaining", "x-ratelimit-complexity-reset"),
)
"""Headers that say how much may still be asked, and when it is more again."""
_LONGEST_DELTA: Final = 1_000_000
"""Seconds: a smaller number is a length of time, a greater one an epoch time."""
_SEARCHED: Final = 4_096


def asked_too_often(status: int, headers: Mapping[str, str], body: bytes, now: int) -> int | None:
    """Milliseconds to wait before the same is asked again; None when the answer is not about that.

    Header names are in lower case. `now` is in milliseconds.
    """
    if not _is_about_limits(status, headers, body[:_SEARCHED]):
        return None
    asked = retry_after(headers, now)
    if asked is None:
        asked = used_up(headers, now)
    return min(LONGEST_WAIT, max(SECOND, _WITHOUT_A_WORD if asked is None else asked))


def used_up(headers: Mapping[str, str], now: int) -> int | None:
    """Milliseconds until there is more, when nothing may be asked any more; None while something may."""
    resets = [_until(headers.get(reset, ""), now) for left, reset in _REMAINING if headers.get(left, "").strip() == "0"]
    known = [wait for wait in resets if wait is not None]
    return min(LONGEST_WAIT, max(known)) if known else None


def retry_after(headers: Mapping[str, str], now: int) -> int | None:
    """What Retry-After says, in milliseconds from now; None when there is no such header, or nothing to be read."""
    wait = _until(headers.get("retry-after", ""), now)
    return None if wait is None else min(LONGEST_WAIT, wait)


def _is_about_limits(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    if status == 429:
        return True
    if status == 403:
        out = any(headers.get(left, "").strip() == "0" for left, _ in _REMAINING)
        return out or "retry-after" in headers or b"rate limit" in body.lower()
    if status == 503:
        return "retry-after" in headers
    return status in {200, 400} and (b'"RATELIMITED"' in body or b'"RATE_LIMITED"' in body)


def _until(text: str, now: int) -> int | None:
    """Milliseconds from now, at least 0: of a number of seconds, an epoch time or a date."""
    text = text.strip()
    if not text or len(text) > 64:
        return None
    if text.isascii() and text.isdigit() and int(text) < _LONGEST_DELTA:
        return int(text) * SECOND
    try:
        instant = provider_time(text)
    except ValueError:
        instant = _http_date(text)
    return None if instant is None or instant - now > DAY else max(0, instant - now)


def _http_date(text: str) -> int | None:
    try:
        moment = parsedate_to_datetime(text)
        return instant_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None
