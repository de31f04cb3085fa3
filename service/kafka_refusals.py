"""Why no broker lets us in. The client says only that none of them answered; so each is asked once more by itself."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import KafkaError, SaslAuthenticationFailed, UnsupportedSaslMechanismError
from aiokafka.protocol.metadata import MetadataRequest

from flow.errors import Reason, SettingsError, Unavailable
from service.kafka_connection import connection_options
from service.kafka_settings import ClusterSettings

_WITHIN: Final = 3_000
"""Milliseconds for one broker."""

_CLOSED_WITHIN: Final = 0.25
"""Seconds for its connection to be closed; one that never came about has no end."""


async def why_not(settings: ClusterSettings) -> SettingsError | Unavailable | None:
    """What is wrong, and what to do. None when a broker lets us in, or when there is nothing to add.

    Settings that a broker refuses don't pass; anything else may.
    """
    options = connection_options(settings) | {"request_timeout_ms": _WITHIN}
    told: list[tuple[str, Exception]] = []
    for host, port, _ in collect_hosts(options.pop("bootstrap_servers")):
        try:
            await _ask(host, port, options)
        except (KafkaError, OSError, TimeoutError) as error:
            told.append((f"{host}:{port}", error))
        else:
            return None
    for kind, say in _REFUSALS:
        for _, refusal in told:
            if isinstance(refusal, kind):
                return SettingsError([settings.PREFIX + say(settings, refusal)])
    if not told:
        return None
    return Unavailable(Reason.LOG_UNAVAILABLE, "; ".join(_passing(settings, *each) for each in told))


async def _ask(host: str, port: int, options: Mapping[str, Any]) -> None:
    """Raises what goes wrong.

    That a token is refused is told where the client doesn't look. The broker then hangs up, or knows of no brokers.
    """
    connection: Any = AIOKafkaConnection(host, port, **options)
    with_token, connected = "sasl_oauth_token_provider" in options, False
    try:
        await connection.connect()
        connected = True
        known: Any = await connection.send(MetadataRequest([]))
    except KafkaError:
        if with_token and connected:
            raise SaslAuthenticationFailed() from None
        raise
    finally:
        await asyncio.wait({connection.close()}, timeout=_CLOSED_WITHIN)
    if with_token and not known.brokers:
        raise SaslAuthenticationFailed()


def _wrong_password(settings: ClusterSettings, _: Exception) -> str:
    which = (
        "TOKEN_FILE: Kafka refuses the token" if settings.token_file else "PASSWORD: Kafka refuses user and password"
    )
    return f"{which} ({settings.sasl_mechanism}): check them, and the mechanism, with whoever runs the brokers"


def _wrong_mechanism(settings: ClusterSettings, _: Exception) -> str:
    return f"SASL_MECHANISM: the brokers don't take {settings.sasl_mechanism}: write one that their listener offers"


def _untrusted(settings: ClusterSettings, error: Exception) -> str:
    why = getattr(error, "verify_message", "") or "it can't be verified"
    what = "the authority that signed it" if settings.ca_file is None else "another authority"
    return f"CA_FILE: the broker's certificate is refused: {why}: name {what}, or the broker by a name in it"


def _no_tls(settings: ClusterSettings, error: Exception) -> str:
    why = getattr(error, "reason", None) or type(error).__name__
    return (
        f"SECURITY_PROTOCOL: no TLS connection comes about ({why}): is {settings.security_protocol} what this "
        f"listener speaks? Brokers that ask for a certificate need {settings.PREFIX}CERTIFICATE_FILE"
    )


_REFUSALS: Final[tuple[tuple[type[Exception], Callable[[ClusterSettings, Any], str]], ...]] = (
    (SaslAuthenticationFailed, _wrong_password),
    (UnsupportedSaslMechanismError, _wrong_mechanism),
    (ssl.SSLCertVerificationError, _untrusted),
    (ssl.SSLError, _no_tls),
)


def _passing(settings: ClusterSettings, server: str, error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return f"{server}: there is no host of this name: check {settings.PREFIX}BOOTSTRAP_SERVERS"
    if isinstance(error, ConnectionRefusedError):
        return f"{server}: no broker listens there: check that it runs where {settings.PREFIX}BOOTSTRAP_SERVERS says"
    if isinstance(error, TimeoutError):
        return f"{server}: the broker does not answer in time: check that it is well, and the network in between"
    return (
        f"{server}: the broker closed the connection ({type(error).__name__}): is "
        f"{settings.PREFIX}SECURITY_PROTOCOL={settings.security_protocol} what its listener speaks?"
    )
