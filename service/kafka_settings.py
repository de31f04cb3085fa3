"""The settings of a log on Kafka: where it is, how to prove who we are, what its topics are called."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from flow.instants import MINUTE, SECOND
from service.setting_sections import Section
from service.setting_values import HIDDEN, Duration, Shown

_SERVER: Final = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})", re.ASCII)
_TOPIC: Final = re.compile(r"[\w.-]{1,249}", re.ASCII)
_LARGEST_PORT: Final = 65_535
_BEARER: Final = "OAUTHBEARER"


def _servers(text: str) -> str:
    servers = [server.strip() for server in text.split(",")]
    for number, server in enumerate(servers, 1):
        found = _SERVER.fullmatch(server)
        if found is None or not 0 < int(found[1]) <= _LARGEST_PORT:
            raise ValueError(f"entry {number} is not host:port: write them as kafka-1:9092,kafka-2:9092")
    return ",".join(servers)


def topic_name(name: str) -> str:
    """The name, where Kafka takes it. Raises ValueError."""
    if not _TOPIC.fullmatch(name) or name in {".", ".."}:
        raise ValueError("is no name of a topic: write 1 to 249 letters, digits, dots, dashes and underscores")
    return name


def _password(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().strip():
        raise ValueError("is blank: write the password")
    return value


Topic = Annotated[str, AfterValidator(topic_name)]
Password = Annotated[SecretStr, AfterValidator(_password), Shown(lambda _: HIDDEN)]
OptionalText = Field(default=None, min_length=1, validate_default=True)


class ClusterSettings(Section):
    """How a Kafka cluster is reached. `PREFIX` begins the names of these settings, for what says how to mend them.

    `ca_file` proves the brokers (the system's authorities do, without it), `certificate_file` and `key_file` prove us.
    `token_file` holds the token of OAUTHBEARER; it is read again for each connection, as whoever renews it writes it.
    """

    PREFIX: ClassVar[str] = "STREAMGAUGE_KAFKA__"

    bootstrap_servers: Annotated[str, AfterValidator(_servers)] | None = None
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = "PLAIN"
    username: str | None = OptionalText
    password: Password | None = Field(default=None, validate_default=True)
    token_file: Path | None = Field(default=None, validate_default=True)
    ca_file: Path | None = Field(default=None, validate_default=True)
    certificate_file: Path | None = Field(default=None, validate_default=True)
    key_file: Path | None = Field(default=None, validate_default=True)
    key_password: Password | None = Field(default=None, validate_default=True)

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.security_protocol in {"SSL", "SASL_SSL"}

    @field_validator("username", "password")
    @classmethod
    def _with_sasl(cls, value: object, info: ValidationInfo) -> object:
        protocol = info.data.get("security_protocol", "")
        with_token = info.data.get("sasl_mechanism") == _BEARER
        if value is None and protocol.startswith("SASL") and not with_token:
            raise ValueError(f"is missing: {protocol} needs a username and a password")
        if value is not None and protocol.startswith("SASL") and with_token:
            raise ValueError(f"is not used with {_BEARER}: set {cls.PREFIX}TOKEN_FILE")
        if value is not None and protocol in {"PLAINTEXT", "SSL"}:
            raise ValueError(f"is not used with {protocol}: set {cls.PREFIX}SECURITY_PROTOCOL to SASL_SSL")
        return value

    @field_validator("token_file")
    @classmethod
    def _with_token(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        asked = info.data.get("sasl_mechanism") == _BEARER and info.data.get("security_protocol", "").startswith("SASL")
        if value is None and asked:
            raise ValueError(f"is missing: {_BEARER} needs a file with the token")
        if value is not None and not asked:
            raise ValueError(
                f"is used only with {cls.PREFIX}SASL_MECHANISM={_BEARER} and {cls.PREFIX}SECURITY_PROTOCOL=SASL_SSL"
            )
        return value

    @field_validator("ca_file", "certificate_file", "key_file", "key_password")
    @classmethod
    def _with_tls(cls, value: object, info: ValidationInfo) -> object:
        protocol = info.data.get("security_protocol", "SSL")
        if value is not None and protocol not in {"SSL", "SASL_SSL"}:
            raise ValueError(f"is not used with {protocol}: set {cls.PREFIX}SECURITY_PROTOCOL to SSL or SASL_SSL")
        return value

    @field_validator("ca_file", "certificate_file", "key_file", "token_file")
    @classmethod
    def _is_readable(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                value.open("rb").close()
            except OSError as error:
                raise ValueError(f"{value} can't be read: {error.strerror}: mend it, or name another file") from None
        return value

    @field_validator("key_file", "key_password")
    @classmethod
    def _with_certificate(cls, value: object, info: ValidationInfo) -> object:
        if value is not None and info.data.get("certificate_file", "") is None:
            raise ValueError(f"has no certificate: set {cls.PREFIX}CERTIFICATE_FILE too")
        return value


class KafkaSettings(ClusterSettings):
    """The log on Kafka; without bootstrap servers it is in Redis.

    `idempotence`: off only for brokers that know no idempotent producers; a fact may then be in the topic twice, and
    still counts once. `session_timeout`: how long a worker may be silent before others take its partitions.
    """

    facts_topic: Topic = "streamgauge.facts.v1"
    dead_letters_topic: Topic = "streamgauge.dead-letters.v1"
    group: str = Field(default="streamgauge", min_length=1, max_length=255)
    compression: Literal["none", "gzip", "lz4", "zstd"] = "lz4"
    idempotence: bool = True
    session_timeout: Duration = Field(default=10 * SECOND, ge=SECOND, le=5 * MINUTE)

    @field_validator("dead_letters_topic")
    @classmethod
    def _is_another_topic(cls, value: str, info: ValidationInfo) -> str:
        if value == info.data.get("facts_topic"):
            raise ValueError("is the topic of the facts: name another one")
        return value
