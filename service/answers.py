"""Answers of the routes that take facts in, without a framework: they are the hot path."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from flow.errors import Rejected, StreamgaugeError
from service.bodies import Message, Receive, Scope, Send
from service.problems import problem, problem_of, status_of

OK: Final = 200
ACCEPTED: Final = 202

_JSON: Final = (b"content-type", b"application/json")
_encode: Final = msgspec.json.Encoder().encode


def _messages(status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> tuple[Message, Message]:
    length = (b"content-length", str(len(body)).encode())
    start = {"type": "http.response.start", "status": status, "headers": [_JSON, length, *headers]}
    return start, {"type": "http.response.body", "body": body}


_ONE_ACCEPTED: Final = _messages(ACCEPTED, _encode({"accepted": 1}))


async def answer(send: Send, status: int, what: object, headers: Iterable[tuple[bytes, bytes]] = ()) -> int:
    """Send this as JSON. Returns the status."""
    start, body = _messages(status, _encode(what), headers)
    await send(start)
    await send(body)
    return status


async def answer_accepted(send: Send, count: int) -> int:
    """Say how many facts are durable now. Returns the status."""
    if count != 1:
        return await answer(send, ACCEPTED, {"accepted": count})
    start, body = _ONE_ACCEPTED
    await send(start)
    await send(body)
    return ACCEPTED


async def answer_empty(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]] = ()) -> int:
    """Send no body. Returns the status."""
    start = {"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0"), *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": b""})
    return status


async def answer_error(error: StreamgaugeError, scope: Scope, receive: Receive, send: Send) -> int:
    """Send the error as problem details. Returns the status."""
    response = problem_of(error)
    if isinstance(error, Rejected) and error.problems:
        problems = [{"where": where, "what": what} for where, what in error.problems]
        response = problem(status_of(error), error.message, reason=error.reason, problems=problems)
    await response(scope, receive, send)
    return response.status_code


async def answer_not_allowed(allowed: str, scope: Scope, receive: Receive, send: Send) -> int:
    """405, with the methods that are. Returns the status."""
    response = problem(405, f"{scope['method']} is not for this path: send {allowed}", headers={"Allow": allowed})
    await response(scope, receive, send)
    return response.status_code
