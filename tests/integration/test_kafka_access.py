"""Brokers that ask who we are, and prove who they are: every way that works, and what is said of each that doesn't."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from flow.errors import SettingsError, Unavailable
from flow.facts import ItemFact
from service.bounds import AppendBounds
from service.kafka_connection import connection_options
from service.kafka_log import KafkaLogWriter, Topics
from service.kafka_producer import Producer
from service.kafka_topics import TopicPlan, check_topics, create_topics
from service.settings import Settings
from tests.integration.kafka_installation import ROOT
from tests.servers.certificates import make_certificate
from tests.servers.kafka import KafkaCluster, free_ports, running_kafka

pytestmark = [pytest.mark.needs_server("apache-kafka"), pytest.mark.timeout(120)]

USER, PASSWORD = "worker", "hush-hush-hush"
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
_LOGIN: Final = "org.apache.kafka.common.security"
_JAAS: Final = {
    "plain": f'{_LOGIN}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
    "scram-sha-256": f"{_LOGIN}.scram.ScramLoginModule required;",
    "scram-sha-512": f"{_LOGIN}.scram.ScramLoginModule required;",
    "oauthbearer": f'{_LOGIN}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
}


@dataclass(frozen=True)
class Secured:
    """A cluster with a listener of each kind, by `security.protocol`, and what a client needs."""

    cluster: KafkaCluster
    ports: dict[str, int]
    certificate: Path
    token: Path

    def settings(self, protocol: str, **more: object) -> Settings:
        found = {"BOOTSTRAP_SERVERS": f"127.0.0.1:{self.ports[protocol]}", "SECURITY_PROTOCOL": protocol} | more
        if "SSL" in str(found["SECURITY_PROTOCOL"]) and "CA_FILE" not in more:
            found["CA_FILE"] = self.certificate
        return Settings.load({f"STREAMGAUGE_KAFKA__{name}": str(value) for name, value in found.items() if value})

    def proof(self, mechanism: str) -> dict[str, object]:
        if mechanism == "OAUTHBEARER":
            return {"SASL_MECHANISM": mechanism, "TOKEN_FILE": self.token}
        return {"SASL_MECHANISM": mechanism, "USERNAME": USER, "PASSWORD": PASSWORD}


def write_token(path: Path, seconds: float) -> None:
    """A token that expires so many seconds from now; of the kind that brokers take for tests, without a signature."""
    claims = {"sub": USER, "iat": time.time() - 600, "exp": time.time() + seconds}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "none"}, claims)]
    path.write_bytes(b".".join(parts) + b".\n")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("kafka-access")
    made = make_certificate(folder)
    (folder / "keystore.pem").write_text(made.key.read_text() + made.file.read_text())
    token = folder / "token"
    write_token(token, 3600)
    kinds = ("SSL", "SASL_PLAINTEXT", "SASL_SSL")
    ports = dict(zip(kinds, free_ports(len(kinds)), strict=True))
    settings: dict[str, object] = {
        "more.listeners": ",".join(f"{kind}://127.0.0.1:{port}" for kind, port in ports.items()),
        "listener.security.protocol.map": ",".join(f"{kind}:{kind}" for kind in ("PLAINTEXT", *kinds))
        + ",CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": folder / "keystore.pem",
    }
    for kind in ("sasl_plaintext", "sasl_ssl"):
        for mechanism, jaas in _JAAS.items():
            settings[f"listener.name.{kind}.{mechanism}.sasl.jaas.config"] = jaas
    formatting = [
        word
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        for word in ("--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]")
    ]
    with running_kafka(1, settings, formatting) as cluster:
        yield Secured(cluster, ports, made.file, token)


async def writes(settings: Settings, name: str) -> None:
    """Create topics of our own with these settings, and write a fact."""
    kafka = settings.kafka.model_copy(update={"facts_topic": name, "dead_letters_topic": f"{name}.letters"})
    await create_topics(kafka, TopicPlan(1, 1, 1))
    await check_topics(kafka, 1)
    producer = Producer(connection_options(kafka), kafka.compression)
    async with KafkaLogWriter(
        producer, Topics(name, f"{name}.letters", 1), lambda: 1, AppendBounds(within=30_000)
    ) as writer:
        await writer.append([ItemFact("1", "acme", "CHK-1", 1)])


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
async def test_whoever_proves_who_they_are_may_write(secured: Secured, protocol: str, mechanism: str) -> None:
    await writes(secured.settings(protocol, **secured.proof(mechanism)), f"{protocol}.{mechanism}".lower())


async def test_brokers_that_prove_who_they_are_are_believed(secured: Secured) -> None:
    await writes(secured.settings("SSL"), "ssl")


async def problem_of(settings: Settings) -> str:
    with pytest.raises((SettingsError, Unavailable)) as caught:
        await check_topics(settings.kafka, 1)
    assert PASSWORD not in str(caught.value)
    return f"{type(caught.value).__name__} {caught.value}"


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_a_wrong_password_is_told_as_what_it_is(secured: Secured, mechanism: str) -> None:
    proof = secured.proof(mechanism) | {"PASSWORD": "wrong"}
    said = await problem_of(secured.settings("SASL_SSL", **proof))
    assert said.startswith(f"SettingsError STREAMGAUGE_KAFKA__PASSWORD: Kafka refuses user and password ({mechanism})")


async def test_a_token_is_read_anew_for_each_connection(secured: Secured, tmp_path: Path) -> None:
    token = tmp_path / "token"
    write_token(token, -60)
    settings = secured.settings("SASL_SSL", SASL_MECHANISM="OAUTHBEARER", TOKEN_FILE=token)
    assert "SettingsError STREAMGAUGE_KAFKA__TOKEN_FILE: Kafka refuses the token" in await problem_of(settings)
    write_token(token, 3600)
    await writes(settings, "renewed")
    token.unlink()
    assert (await problem_of(settings)).startswith("Unavailable ")


@pytest.mark.parametrize(
    ("listener", "changed", "told"),
    [
        (
            "SSL",
            {"CA_FILE": None},
            "SettingsError STREAMGAUGE_KAFKA__CA_FILE: the broker's certificate is refused: self",
        ),
        ("SASL_PLAINTEXT", {"SECURITY_PROTOCOL": "SASL_SSL"}, "SASL_SSL what "),
        ("SSL", {"SECURITY_PROTOCOL": "PLAINTEXT"}, "is STREAMGAUGE_KAFKA__SECURITY_PROTOCOL=PLAINTEXT what its"),
        ("SASL_SSL", {"SECURITY_PROTOCOL": "SSL"}, "is STREAMGAUGE_KAFKA__SECURITY_PROTOCOL=SSL what its"),
        ("SSL", {"BOOTSTRAP_SERVERS": "no-such-host.invalid:9092"}, "there is no host of this name: check STREAMGAUGE"),
        ("SSL", {"BOOTSTRAP_SERVERS": "127.0.0.1:1"}, "Unavailable 127.0.0.1:1: no broker listens there: check that"),
    ],
)
async def test_a_wrong_setting_is_told_with_what_to_do(
    secured: Secured, listener: str, changed: dict[str, Any], told: str
) -> None:
    protocol = changed.get("SECURITY_PROTOCOL", listener)
    proof = secured.proof("PLAIN") if protocol.startswith("SASL") else {}
    assert told in await problem_of(secured.settings(listener, **(proof | changed)))


async def test_a_broker_that_hangs_is_told_as_such(secured: Secured) -> None:
    secured.cluster.pause()
    try:
        settings = secured.settings("SASL_SSL", **secured.proof("PLAIN"))
        said = await problem_of(settings)
    finally:
        secured.cluster.resume()
    assert said.startswith("Unavailable 127.0.0.1:")
    assert "does not answer in time" in said


@pytest.mark.parametrize("command", ["serve", "aggregate", "bridge", "check"])
async def test_every_command_ends_at_a_wrong_password_with_one_message(
    secured: Secured, tmp_path: Path, redis_url: str, command: str
) -> None:
    streams = tmp_path / "streams.yaml"
    streams.write_text(
        "streams:\n  a:\n    match: {project: A}\n    stages:\n"
        "      - {name: open, kind: active, when: [{status: Open}]}\n"
        "      - {name: done, kind: done, when: [{status: Done}]}\n"
    )
    [port] = free_ports(1)
    environment = {
        "STREAMGAUGE_STREAMS": str(streams),
        "STREAMGAUGE_REDIS__URL": redis_url,
        "STREAMGAUGE_DATA": str(tmp_path),
        "STREAMGAUGE_HTTP__PORT": str(port),
        "STREAMGAUGE_HTTP__OPEN_ACCESS": "true",
        "STREAMGAUGE_BRIDGE__TOPICS": "theirs:facts",
        "STREAMGAUGE_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{secured.ports['SASL_PLAINTEXT']}",
        "STREAMGAUGE_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "STREAMGAUGE_KAFKA__USERNAME": USER,
        "STREAMGAUGE_KAFKA__PASSWORD": "wrong-wrong",
        "PYTHONPATH": str(ROOT),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service.command_line", command),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        env=os.environ | environment,
    )
    try:
        said = (await asyncio.wait_for(process.communicate(), 60))[0].decode()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == (1 if command == "check" else 78), said
    assert "STREAMGAUGE_KAFKA__PASSWORD: Kafka refuses user and password (PLAIN)" in said
    assert "wrong-wrong" not in said
    assert "Traceback" not in said
