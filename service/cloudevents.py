"""`/v1/cloudevents`: CloudEvents 1.0, structured, binary or in a batch, with CDEvents or native facts inside.

Events that are neither are kept as a dead letter: the whole request, which can be sent again because facts that are
there already add nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flow.adapters import Delivery
from flow.cloud_facts import SOURCE, CloudEventReader, CloudTranslation
from flow.errors import StreamgaugeError
from service.abuse_protection import answer_to_origin
from service.answers import ACCEPTED, OK, answer, answer_empty, answer_error, answer_not_allowed
from service.authorisation import TokenCheck
from service.bodies import Receive, Scope, Send, decoded_body, headers_of, read_body
from service.bounds import IngestBounds
from service.ingest import Intake
from service.webhooks import letter_of


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
            return await answer_empty(send, OK, answer_to_origin(headers))
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
        told = self._reader.read(delivery, delivery.received_at)
        refusal = told.refusal()
        if refusal is not None:
            await self._intake.writer.append_letter(letter_of(delivery, refusal))
        await self._intake.record(told.facts)
        return told
