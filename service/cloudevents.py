"""`/v1/cloudevents`: CloudEvents 1.0, structured, binary or in a batch, with CDEvents or native facts inside.

Events that are neither are kept as a dead letter: the whole request, which can be sent again because facts that are
there already add nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from flow.adapters import Delivery, ItemNames
from flow.adapters.cdevents import is_cdevent, translate_event
from flow.adapters.cloudevents import CloudEvent, read_cloudevents
from flow.errors import Reason, Rejected, StreamgaugeError
from flow.facts import Fact
from flow.native import decode_native
from service.answers import ACCEPTED, OK, answer, answer_empty, answer_error, answer_not_allowed
from service.authorisation import TokenCheck
from service.bodies import Receive, Scope, Send, decoded_body, headers_of, read_body
from service.ingest import IngestBounds, Intake
from service.webhooks import letter_of

SOURCE: Final = "cloudevents"
"""What letters of this route are called."""

_LONGEST_ORIGIN: Final = 255


class _Native(msgspec.Struct):
    """Enough of a native fact to know one."""

    subject: str


_IS_NATIVE: Final = msgspec.json.Decoder(_Native)


@dataclass(slots=True)
class CloudTranslation:
    """What a request told: its facts, how many events were ignored, and why others were not understood."""

    facts: list[Fact] = field(default_factory=list)
    ignored: int = 0
    refused: list[Rejected] = field(default_factory=list)


class CloudEventReader:
    """Reads what a request of CloudEvents tells, also when a dead letter is sent again."""

    def __init__(self, item_names: ItemNames, future_tolerance: int) -> None:
        self._item_names = item_names
        self._future_tolerance = future_tolerance

    def read(self, delivery: Delivery) -> CloudTranslation:
        """Raises Rejected when the request is not CloudEvents at all."""
        result = CloudTranslation()
        for event in read_cloudevents(delivery):
            try:
                facts = self._facts_of(event, delivery.received_at)
            except Rejected as error:
                result.refused.append(error)
                continue
            result.facts += facts
            result.ignored += not facts
        return result

    def _facts_of(self, event: CloudEvent, now: int) -> list[Fact]:
        if is_cdevent(event):
            return translate_event(event, self._item_names).facts
        if not _holds_native_fact(event.data):
            message = f"the CloudEvent of type {event.type[:100]!r} holds neither a CDEvent nor a native fact"
            raise Rejected(Reason.NOT_UNDERSTOOD, message)
        return decode_native(event.data, "json", now, self._future_tolerance)


def _holds_native_fact(data: bytes) -> bool:
    try:
        _IS_NATIVE.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


class CloudEventsRoute:
    """Takes CloudEvents from whoever has a token. `clock` gives milliseconds."""

    def __init__(
        self,
        intake: Intake,
        reader: CloudEventReader,
        tokens: TokenCheck,
        bounds: IngestBounds,
        clock: Callable[[], int],
    ) -> None:
        self._intake = intake
        self._reader = reader
        self._tokens = tokens
        self._most_body = bounds.most_body
        self._clock = clock

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Answer one request. Returns the status. Raises SenderLeft."""
        headers = headers_of(scope["headers"])
        if scope["method"] == "OPTIONS":
            return await answer_empty(send, OK, _handshake(headers))
        if scope["method"] != "POST":
            return await answer_not_allowed("POST, OPTIONS", scope, receive, send)
        try:
            told = await self._take(headers, receive)
        except StreamgaugeError as error:
            return await answer_error(error, scope, receive, send)
        counts = {"accepted": len(told.facts), "ignored": told.ignored, "kept": len(told.refused)}
        problems = [error.message for error in told.refused[:10]]
        return await answer(send, ACCEPTED, counts | ({"problems": problems} if problems else {}))

    async def _take(self, headers: Mapping[str, str], receive: Receive) -> CloudTranslation:
        self._tokens.check(headers)
        body = await read_body(receive, headers, self._most_body)
        body = await decoded_body(body, headers, self._most_body)
        delivery = Delivery(SOURCE, headers, body, self._clock())
        told = self._reader.read(delivery)
        if told.refused:
            await self._intake.writer.append_letter(letter_of(delivery, _together(told.refused)))
        await self._intake.record(told.facts)
        return told


def _together(refused: list[Rejected]) -> Rejected:
    reasons = {error.reason for error in refused}
    reason = reasons.pop() if len(reasons) == 1 else Reason.NOT_UNDERSTOOD
    return Rejected(reason, "; ".join(error.message for error in refused[:10]))


def _handshake(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md, section 4: we take what is sent."""
    answers = [(b"allow", b"POST, OPTIONS")]
    origin = headers.get("webhook-request-origin", "")
    if origin:
        allowed = origin if len(origin) <= _LONGEST_ORIGIN and origin.isascii() else "*"
        answers.append((b"webhook-allowed-origin", allowed.encode()))
        answers.append((b"webhook-allowed-rate", b"*"))
    return answers
