"""What CloudEvents tell: CDEvents or native facts inside. One event that is neither doesn't spoil the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from flow.adapters.cdevents import is_cdevent, translate_event
from flow.adapters.cloudevents import CloudEvent, read_cloudevents
from flow.adapters.delivery import Delivery, ItemNames
from flow.errors import Reason, Rejected
from flow.facts import Fact
from flow.native import decode_native

SOURCE: Final = "cloudevents"
"""What letters of such deliveries are called."""

_MOST_MESSAGES: Final = 10


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

    def refusal(self) -> Rejected | None:
        """Why events were not understood, as one error. None: all were."""
        if not self.refused:
            return None
        reasons = {error.reason for error in self.refused}
        reason = reasons.pop() if len(reasons) == 1 else Reason.NOT_UNDERSTOOD
        return Rejected(reason, "; ".join(error.message for error in self.refused[:_MOST_MESSAGES]))


class CloudEventReader:
    """Reads what a request, or a record, of CloudEvents tells. `future_tolerance` in milliseconds."""

    def __init__(self, item_names: ItemNames, future_tolerance: int) -> None:
        self._item_names = item_names
        self._future_tolerance = future_tolerance

    def read(self, delivery: Delivery, now: int) -> CloudTranslation:
        """Raises Rejected when the delivery is not CloudEvents at all. `now` in milliseconds."""
        result = CloudTranslation()
        for event in read_cloudevents(delivery):
            try:
                facts = self._facts_of(event, now)
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
