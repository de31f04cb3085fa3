"""`/webhooks/{source}`: signed deliveries of trackers, code hosts and incident tools.

The signature is verified over the bytes as received, before anything is parsed. What is authentic but can't be
understood is kept whole as a dead letter and answered 2xx, because senders switch off receivers that refuse.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from flow.adapters import ADAPTERS, Delivery, ItemNames, Source, Translation
from flow.adapters.cdevents import SOURCE as CDEVENTS
from flow.errors import NotFound, Reason, Rejected, StreamgaugeError, Unauthorised
from flow.redelivery import sends_again
from flow.signatures import SignatureScheme, verify
from service.abuse_protection import answer_to_origin
from service.answers import ACCEPTED, OK, answer, answer_accepted, answer_empty, answer_error, answer_not_allowed
from service.bodies import Receive, Scope, Send, headers_of, read_body
from service.bounds import IngestBounds
from service.dead_letters import DeliveryLetter
from service.handshakes import HANDSHAKE_HEADER, Handshakes
from service.ingest import Intake
from service.self_metrics import SelfMetrics
from service.webhook_requests import IN_ADDRESS, webhook_headers

_log: Final = logging.getLogger(__name__)


class WebhookRoute:
    """Takes deliveries of the sources that have a secret; the others are off.

    `covered` takes those of senders that never send again (`flow.redelivery`), where there is a spool for them.
    `secrets` maps a source to its secrets, several while they are rotated; `schemes` says how a source proves itself
    where that is not as its adapter has it. `handshakes` holds the secrets that senders tell us themselves. `clock`
    gives milliseconds. `unread` is told, by source, of what changed without a delivery saying to what.
    """

    def __init__(
        self,
        intake: Intake,
        *,
        covered: Intake | None = None,
        item_names: ItemNames,
        secrets: Mapping[str, Sequence[str]],
        bounds: IngestBounds,
        clock: Callable[[], int],
        metrics: SelfMetrics,
        sources: Mapping[str, Source] = ADAPTERS,
        schemes: Mapping[str, SignatureScheme] | None = None,
        handshakes: Handshakes | None = None,
        unread: Callable[[str, Collection[str]], None] = lambda source, keys: None,
    ) -> None:
        self._intake = intake
        self._covered = covered or intake
        self._item_names = item_names
        self._secrets = secrets
        self._most_body = bounds.most_webhook_body
        self._clock = clock
        self._metrics = metrics
        self._sources = sources
        self._schemes = schemes or {}
        self._handshakes = handshakes
        self._unread = unread

    async def handle(self, name: str, scope: Scope, receive: Receive, send: Send) -> int:
        """Answer one request to the webhook of this name. Returns the status. Raises SenderLeft."""
        if scope["method"] != "POST":
            return await _answer_question(name, scope, receive, send)
        self._metrics.count_webhook(name)
        headers = webhook_headers(name, scope)
        try:
            if HANDSHAKE_HEADER in headers and self._expects_handshake(name):
                return await self._shake_hands(name, headers, send)
            told = await self._read(name, headers, receive)
            intake = self._intake if sends_again(name) else self._covered
            if isinstance(told, DeliveryLetter):
                return await self._keep(told, intake, send)
            await intake.record(told.facts)
        except StreamgaugeError as error:
            self._metrics.count_rejection(name, error.reason)
            return await answer_error(error, scope, receive, send)
        self._unread(name, told.unread)
        if not told.facts:
            return await answer(send, OK, {"accepted": 0, "ignored": told.ignored})
        return await answer_accepted(send, len(told.facts))

    async def _read(self, name: str, headers: Mapping[str, str], receive: Receive) -> Translation | DeliveryLetter:
        """What the delivery tells. Its body, far larger, is let go of: nothing holds it while the log is waited for."""
        delivery, source = await self._authentic(name, headers, receive)
        translation = self._translate(source, delivery)
        return letter_of(delivery, translation) if isinstance(translation, Rejected) else translation

    async def _authentic(self, name: str, headers: Mapping[str, str], receive: Receive) -> tuple[Delivery, Source]:
        source = self._sources.get(name)
        if source is None or not (self._secrets.get(name) or self._expects_handshake(name)):
            raise _off()
        body = await read_body(receive, headers, self._most_body)
        now = self._clock()
        scheme = self._schemes.get(name, source.signature)
        try:
            verify(scheme, await self._secrets_of(name), headers, body, now)
        except Unauthorised as error:
            if error.reason == Reason.SOURCE_OFF:
                raise _off() from None
            raise
        proofs = {scheme.header, IN_ADDRESS}  # a header of the user's own choice says nothing but this
        return Delivery(name, {key: text for key, text in headers.items() if key not in proofs}, body, now), source

    async def _secrets_of(self, name: str) -> Sequence[str]:
        ours = self._secrets.get(name, ())
        if self._handshakes is None or not self._handshakes.expects(name):
            return ours
        return (*ours, *await self._handshakes.secrets(name))

    def _expects_handshake(self, name: str) -> bool:
        return self._handshakes is not None and self._handshakes.expects(name)

    async def _shake_hands(self, name: str, headers: Mapping[str, str], send: Send) -> int:
        """The secret is kept before it is answered: the sender never tells it again."""
        assert self._handshakes is not None
        secret = await self._handshakes.take(name, headers)
        _log.info("handshake_taken source=%s", name)
        return await answer_empty(send, OK, [(HANDSHAKE_HEADER.encode(), secret.encode())])

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

    async def _keep(self, letter: DeliveryLetter, intake: Intake, send: Send) -> int:
        await intake.writer.append_letter(letter)
        self._metrics.count_rejection(letter.source, letter.reason)
        _log.warning("delivery_kept source=%s reason=%s", letter.source, letter.reason)
        said = {"accepted": 0, "kept": 1, "reason": letter.reason, "detail": letter.message}
        return await answer(send, ACCEPTED, said)


async def _answer_question(name: str, scope: Scope, receive: Receive, send: Send) -> int:
    """Some senders try an address before they accept it: Trello by HEAD, CloudEvents by OPTIONS."""
    if scope["method"] == "HEAD":
        return await answer_empty(send, OK)
    if scope["method"] == "OPTIONS" and name == CDEVENTS:
        return await answer_empty(send, OK, answer_to_origin(headers_of(scope["headers"])))
    return await answer_not_allowed("POST, HEAD", scope, receive, send)


def letter_of(delivery: Delivery, error: Rejected) -> DeliveryLetter:
    """The delivery as it is kept."""
    return DeliveryLetter(
        delivery.source, error.reason, error.message, delivery.received_at, delivery.headers, delivery.body
    )


def _off() -> NotFound:
    """The same for a source that nobody has switched on as for one that is unknown."""
    return NotFound(Reason.SOURCE_OFF, "no source of this name is on: set its secret, or check the address")
