"""The commands' side of the HTTP API: one client with a token, and errors that say what to do."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec

from flow.errors import NotFound, Reason, Rejected, StreamgaugeError, TooLarge, Unauthorised, Unavailable
from flow.instants import SECOND

DEFAULT_URL: Final = "http://127.0.0.1:8080"
TOKEN_VARIABLE: Final = "STREAMGAUGE_TOKEN"  # noqa: S105  (a name, not a token)
"""Environment variable that the commands take their token from."""

_FIRST_PAUSE: Final = 1
_NOT_NOW: Final = frozenset({429, 500, 502, 503, 504})
_LONGEST_SHOWN: Final = 300


class ApiClient:
    """Calls one Streamgauge. Use it as a context: it closes its connections at the end.

    `timeout` is in milliseconds. `transport` takes the place of the network in tests. Every method raises Unavailable
    when nobody answers or the answer is "not now", Unauthorised, NotFound, TooLarge, or Rejected for another refusal.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout: int = 30 * SECOND,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = checked_url(url)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # What is asked here is our own service: a proxy of the environment has no business with the token.
        self._client = httpx.Client(
            base_url=self.url, headers=headers, timeout=timeout / SECOND, transport=transport, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, **parameters: str | int | None) -> Any:
        """The JSON at this path; parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        response = self._send("GET", path, params=given)
        try:
            return msgspec.json.decode(response.content)
        except msgspec.DecodeError:
            raise Rejected(Reason.NOT_UNDERSTOOD, f"{self.url}{path} does not answer with JSON: {_OTHER}") from None

    def post_facts(self, lines: bytes) -> None:
        """Return when these native facts, one a line, are durable."""
        self._send("POST", "/v1/facts", content=lines, headers={"Content-Type": "application/x-ndjson"})

    def post_webhook(self, source: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Return when what this delivery tells is durable."""
        self._send("POST", f"/webhooks/{source}", content=body, headers=dict(headers))

    def is_ready(self) -> bool:
        """Whether the service says that it is ready."""
        try:
            self._send("GET", "/readyz")
        except StreamgaugeError:
            return False
        return True

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise Unavailable(Reason.STATE_UNAVAILABLE, _no_answer(self.url, error), _FIRST_PAUSE) from None
        if not response.is_success:
            raise error_of(response)
        return response


_OTHER: Final = "check that --url names a Streamgauge, and no other service"


def checked_url(url: str) -> str:
    """The address without a slash at its end. Raises Rejected(invalid_request) when it is not a web address."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        parsed = httpx.URL("")
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise Rejected(Reason.INVALID_REQUEST, f"--url: {url!r} is not a web address: write one such as {DEFAULT_URL}")
    return url.rstrip("/")


def error_of(response: httpx.Response) -> StreamgaugeError:
    """What a refusal means to us: the problem document's own words where it is one (RFC 9457)."""
    status = response.status_code
    said = _problem(response)
    reason = _reason(said.get("reason"), status)
    detail = str(said.get("detail") or "")[:_LONGEST_SHOWN]
    message = detail or f"{response.request.url.path} answered {status} without saying why: {_OTHER}"
    if status == httpx.codes.UNAUTHORIZED:
        return Unauthorised(reason, f"{message}: give the commands a token with --token or {TOKEN_VARIABLE}")
    if status == httpx.codes.NOT_FOUND:
        return NotFound(reason, message)
    if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
        return TooLarge(message)
    if status in _NOT_NOW:
        return Unavailable(reason, message, _retry_after(response))
    return Rejected(reason, message, _problems_in(said))


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return said if isinstance(said, dict) else {}


def _reason(word: object, status: int) -> Reason:
    try:
        return Reason(str(word))
    except ValueError:
        return Reason.STATE_UNAVAILABLE if status in _NOT_NOW else Reason.INVALID_REQUEST


def _problems_in(said: Mapping[str, Any]) -> list[tuple[str, str]]:
    listed = said.get("problems")
    entries = listed if isinstance(listed, list) else []
    return [
        (str(entry.get("where", "")), str(entry.get("what", ""))) for entry in entries if isinstance(entry, Mapping)
    ]


def _retry_after(response: httpx.Response) -> int:
    """Seconds. Retry-After may also be a date (RFC 9110, 10.2.3), which Streamgauge never sends."""
    text = response.headers.get("Retry-After", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else _FIRST_PAUSE


def _no_answer(url: str, error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectError):
        return f"nobody answers at {url}: start `streamgauge up`, or name the right address with --url"
    if isinstance(error, httpx.TimeoutException):
        return f"{url} took too long to answer: try again in a moment"
    return f"the connection to {url} broke ({type(error).__name__}): try again in a moment"
