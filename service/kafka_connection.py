"""How every Kafka client of ours connects, made once from the settings."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Final

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError

from flow.errors import Reason, SettingsError, Unavailable
from service.kafka_settings import ClusterSettings

REQUEST_TIMEOUT: Final = 10_000
"""Milliseconds that a broker may take to answer one request."""

CLIENT: Final = "streamgauge"


def connection_options(settings: ClusterSettings) -> dict[str, Any]:
    """The arguments that all clients of `aiokafka` share. Raises SettingsError when the certificates can't be used."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "client_id": CLIENT,
        "request_timeout_ms": REQUEST_TIMEOUT,
        "security_protocol": settings.security_protocol,
    }
    if settings.uses_tls:
        options["ssl_context"] = _tls(settings)
    if settings.token_file is not None:
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_oauth_token_provider": _TokenFile(settings.token_file),
        }
    if settings.username is not None and settings.password is not None:
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.username,
            "sasl_plain_password": settings.password.get_secret_value(),
        }
    return options


def kafka_unavailable(error: BaseException) -> Unavailable:
    """What is told when Kafka does not answer. The error's own text may hold an address and is left out."""
    message = f"Kafka does not answer ({type(error).__name__}): check that it runs where the settings say"
    return Unavailable(Reason.LOG_UNAVAILABLE, message)


class _TokenFile(AbstractTokenProvider):  # type: ignore[misc]  # the client has no types
    """Read anew for each connection: tokens live for minutes, and whoever renews them writes the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        """The token. Raises the client's KafkaConnectionError while there is none."""
        try:
            token = self._path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise KafkaConnectionError(f"the token's file can't be read: {type(error).__name__}") from None
        if not token:
            raise KafkaConnectionError("the token's file is empty")
        return token


def _tls(settings: ClusterSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (ssl.SSLError, OSError):
        raise _unusable(settings, "CA_FILE", "is not a PEM file with certificates of authorities") from None
    if settings.certificate_file is not None:
        password = settings.key_password
        secret = password.get_secret_value() if password is not None else ""
        try:
            context.load_cert_chain(settings.certificate_file, settings.key_file, lambda: secret)
        except (ssl.SSLError, OSError):
            said = "and its key are not a matching pair in PEM files, or the key's password is wrong"
            raise _unusable(settings, "CERTIFICATE_FILE", said) from None
    return context


def _unusable(settings: ClusterSettings, name: str, said: str) -> SettingsError:
    return SettingsError([f"{settings.PREFIX}{name}: {said}: name another file"])
