"""The groups of settings: what each holds, its defaults and its limits."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from flow.instants import DAY, HOUR, MINUTE, SECOND
from service.bounds import MEGABYTE
from service.setting_values import Duration, RedisUrl, Secret, Size, TokenHashes, is_loopback

_FOR_ASKING: Final = frozenset({"api_token", "api_user", "api_url"})


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class RedisSettings(Section):
    """Where Redis is. Without a URL an embedded server is started."""

    url: RedisUrl | None = None


class HttpSettings(Section):
    """Where to listen. `open_access`: no token is needed, on loopback only. `public_metrics`: nor for /metrics."""

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8080, ge=0, le=65535)
    open_access: bool = False
    public_metrics: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @field_validator("open_access")
    @classmethod
    def _open_only_on_loopback(cls, value: bool, info: ValidationInfo) -> bool:
        if value and not is_loopback(info.data.get("host", "127.0.0.1")):
            raise ValueError("is for loopback only: set STREAMGAUGE_API__TOKENS instead, or the host to 127.0.0.1")
        return value


class ApiSettings(Section):
    """Who may use the API: `name:sha256` of each token, separated by commas."""

    tokens: TokenHashes = Field(default_factory=dict)


class LogSettings(Section):
    """The log. The number of partitions can't change later. `keep_facts`: kept behind the readers, in all.

    `replicas`: how many replicas of a Redis must have a fact before it is acknowledged.
    """

    partitions: int = Field(default=2, ge=1, le=256)
    keep_facts: int = Field(default=1_000_000, ge=0)
    replicas: int = Field(default=0, ge=0, le=5)


class IngestSettings(Section):
    """What is taken in. `max_pending`: facts that may wait to be written; `append_within`: how long one may wait.

    `webhook_within`: how long a webhook waits for the log; the most impatient senders hang up after 5 s.
    """

    max_body: Size = Field(default=10 * MEGABYTE, ge=1_000, le=1_000 * MEGABYTE)
    max_webhook_body: Size = Field(default=25 * MEGABYTE, ge=1_000, le=1_000 * MEGABYTE)
    max_pending: int = Field(default=50_000, ge=1)
    future_tolerance: Duration = Field(default=DAY, ge=0, le=DAY)
    append_within: Duration = Field(default=5 * SECOND, ge=SECOND, le=MINUTE)
    webhook_within: Duration = Field(default=3 * SECOND, ge=SECOND, le=4 * SECOND)


class SourceSettings(Section):
    """One webhook source. `previous_secret` is taken too, while the secret is being changed.

    Of senders that can't sign: `header` names the header that holds the secret itself; `token_in_url`: the address
    holds it, as `?token=…`. `callback_url`: the address that the sender signs. `handshake_token`: the token in the
    address of a sender that makes up its secret itself; such handshakes are taken while it is set.
    `api_token`, `api_user`, `api_url`: for asking the provider itself, where a webhook does not say enough and for what
    was before it.
    """

    secret: Secret | None = None
    previous_secret: Secret | None = None
    header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,100}$")
    token_in_url: bool = False
    callback_url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    handshake_token: Secret | None = None
    api_token: Secret | None = None
    api_user: str | None = Field(default=None, pattern=r"^[^\s:]{1,200}$")
    api_url: str | None = Field(default=None, pattern=r"^https?://[^\s?#]+$")

    @property
    def only_asks(self) -> bool:
        """Whether no webhook is received: what is set is for asking the provider."""
        return bool(self.model_fields_set) and self.model_fields_set <= _FOR_ASKING


class SpoolSettings(Section):
    """Where deliveries of senders that never send again are kept while the log is away. `max_size` 0: nowhere."""

    folder: Path | None = None
    max_size: Size = Field(default=256 * MEGABYTE, ge=0, le=100_000 * MEGABYTE)


class AggregatorSettings(Section):
    """What a worker keeps. `finished_items`: how long done items are kept after they were last written."""

    items_in_memory: int = Field(default=100_000, ge=1_000)
    cells_in_memory: int = Field(default=20_000, ge=1_000)
    finished_items: Duration = Field(default=731 * DAY, ge=HOUR)


class DeadLettersSettings(Section):
    """How many dead letters are kept, about."""

    keep: int = Field(default=10_000, ge=100)


class RetentionSettings(Section):
    """How long the cells that windows are counted in are kept, by their length."""

    minute: Duration = Field(default=26 * HOUR, ge=HOUR)
    hour: Duration = Field(default=35 * DAY, ge=DAY)
    day: Duration = Field(default=731 * DAY, ge=DAY)
