"""The settings, from environment variables: `STREAMGAUGE_` and the path of the setting, nested with `__`.

`STREAMGAUGE_HTTP__PORT` is `http.port`. What is secret can also stand in a file that `…_FILE` names, for example
`STREAMGAUGE_SOURCES__GITHUB__SECRET_FILE`. Every mistake is found at once, and a name that nothing reads is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from flow.adapters import ADAPTERS
from flow.cells import Retention
from flow.errors import SettingsError
from flow.instants import DAY, HOUR, MINUTE, SECOND
from service.ingest import MEGABYTE, IngestBounds
from service.log import AppendBounds
from service.setting_values import HIDDEN, Duration, RedisUrl, Secret, Shown, Size, TokenHashes, is_loopback
from service.settings_environment import Found, environment_name, nested, read_environment

_SECRETS: Final = (("redis", "url"), ("api", "tokens"))
"""What can stand in a file, beside the secrets of sources."""

_LIMITS: Final = {"greater_than_equal": "at least", "less_than_equal": "at most"}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class RedisSettings(_Section):
    """Where Redis is. Without a URL an embedded server is started."""

    url: RedisUrl | None = None


class HttpSettings(_Section):
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


class ApiSettings(_Section):
    """Who may use the API: `name:sha256` of each token, separated by commas."""

    tokens: TokenHashes = Field(default_factory=dict)


class LogSettings(_Section):
    """The log. The number of partitions can't change later. `keep_facts`: kept behind the readers, in all."""

    partitions: int = Field(default=2, ge=1, le=256)
    keep_facts: int = Field(default=1_000_000, ge=0)


class IngestSettings(_Section):
    """What is taken in. `max_pending`: facts that may wait to be written; `append_within`: how long one may wait."""

    max_body: Size = Field(default=10 * MEGABYTE, ge=1_000, le=1_000 * MEGABYTE)
    max_webhook_body: Size = Field(default=25 * MEGABYTE, ge=1_000, le=1_000 * MEGABYTE)
    max_pending: int = Field(default=50_000, ge=1)
    future_tolerance: Duration = Field(default=DAY, ge=0, le=DAY)
    append_within: Duration = Field(default=5 * SECOND, ge=SECOND, le=MINUTE)


class SourceSettings(_Section):
    """One webhook source. `previous_secret` is taken too, while the secret is being changed."""

    secret: Secret
    previous_secret: Secret | None = None


class AggregatorSettings(_Section):
    """What a worker keeps. `finished_items`: how long done items are kept after they were last written."""

    items_in_memory: int = Field(default=100_000, ge=1_000)
    cells_in_memory: int = Field(default=20_000, ge=1_000)
    finished_items: Duration = Field(default=731 * DAY, ge=HOUR)


class DeadLettersSettings(_Section):
    """How many dead letters are kept, about."""

    keep: int = Field(default=10_000, ge=100)


class RetentionSettings(_Section):
    """How long the cells that windows are counted in are kept, by their length."""

    minute: Duration = Field(default=26 * HOUR, ge=HOUR)
    hour: Duration = Field(default=35 * DAY, ge=DAY)
    day: Duration = Field(default=731 * DAY, ge=DAY)


@dataclass(frozen=True, slots=True)
class Described:
    """One setting for people: secrets are not shown. `origin` is `default`, `environment` or the file's path."""

    name: str
    value: str
    origin: str


class Settings(_Section):
    """Everything that can be set. `streams`: the file of the definitions; `data`: the embedded server's folder."""

    streams: Path | None = None
    data: Path = Path("streamgauge-data")
    redis: RedisSettings = RedisSettings()
    http: HttpSettings = HttpSettings()
    api: ApiSettings = ApiSettings()
    log: LogSettings = LogSettings()
    ingest: IngestSettings = IngestSettings()
    sources: Mapping[str, SourceSettings] = Field(default_factory=dict)
    aggregator: AggregatorSettings = AggregatorSettings()
    dead_letters: DeadLettersSettings = DeadLettersSettings()
    retention: RetentionSettings = RetentionSettings()

    _found: Found = PrivateAttr(default_factory=dict)

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Settings:
        """The settings of this environment. Raises SettingsError with every problem, none of which quotes a secret."""
        webhooks = [("sources", name, field) for name in ADAPTERS for field in SourceSettings.model_fields]
        found, problems = read_environment(environ, [*_paths(cls), *webhooks], [*_SECRETS, *webhooks])
        try:
            settings = cls.model_validate(nested(found))
        except ValidationError as error:
            problems += [_problem(entry) for entry in error.errors(include_input=False, include_url=False)]
            raise SettingsError(sorted(problems)) from None
        if problems:
            raise SettingsError(sorted(problems))
        settings._found = found
        return settings

    def describe(self) -> list[Described]:
        """Every setting with its value and where it came from, in a fixed order."""
        return [self._described(path) for path in [*_paths(type(self)), *self._source_paths()]]

    def source_secrets(self) -> dict[str, tuple[str, ...]]:
        """By source that is on: the secrets that prove a delivery, the current one first."""
        return {
            name: tuple(secret.get_secret_value() for secret in (source.secret, source.previous_secret) if secret)
            for name, source in self.sources.items()
        }

    def token_hashes(self) -> Mapping[str, str]:
        """The hex SHA-256 of each token of the API, by name."""
        return self.api.tokens

    def redis_url(self) -> str | None:
        """The URL, with any password in it. None: the embedded server."""
        return None if self.redis.url is None else self.redis.url.get_secret_value()

    def ingest_bounds(self) -> IngestBounds:
        """For the routes that take facts in."""
        return IngestBounds(self.ingest.max_body, self.ingest.max_webhook_body, self.ingest.future_tolerance)

    def append_bounds(self) -> AppendBounds:
        """For the writer of the log."""
        return AppendBounds(self.ingest.max_pending, self.ingest.append_within, self.dead_letters.keep)

    def cell_retention(self) -> Retention:
        """For writers and readers of windows."""
        return Retention(self.retention.minute, self.retention.hour, self.retention.day)

    def _source_paths(self) -> Iterator[tuple[str, ...]]:
        for name, source in sorted(self.sources.items()):
            yield ("sources", name, "secret")
            if source.previous_secret is not None:
                yield ("sources", name, "previous_secret")

    def _described(self, path: tuple[str, ...]) -> Described:
        value: Any = self
        for part in path:
            value = value[part] if isinstance(value, Mapping) else getattr(value, part)
        found = self._found.get(path)
        return Described(environment_name(path), _shown(value, _field(path)), found.origin if found else "default")


def _problem(entry: ErrorDetails) -> str:
    path = tuple(map(str, entry["loc"]))
    said = entry["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if entry["type"] == "missing":
        said = "is missing: set it too; a previous secret alone proves nothing"
    for kind, words in _LIMITS.items():
        if entry["type"] == kind:
            [limit] = entry["ctx"].values()
            said = f"must be {words} {_shown(limit, _field(path))}"
    return f"{environment_name(path)}: {said}"


def _field(path: tuple[str, ...]) -> FieldInfo:
    if path[0] == "sources":
        return SourceSettings.model_fields[path[2]]
    model: type[BaseModel] = Settings
    for part in path[:-1]:
        model = _section(model.model_fields[part]) or model
    return model.model_fields[path[-1]]


def _section(field: FieldInfo) -> type[_Section] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, _Section) else None


def _shown(value: Any, field: FieldInfo) -> str:
    if value is None:
        return "not set"
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, bool):
        return str(value).lower()
    shown = next((entry for entry in field.metadata if isinstance(entry, Shown)), None)
    return shown.text(value) if shown else str(value)


def _paths(model: type[BaseModel], before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every setting that has a fixed name."""
    found: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        path = (*before, name)
        section = _section(field)
        if section is not None:
            found += _paths(section, path)
        elif name != "sources":
            found.append(path)
    return found
