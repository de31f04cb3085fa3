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
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from flow.adapters import ADAPTERS
from flow.cells import Retention
from flow.errors import SettingsError
from flow.signatures import SignatureScheme
from service.bounds import AppendBounds, IngestBounds
from service.bridge_settings import BridgeSettings, bridge_problems
from service.kafka_settings import KafkaSettings
from service.setting_sections import (
    AggregatorSettings,
    ApiSettings,
    DeadLettersSettings,
    HttpSettings,
    IngestSettings,
    LogSettings,
    RedisSettings,
    RetentionSettings,
    Section,
    SourceSettings,
    SpoolSettings,
)
from service.setting_values import HIDDEN, Shown
from service.settings_environment import Found, environment_name, nested, read_environment
from service.source_schemes import source_problems, source_schemes

_SECRETS: Final = (
    ("redis", "url"),
    ("api", "tokens"),
    ("kafka", "password"),
    ("kafka", "key_password"),
    ("bridge", "password"),
    ("bridge", "key_password"),
)
"""What can stand in a file, beside the secrets of sources."""

_SECRETS_OF_SOURCES: Final = frozenset({"secret", "previous_secret", "handshake_token", "api_token"})

_LIMITS: Final = {"greater_than_equal": "at least", "less_than_equal": "at most"}
_WRONG: Final = {
    "int_parsing": "is not a whole number: write one in digits",
    "bool_parsing": "is neither true nor false: write one of the two",
}
_MISSHAPEN: Final = {
    "header": "is not the name of a header: write letters, digits and hyphens",
    "callback_url": "is not a web address: write one such as https://streamgauge.example/webhooks/trello",
    "api_user": "is not the name of a user: write it without spaces and colons",
    "api_url": "is not a web address: write one such as https://tracker.example, without ? and #",
}
"""What to say of a text that does not have the shape of its setting."""


@dataclass(frozen=True, slots=True)
class Described:
    """One setting for people: secrets are not shown. `origin` is `default`, `environment` or the file's path."""

    name: str
    value: str
    origin: str


class Settings(Section):
    """Everything that can be set. `streams`: the file of the definitions; `data`: the embedded server's folder."""

    streams: Path | None = None
    data: Path = Path("streamgauge-data")
    redis: RedisSettings = RedisSettings()
    http: HttpSettings = HttpSettings()
    api: ApiSettings = ApiSettings()
    log: LogSettings = LogSettings()
    kafka: KafkaSettings = KafkaSettings()
    bridge: BridgeSettings = BridgeSettings()
    ingest: IngestSettings = IngestSettings()
    spool: SpoolSettings = SpoolSettings()
    sources: Mapping[str, SourceSettings] = Field(default_factory=dict)
    aggregator: AggregatorSettings = AggregatorSettings()
    dead_letters: DeadLettersSettings = DeadLettersSettings()
    retention: RetentionSettings = RetentionSettings()

    _found: Found = PrivateAttr(default_factory=dict)

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Settings:
        """The settings of this environment. Raises SettingsError with every problem, none of which quotes a secret."""
        webhooks = [("sources", name, field) for name in ADAPTERS for field in SourceSettings.model_fields]
        secrets = [path for path in webhooks if path[-1] in _SECRETS_OF_SOURCES]
        found, problems = read_environment(environ, [*_paths(cls), *webhooks], [*_SECRETS, *secrets])
        try:
            settings = cls.model_validate(nested(found))
        except ValidationError as error:
            problems += [_problem(entry) for entry in error.errors(include_input=False, include_url=False)]
            raise SettingsError(sorted(problems)) from None
        problems += source_problems(settings.sources)
        problems += bridge_problems(settings.bridge, settings.kafka)
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
            if not source.only_asks
        }

    def source_schemes(self) -> dict[str, SignatureScheme]:
        """By source that is on: how its deliveries prove themselves."""
        return source_schemes(self.sources)

    def handshake_tokens(self) -> dict[str, str]:
        """By source that tells its secrets itself: the token in its address."""
        tokens = {name: source.handshake_token for name, source in self.sources.items()}
        return {name: token.get_secret_value() for name, token in tokens.items() if token is not None}

    def redis_url(self) -> str | None:
        """The URL, with any password in it. None: the embedded server."""
        return None if self.redis.url is None else self.redis.url.get_secret_value()

    def ingest_bounds(self) -> IngestBounds:
        """For the routes that take facts in."""
        ingest = self.ingest
        return IngestBounds(ingest.max_body, ingest.max_webhook_body, ingest.future_tolerance, ingest.webhook_within)

    def spool_folder(self) -> Path | None:
        """Where deliveries are spooled. None: nowhere."""
        return (self.spool.folder or self.data / "spool") if self.spool.max_size else None

    def append_bounds(self) -> AppendBounds:
        """For the writer of the log."""
        return AppendBounds(
            self.ingest.max_pending, self.ingest.append_within, self.dead_letters.keep, self.log.replicas
        )

    def cell_retention(self) -> Retention:
        """For writers and readers of windows."""
        return Retention(self.retention.minute, self.retention.hour, self.retention.day)

    def _source_paths(self) -> Iterator[tuple[str, ...]]:
        for name, source in sorted(self.sources.items()):
            yield ("sources", name, "secret")
            for field in sorted(source.model_fields_set - {"secret"}):
                yield ("sources", name, field)

    def _described(self, path: tuple[str, ...]) -> Described:
        value: Any = self
        for part in path:
            value = value[part] if isinstance(value, Mapping) else getattr(value, part)
        found = self._found.get(path)
        return Described(environment_name(path), _shown(value, _field(path)), found.origin if found else "default")


def _problem(entry: ErrorDetails) -> str:
    path = tuple(map(str, entry["loc"]))
    kind = entry["type"]
    said = _WRONG.get(kind) or entry["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if kind == "string_pattern_mismatch":
        said = _MISSHAPEN[path[-1]]
    if kind in _LIMITS:
        [limit] = entry["ctx"].values()
        said = f"must be {_LIMITS[kind]} {_shown(limit, _field(path))}"
    return f"{environment_name(path)}: {said}"


def _field(path: tuple[str, ...]) -> FieldInfo:
    if path[0] == "sources":
        return SourceSettings.model_fields[path[2]]
    model: type[BaseModel] = Settings
    for part in path[:-1]:
        model = _section(model.model_fields[part]) or model
    return model.model_fields[path[-1]]


def _section(field: FieldInfo) -> type[Section] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


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
