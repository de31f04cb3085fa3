"""`POST /v1/facts`: native facts in. Answered only when they are durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from flow.errors import Reason, Rejected, StreamgaugeError
from flow.facts import Fact
from flow.matching import Router
from flow.native import BodyKind, decode_native
from service.answers import answer_accepted, answer_error, answer_not_allowed
from service.authorisation import TokenCheck
from service.bodies import Receive, Scope, Send, decoded_body, headers_of, read_body
from service.bounds import IngestBounds
from service.log import LogWriter, with_signals
from service.self_metrics import SelfMetrics

IN_PLACE: Final = 256_000
"""Bodies up to this size are read on the event loop; others in a thread, so that they don't hold up the rest."""

_KINDS: Final[Mapping[str, BodyKind]] = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/jsonlines": "ndjson",
    "application/x-jsonlines": "ndjson",
}


class Intake:
    """The one way into the log: facts, with the signals that they give."""

    def __init__(self, writer: LogWriter, router: Router, metrics: SelfMetrics) -> None:
        self.writer = writer
        self._router = router
        self._metrics = metrics

    async def record(self, facts: Sequence[Fact]) -> None:
        """Return when all of them are durable. Raises Unavailable."""
        await self.writer.append(with_signals(facts, self._router))
        self._metrics.count_facts(facts)


class FactsRoute:
    """Takes native facts from whoever has a token. `clock` gives milliseconds."""

    def __init__(self, intake: Intake, tokens: TokenCheck, bounds: IngestBounds, clock: Callable[[], int]) -> None:
        self._intake = intake
        self._tokens = tokens
        self._bounds = bounds
        self._clock = clock

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Answer one request. Returns the status. Raises SenderLeft."""
        if scope["method"] != "POST":
            return await answer_not_allowed("POST", scope, receive, send)
        try:
            count = await self._take(headers_of(scope["headers"]), receive)
        except StreamgaugeError as error:
            return await answer_error(error, scope, receive, send)
        return await answer_accepted(send, count)

    async def _take(self, headers: Mapping[str, str], receive: Receive) -> int:
        self._tokens.check(headers)
        kind = _kind_of(headers.get("content-type", ""))
        most = self._bounds.most_body
        body = await read_body(receive, headers, most)
        if "content-encoding" in headers:
            body = await decoded_body(body, headers, most)
        now, tolerance = self._clock(), self._bounds.future_tolerance
        if len(body) <= IN_PLACE:
            facts = decode_native(body, kind, now, tolerance)
        else:
            facts = await asyncio.to_thread(decode_native, body, kind, now, tolerance)
        await self._intake.record(facts)
        return len(facts)


def _kind_of(content_type: str) -> BodyKind:
    kind = _KINDS.get(content_type) or _KINDS.get(content_type.partition(";")[0].strip().lower())
    if kind is None:
        raise Rejected(
            Reason.UNSUPPORTED_MEDIA_TYPE,
            "Content-Type: send application/json, or application/x-ndjson for one fact a line",
        )
    return kind
