"""Every error that Streamgauge raises on purpose, and the one vocabulary of reasons.

StreamgaugeError
├── Rejected            this input will never be right: 4xx at the door, a dead letter behind it
│   └── TooLarge        413: refused before it is read whole
├── Unauthorised        401: who sent this is not proved
├── NotFound            404: nothing goes by that name
├── Unavailable         503: right now; the sender should try again
├── PositionConflict    another worker moved this partition: drop what is in memory, read again
├── NearlyAllRejected   the worker stops: when all is wrong, the fault is ours
├── DefinitionError     the stream definitions can't be used; carries every problem found
└── SettingsError       the settings can't be used; carries every problem found
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum


class Reason(StrEnum):
    """Why something was refused: the same word in the exception, log line, metric label and dead letter."""

    MALFORMED_JSON = "malformed_json"
    INVALID_FACT = "invalid_fact"
    AT_TOO_OLD = "at_too_old"
    AT_IN_FUTURE = "at_in_future"
    INVALID_REQUEST = "invalid_request"
    INVALID_ENCODING = "invalid_encoding"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    NOT_UNDERSTOOD = "not_understood"
    NO_STREAM = "no_stream"
    TIMELINE_FULL = "timeline_full"
    TOO_LARGE = "too_large"
    MISSING_SIGNATURE = "missing_signature"
    BAD_SIGNATURE = "bad_signature"
    OLD_TIMESTAMP = "old_timestamp"
    SOURCE_OFF = "source_off"
    MISSING_TOKEN = "missing_token"
    BAD_TOKEN = "bad_token"
    UNKNOWN_STREAM = "unknown_stream"
    UNKNOWN_STAGE = "unknown_stage"
    UNKNOWN_ITEM = "unknown_item"
    UNKNOWN_SOURCE = "unknown_source"
    UNKNOWN_ROUTE = "unknown_route"
    LOG_UNAVAILABLE = "log_unavailable"
    STATE_UNAVAILABLE = "state_unavailable"
    OVERLOADED = "overloaded"
    PROCESS_ENDED = "process_ended"
    POSITION_CONFLICT = "position_conflict"
    NEARLY_ALL_REJECTED = "nearly_all_rejected"
    LOG_REPLACED = "log_replaced"
    INVALID_DEFINITION = "invalid_definition"
    INVALID_SETTINGS = "invalid_settings"


class StreamgaugeError(Exception):
    """Base of the tree. The message says what was wrong, where, and what to do."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Rejected(StreamgaugeError):
    """Input that will never be right, however often it is sent.

    `problems` says of each thing that is wrong where it is, such as `line 3`, and what to write instead.
    """

    def __init__(self, reason: Reason, message: str, problems: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(reason, message)
        self.problems = tuple(problems)


class TooLarge(Rejected):
    """Input over a size limit, refused before it is read whole."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.TOO_LARGE, message)


class Unauthorised(StreamgaugeError):
    """The sender is not proved: wrong or missing signature or token."""


class NotFound(StreamgaugeError):
    """No stream, stage, item or source goes by that name."""


class Unavailable(StreamgaugeError):
    """Can't be done right now. `retry_after` is in seconds."""

    def __init__(self, reason: Reason, message: str, retry_after: int = 5) -> None:
        super().__init__(reason, message)
        self.retry_after = retry_after


class PositionConflict(StreamgaugeError):
    """The stored position is not the one that this worker read from."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.POSITION_CONFLICT, message)


class NearlyAllRejected(StreamgaugeError):
    """So much is rejected that the fault must be ours; draining the log into the dead letters would hide it."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.NEARLY_ALL_REJECTED, message)


class LogReplaced(StreamgaugeError):
    """The log ends before what the state has read of it: it is not the log that the state was made from."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.LOG_REPLACED, message)


class DefinitionError(StreamgaugeError):
    """The stream definitions can't be used. `problems` holds one line each, with where and what to write instead."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(Reason.INVALID_DEFINITION, "\n".join(problems))
        self.problems = tuple(problems)


class SettingsError(StreamgaugeError):
    """The settings can't be used. `problems` holds one line each, never with a secret in it."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(Reason.INVALID_SETTINGS, "\n".join(problems))
        self.problems = tuple(problems)
