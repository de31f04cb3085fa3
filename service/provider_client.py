"""Asks a provider's API: one request at a time, as often as it allows, again when it fails for the moment.

An answer that is cut off, or that is not JSON though it says that all is well, counts as a failure for the moment.
The token goes to the API's own address and nowhere else.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec

from flow.errors import NotFound, Reason, Rejected, TooLarge, Unauthorised, Unavailable
from flow.instants import MINUTE, SECOND
from service.provider_limits import asked_too_often, retry_after, used_up
from service.version import version

MOST_BYTES: Final = 64_000_000
"""Of one answer: some hundred times a large page."""

_NOT_NOW: Final = frozenset({408, 425, 500, 502, 503, 504})
_GONE: Final = frozenset({404, 410})
_LONGEST_SHOWN: Final = 200
_WORTH_TELLING: Final = 5 * SECOND
_MOST_THROTTLED: Final = 50


@dataclass(frozen=True, slots=True)
class Access:
    """Where a provider's API is, and the headers that let us in. `name` is for people."""

    name: str
    url: str
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Access({self.name!r}, {self.url!r})"


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something that fails is tried, and how long is waited between (milliseconds; it doubles)."""

    tries: int = 8
    first: int = SECOND
    longest: int = MINUTE


@dataclass(frozen=True, slots=True)
class Answer:
    """The JSON that was answered. `next` and `last`: the addresses of these pages (RFC 8288), where they are told.

    `total`: how many entries the whole list has, where GitLab tells it.
    """

    content: Any
    next: str | None = None
    last: str | None = None
    total: int | None = None


class ProviderClient:
    """Use it as an async context. Its methods raise Unavailable after long patience, Unauthorised, NotFound, Rejected.

    `pause` waits for some seconds, `clock` gives milliseconds, `waiting` is told why and for how many seconds.
    """

    def __init__(
        self,
        access: Access,
        *,
        clock: Callable[[], int],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        waiting: Callable[[str, float], None] = lambda why, seconds: None,
        patience: Patience = Patience(),
        timeout: int = 60 * SECOND,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = access.name
        self._base = httpx.URL(access.url.rstrip("/"))
        self._clock = clock
        self._pause = pause
        self._waiting = waiting
        self._patience = patience
        self._jitter = jitter
        self._not_before = 0
        headers = {"Accept": "application/json", "User-Agent": f"streamgauge/{version()}", **access.headers}
        self._client = httpx.AsyncClient(headers=headers, timeout=timeout / SECOND)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    @property
    def base(self) -> str:
        """The address of the API, without a slash at its end."""
        return str(self._base).rstrip("/")

    async def get(self, path: str, **parameters: str | int | None) -> Answer:
        """What is at this path, or at the address of a next page. Parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return await self._asked("GET", self._address(path), params=given or None)

    async def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """What is answered to this question. It must be one that may be asked twice."""
        return await self._asked("POST", self._address(path), json=dict(body))

    async def graphql(self, path: str, query: str, **variables: Any) -> Any:
        """The `data` of a GraphQL answer. Raises Rejected with what the API says is wrong with the query."""
        said = (await self.post(path, {"query": query, "variables": variables})).content
        data = said.get("data") if isinstance(said, dict) else None
        errors = said.get("errors") if isinstance(said, dict) else None
        if isinstance(data, dict) and (not errors or any(value is not None for value in data.values())):
            return data
        message = _message(said) or "no data"
        if "not_found" in str(errors).lower() or "could not resolve" in message.lower():
            raise NotFound(Reason.UNKNOWN_ITEM, f"{self.name}: {message}")
        raise Rejected(Reason.INVALID_REQUEST, f"{self.name} refused a question: {message}")

    def _address(self, path: str) -> httpx.URL:
        """Raises Rejected for a page that is not on the API's own host: our token must not go there."""
        if not path.startswith(("http://", "https://")):
            return httpx.URL(f"{self._base}/{path.lstrip('/')}")
        url = httpx.URL(path)
        if _origin(url) != _origin(self._base):
            fix = f"set its API_URL to where it answers, instead of {self._base.host}"
            raise Rejected(Reason.INVALID_REQUEST, f"{self.name} sends us to another host, {url.host}: {fix}")
        return url

    async def _asked(self, method: str, url: httpx.URL, **options: Any) -> Answer:
        failures = throttled = 0
        while True:
            await self._wait_for_turn()
            try:
                answer, asked, failure = await self._attempt(method, url, **options)
            except httpx.HTTPError as error:
                answer, asked, failure = None, None, f"the connection failed ({type(error).__name__})"
            if answer is not None:
                return answer
            if asked is not None and throttled < _MOST_THROTTLED:
                throttled += 1
                await self._wait(asked, f"{self.name} limits how often it may be asked")
                continue
            failures += 1
            if failures >= self._patience.tries:
                message = (
                    f"{self.name} does not answer {url.path}: {failure or 'asked too often'}; tried {failures} times"
                )
                raise Unavailable(Reason.STATE_UNAVAILABLE, f"{message}: try again later")
            backoff = min(self._patience.longest, self._patience.first * 2 ** (failures - 1))
            await self._wait(int(backoff * (0.75 + 0.5 * self._jitter())), f"{self.name}: {failure}")

    async def _attempt(self, method: str, url: httpx.URL, **options: Any) -> tuple[Answer | None, int | None, str]:
        """An answer; or how long to wait, when that was said; or why it failed for the moment."""
        async with self._client.stream(method, url, **options) as response:
            body = await self._body_of(response)
        now = self._clock()
        asked = asked_too_often(response.status_code, response.headers, body, now)
        if asked is not None:
            return None, asked, ""
        if response.status_code in _NOT_NOW:
            return None, None, f"it answered {response.status_code}"
        if not response.is_success:
            raise self._refusal(response, body)
        try:
            content = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None, None, "its answer was cut off, or is not JSON"
        rest = retry_after(response.headers, now) or used_up(response.headers, now)
        if rest:
            self._not_before = now + rest
        next_page, last_page = (response.links.get(name, {}).get("url") for name in ("next", "last"))
        total = response.headers.get("x-total", "")
        count = int(total) if total.isascii() and total.isdigit() and len(total) < 10 else None
        return Answer(content, next_page, last_page, count), None, ""

    async def _body_of(self, response: httpx.Response) -> bytes:
        parts, size = [], 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > MOST_BYTES:
                raise TooLarge(f"{self.name} answers {response.request.url.path} with more than {MOST_BYTES} bytes")
            parts.append(part)
        return b"".join(parts)

    async def _wait_for_turn(self) -> None:
        rest = self._not_before - self._clock()
        if rest > 0:
            await self._wait(rest, f"{self.name} allows no more for now")

    async def _wait(self, milliseconds: int, why: str) -> None:
        if milliseconds >= _WORTH_TELLING:
            self._waiting(why, milliseconds / SECOND)
        await self._pause(milliseconds / SECOND)

    def _refusal(self, response: httpx.Response, body: bytes) -> NotFound | Unauthorised | Rejected:
        status, path = response.status_code, response.request.url.path
        said = _message_in(body)
        if status == httpx.codes.UNAUTHORIZED:
            return Unauthorised(Reason.BAD_TOKEN, f"{self.name} does not accept the token: make a new one, and set it")
        if status == httpx.codes.FORBIDDEN:
            return Unauthorised(Reason.BAD_TOKEN, f"{self.name}: the token may not read {path}: {said or 'forbidden'}")
        if status in _GONE:
            return NotFound(Reason.UNKNOWN_ITEM, f"{self.name} has no {path}, or the token may not see it")
        where = f" to {response.headers['location'][:_LONGEST_SHOWN]}" if "location" in response.headers else ""
        return Rejected(
            Reason.INVALID_REQUEST, f"{self.name} answered {path} with {status}{where}: {said or 'no reason'}"
        )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _message_in(body: bytes) -> str:
    try:
        return _message(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _message(said: object) -> str:
    """The words of a provider's error, in the shapes that these have."""
    if not isinstance(said, dict):
        return ""
    listed = said.get("errors") or said.get("errorMessages")
    first = listed[0] if isinstance(listed, list) and listed else None
    text = first.get("message") if isinstance(first, dict) else first
    found = text or said.get("message") or said.get("error") or ""
    words = " ".join(str(found).split())[:_LONGEST_SHOWN]
    return "".join(letter if letter.isprintable() else "?" for letter in words)
