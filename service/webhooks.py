"""`/webhooks/{source}`: signed deliveries of trackers, code hosts and incident tools.

The signature is verified over the bytes as received, before anything is parsed. What is authentic but can't be
understood is kept whole as a dead letter and answered 2xx, because senders switch off receivers that refuse.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from flow.adapters import ADAPTERS, Delivery, ItemNames, Source, Translation
from flow.errors import NotFound, Reason, Rejected, StreamgaugeError, Unauthorised
from flow.signatures import verify
from service.answers import ACCEPTED, OK, answer, answer_accepted, answer_empty, answer_error, answer_not_allowed
from service.bodies import Receive, Scope, Send, headers_of, read_body
from service.dead_letters import DeliveryLetter
from service.ingest import IngestBounds, Intake
from service.self_metrics import SelfMetrics

_log: Final = logging.getLogger(__name__)


class WebhookRoute:
    """Takes deliveries of the sources that have a secret; the others are off.

    `secrets` maps a source to its secrets, several while they are rotated. `clock` gives milliseconds.
    """

    def __init__(
        self,
        intake: Intake,
        *,
        item_names: ItemNames,
        secrets: Mapping[str, Sequence[str]],
        bounds: IngestBounds,
        clock: Callable[[], int],
        metrics: SelfMetrics,
        sources: Mapping[str, Source] = ADAPTERS,
    ) -> None:
        self._intake = intake
        self._item_names = item_names
        self._secrets = secrets
        self._most_body = bounds.most_webhook_body
        self._clock = clock
        self._metrics = metrics
        self._sources = sources

    async def handle(self, name: str, scope: Scope, receive: Receive, send: Send) -> int:
        """Answer one request to the webhook of this name. Returns the status. Raises SenderLeft."""
        if scope["method"] == "HEAD":  # some senders try an address so before they accept it
            return await answer_empty(send, OK)
        if scope["method"] != "POST":
            return await answer_not_allowed("POST, HEAD", scope, receive, send)
        self._metrics.count_webhook(name)
        try:
            delivery, source = await self._authentic(name, headers_of(scope["headers"]), receive)
            translation = self._translate(source, delivery)
            if isinstance(translation, Rejected):
                return await self._keep(delivery, translation, send)
            await self._intake.record(translation.facts)
        except StreamgaugeError as error:
            self._metrics.count_rejection(name, error.reason)
            return await answer_error(error, scope, receive, send)
        if not translation.facts:
            return await answer(send, OK, {"accepted": 0, "ignored": translation.ignored})
        return await answer_accepted(send, len(translation.facts))

    async def _authentic(self, name: str, headers: Mapping[str, str], receive: Receive) -> tuple[Delivery, Source]:
        source, secrets = self._sources.get(name), self._secrets.get(name)
        if source is None or not secrets:
            raise _off()
        body = await read_body(receive, headers, self._most_body)
        now = self._clock()
        try:
            verify(source.signature, secrets, headers, body, now)
        except Unauthorised as error:
            if error.reason == Reason.SOURCE_OFF:
                raise _off() from None
            raise
        return Delivery(name, headers, body, now), source

    def _translate(self, source: Source, delivery: Delivery) -> Translation | Rejected:
        """A mistake of an adapter must lose no delivery: whatever it raises, the delivery is kept."""
        try:
            return source.translate(delivery, self._item_names)
        except Rejected as error:
            return error
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]  # not its text, which may quote the payload
            _log.error(
                "adapter_broke source=%s error=%s at=%s:%s", source.name, type(error).__name__, where.name, where.lineno
            )
            message = f"the adapter of {source.name} broke on it ({type(error).__name__}): this is a fault of ours"
            return Rejected(Reason.NOT_UNDERSTOOD, message)

    async def _keep(self, delivery: Delivery, error: Rejected, send: Send) -> int:
        letter = letter_of(delivery, error)
        await self._intake.writer.append_letter(letter)
        self._metrics.count_rejection(delivery.source, error.reason)
        _log.warning("delivery_kept source=%s reason=%s", delivery.source, error.reason)
        return await answer(send, ACCEPTED, {"accepted": 0, "kept": 1, "reason": error.reason, "detail": error.message})


def letter_of(delivery: Delivery, error: Rejected) -> DeliveryLetter:
    """The delivery as it is kept."""
    return DeliveryLetter(
        delivery.source, error.reason, error.message, delivery.received_at, delivery.headers, delivery.body
    )


def _off() -> NotFound:
    """The same for a source that nobody has switched on as for one that is unknown."""
    return NotFound(Reason.SOURCE_OFF, "no source of this name is on: set its secret, or check the address")
