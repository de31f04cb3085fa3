"""The settings of the log on Kafka: every mistake with its variable and the fix, and never a secret."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from flow.errors import SettingsError
from service.kafka_connection import connection_options
from service.settings import Settings

SECRET = "hush-hush-hush"


def load(**variables: object) -> Settings:
    return Settings.load({f"STREAMGAUGE_KAFKA__{name}": str(value) for name, value in variables.items()})


def problems(**variables: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(**variables)
    assert SECRET not in str(caught.value)
    return [problem.removeprefix("STREAMGAUGE_KAFKA__") for problem in caught.value.problems]


def options(**variables: object) -> dict[str, Any]:
    return connection_options(load(BOOTSTRAP_SERVERS="kafka-1:9092", **variables).kafka)


def test_without_bootstrap_servers_the_log_is_not_on_kafka():
    assert Settings.load({}).kafka.bootstrap_servers is None


def test_the_defaults_are_the_names_that_others_rely_on():
    kafka = load(BOOTSTRAP_SERVERS="kafka-1:9092, kafka-2:9093").kafka
    assert kafka.bootstrap_servers == "kafka-1:9092,kafka-2:9093"
    assert (kafka.facts_topic, kafka.dead_letters_topic) == ("streamgauge.facts.v1", "streamgauge.dead-letters.v1")
    assert (kafka.group, kafka.compression) == ("streamgauge", "lz4")


@pytest.mark.parametrize(
    "text", ["kafka", "kafka:", ":9092", "kafka:0", "kafka:70000", "a:1,,b:2", "http://kafka:9092"]
)
def test_servers_without_host_or_port_are_refused(text):
    [problem] = problems(BOOTSTRAP_SERVERS=text)
    assert problem.startswith("BOOTSTRAP_SERVERS: entry ")
    assert "kafka-1:9092,kafka-2:9092" in problem


@pytest.mark.parametrize("host", ["kafka-1.example.org:9092", "10.0.0.1:9092", "[::1]:9092"])
def test_names_and_addresses_are_servers(host):
    assert load(BOOTSTRAP_SERVERS=host).kafka.bootstrap_servers == host


@pytest.mark.parametrize("name", ["a b", "", "x" * 250, "..", "ä"])
def test_what_no_topic_can_be_called_is_refused(name):
    [problem] = problems(FACTS_TOPIC=name)
    assert problem.startswith("FACTS_TOPIC: ")


def test_facts_and_letters_need_topics_of_their_own():
    [problem] = problems(FACTS_TOPIC="x", DEAD_LETTERS_TOPIC="x")
    assert problem == "DEAD_LETTERS_TOPIC: is the topic of the facts: name another one"


@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
def test_sasl_needs_a_name_and_a_password(protocol):
    assert [problem.split(":")[0] for problem in problems(SECURITY_PROTOCOL=protocol)] == ["PASSWORD", "USERNAME"]


def test_a_password_without_sasl_would_not_be_used():
    found = problems(USERNAME="me", PASSWORD=SECRET)
    assert [problem.split(":")[0] for problem in found] == ["PASSWORD", "USERNAME"]
    assert all("SASL_SSL" in problem for problem in found)


def test_a_token_takes_the_place_of_name_and_password(tmp_path: Path):
    token = tmp_path / "token"
    token.write_text("x.y.z\n")
    bearer = {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "OAUTHBEARER"}
    found = options(**bearer, TOKEN_FILE=token)
    assert found["sasl_mechanism"] == "OAUTHBEARER"
    provider = found["sasl_oauth_token_provider"]
    assert asyncio.run(provider.token()) == "x.y.z"
    for content in (b"", b"\xff"):
        token.write_bytes(content)
        with pytest.raises(KafkaConnectionError):
            asyncio.run(provider.token())
    assert problems(**bearer) == ["TOKEN_FILE: is missing: OAUTHBEARER needs a file with the token"]
    [problem] = problems(**bearer, TOKEN_FILE=tmp_path / "none")
    assert problem.startswith("TOKEN_FILE: ")
    both = problems(**bearer, TOKEN_FILE=token, USERNAME="me", PASSWORD=SECRET)
    assert [problem.split(":")[0] for problem in both] == ["PASSWORD", "USERNAME"]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_a_token_is_for_its_mechanism_only(tmp_path: Path, mechanism: str):
    (tmp_path / "token").write_text("x")
    proof = {"SASL_MECHANISM": mechanism, "USERNAME": "me", "PASSWORD": SECRET}
    [problem] = problems(SECURITY_PROTOCOL="SASL_SSL", TOKEN_FILE=tmp_path / "token", **proof)
    assert problem.startswith("TOKEN_FILE: is used only with STREAMGAUGE_KAFKA__SASL_MECHANISM=OAUTHBEARER")


def test_files_of_tls_without_tls_would_not_be_used(tmp_path: Path):
    (tmp_path / "ca.pem").write_text("x")
    [problem] = problems(CA_FILE=tmp_path / "ca.pem")
    assert problem.startswith("CA_FILE: is not used with PLAINTEXT")


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path):
    [problem] = problems(SECURITY_PROTOCOL="SSL", CA_FILE=tmp_path / "none.pem")
    assert problem.startswith("CA_FILE: ")
    assert "No such file" in problem


def test_a_key_needs_its_certificate(tmp_path: Path):
    (tmp_path / "key.pem").write_text("x")
    [problem] = problems(SECURITY_PROTOCOL="SSL", KEY_FILE=tmp_path / "key.pem")
    assert "STREAMGAUGE_KAFKA__CERTIFICATE_FILE" in problem


def test_what_the_client_does_not_know_is_refused():
    found = problems(SASL_MECHANISM="MAGIC", COMPRESSION="snappy", SESSION_TIMEOUT="1h", SECURITY_PROTOCOL="TLS")
    assert [problem.split(":")[0] for problem in found] == [
        "COMPRESSION",
        "SASL_MECHANISM",
        "SECURITY_PROTOCOL",
        "SESSION_TIMEOUT",
    ]


def test_the_password_can_stand_in_a_file_and_is_never_shown(tmp_path: Path):
    (tmp_path / "password").write_text(f"{SECRET}\n")
    settings = load(SECURITY_PROTOCOL="SASL_SSL", USERNAME="me", PASSWORD_FILE=tmp_path / "password")
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings.describe())
    found = connection_options(settings.kafka)
    assert (found["sasl_plain_username"], found["sasl_plain_password"]) == ("me", SECRET)
    assert isinstance(found["ssl_context"], ssl.SSLContext)


def test_without_tls_there_is_no_context():
    found = options(SECURITY_PROTOCOL="SASL_PLAINTEXT", USERNAME="me", PASSWORD=SECRET, SASL_MECHANISM="SCRAM-SHA-512")
    assert "ssl_context" not in found
    assert found["sasl_mechanism"] == "SCRAM-SHA-512"
    assert "sasl_mechanism" not in options()


def test_tls_checks_the_name_of_the_broker():
    context = options(SECURITY_PROTOCOL="SSL")["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_certificate_and_its_key_are_loaded_with_the_password(tmp_path: Path):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"]
    words += ["-subj", "/CN=worker", "-keyout", str(key), "-out", str(certificate), "-passout", f"pass:{SECRET}"]
    subprocess.run(words, check=True, capture_output=True)
    files = {"SECURITY_PROTOCOL": "SSL", "CA_FILE": certificate, "CERTIFICATE_FILE": certificate, "KEY_FILE": key}
    assert isinstance(options(**files, KEY_PASSWORD=SECRET)["ssl_context"], ssl.SSLContext)
    for wrong in ({"KEY_PASSWORD": "other"}, {}):
        with pytest.raises(SettingsError, match="STREAMGAUGE_KAFKA__CERTIFICATE_FILE"):
            options(**files, **wrong)


def test_a_file_that_holds_no_certificate_is_a_mistake(tmp_path: Path):
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(SettingsError, match="STREAMGAUGE_KAFKA__CA_FILE"):
        options(SECURITY_PROTOCOL="SSL", CA_FILE=tmp_path / "ca.pem")
