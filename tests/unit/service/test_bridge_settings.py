"""The settings of the bridge: every mistake with its variable and the fix, and never a secret."""

from __future__ import annotations

import pytest

from flow.adapters import ADAPTERS
from flow.errors import SettingsError
from service.bridge_settings import cluster_of_bridge
from service.kafka_connection import connection_options
from service.settings import Settings

SECRET = "hush-hush-hush"
EXAMPLE = "jira.events:jira,ci.events:header,cd.events:cloudevents,flow.facts:facts"


def load(**variables):
    return Settings.load({f"STREAMGAUGE_{name}": str(value) for name, value in variables.items()})


def problems(**variables):
    with pytest.raises(SettingsError) as caught:
        load(**variables)
    assert SECRET not in str(caught.value)
    return list(caught.value.problems)


def test_the_topics_of_the_documentation_are_taken():
    assert dict(load(BRIDGE__TOPICS=EXAMPLE).bridge.topics) == {
        "jira.events": "jira",
        "ci.events": "header",
        "cd.events": "cloudevents",
        "flow.facts": "facts",
    }


@pytest.mark.parametrize("kind", [*ADAPTERS, "header", "cloudevents", "facts"])
def test_every_source_is_a_kind(kind):
    assert load(BRIDGE__TOPICS=f" a.b : {kind} ").bridge.topics == {"a.b": kind}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a.b", "entry 1 is not topic:kind: write topic:kind, as in jira.events:jira"),
        ("a.b:", "entry 1 is not topic:kind"),
        (":jira", "entry 1 is not topic:kind"),
        ("a.b:jira,", "entry 2 is not topic:kind"),
        ("a b:jira", "entry 1: 'a b' is no name of a topic"),
        ("a.b:jira,a.b:github", "entry 2: a.b is there already"),
        ("a.b:gihub", "there is no kind 'gihub': did you mean github?"),
        ("a.b:zzz", "there is no kind 'zzz': write one of alertmanager, "),
    ],
)
def test_topics_that_are_not_right_are_refused_with_the_entry_and_the_fix(text, said):
    [problem] = problems(BRIDGE__TOPICS=text)
    assert problem.startswith("STREAMGAUGE_BRIDGE__TOPICS: entry ")
    assert said in problem


def test_every_mistake_is_found_at_once():
    found = problems(BRIDGE__TOPICS="a,b:zzz", BRIDGE__START="now", BRIDGE__GROUP="")
    assert [problem.partition(":")[0].removeprefix("STREAMGAUGE_BRIDGE__") for problem in found] == [
        "GROUP", "START", "TOPICS",
    ]  # fmt: skip
    assert "entry 1 is" in found[2]
    assert "entry 2: " in found[2]


def test_without_servers_of_its_own_the_topics_are_on_the_logs_cluster():
    settings = load(KAFKA__BOOTSTRAP_SERVERS="log:9092", BRIDGE__TOPICS="a:jira")
    assert cluster_of_bridge(settings.bridge, settings.kafka) is settings.kafka
    assert cluster_of_bridge(load().bridge, load().kafka) is None


def test_servers_of_its_own_are_reached_in_their_own_way():
    settings = load(
        KAFKA__BOOTSTRAP_SERVERS="log:9092",
        BRIDGE__BOOTSTRAP_SERVERS="theirs:9092",
        BRIDGE__SECURITY_PROTOCOL="SASL_PLAINTEXT",
        BRIDGE__USERNAME="robin",
        BRIDGE__PASSWORD=SECRET,
    )
    cluster = cluster_of_bridge(settings.bridge, settings.kafka)
    assert cluster is not None
    options = connection_options(cluster)
    assert (options["bootstrap_servers"], options["sasl_plain_password"]) == ("theirs:9092", SECRET)
    assert SECRET not in str(settings.describe())


def test_a_password_may_stand_in_a_file(tmp_path):
    (tmp_path / "password").write_text(SECRET)
    settings = load(
        BRIDGE__BOOTSTRAP_SERVERS="theirs:9092",
        BRIDGE__SECURITY_PROTOCOL="SASL_SSL",
        BRIDGE__USERNAME="robin",
        BRIDGE__PASSWORD_FILE=tmp_path / "password",
    )
    assert settings.bridge.password is not None
    assert settings.bridge.password.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SECURITY_PROTOCOL": "SSL"}, "is used only with servers of the bridge's own"),
        (
            {"BOOTSTRAP_SERVERS": "a:1", "USERNAME": "robin"},
            "is not used with PLAINTEXT: set STREAMGAUGE_BRIDGE__SECURITY_PROTOCOL to SASL_SSL",
        ),
        ({"BOOTSTRAP_SERVERS": "a:1", "CA_FILE": __file__}, "set STREAMGAUGE_BRIDGE__SECURITY_PROTOCOL to SSL"),
        (
            {"BOOTSTRAP_SERVERS": "a:1", "SECURITY_PROTOCOL": "SSL", "KEY_FILE": __file__},
            "has no certificate: set STREAMGAUGE_BRIDGE__CERTIFICATE_FILE too",
        ),
    ],
)
def test_mistakes_about_its_servers_name_the_bridges_own_settings(variables, said):
    [problem] = problems(**{f"BRIDGE__{name}": value for name, value in variables.items()})
    assert said in problem


def test_a_file_that_holds_no_certificates_is_named_as_the_bridges():
    settings = load(BRIDGE__BOOTSTRAP_SERVERS="a:1", BRIDGE__SECURITY_PROTOCOL="SSL", BRIDGE__CA_FILE=__file__)
    with pytest.raises(SettingsError, match=r"^STREAMGAUGE_BRIDGE__CA_FILE: is not a PEM file"):
        connection_options(settings.bridge)


@pytest.mark.parametrize("servers", [{}, {"BRIDGE__BOOTSTRAP_SERVERS": "log:9092"}])
@pytest.mark.parametrize("topic", ["streamgauge.facts.v1", "streamgauge.dead-letters.v1"])
def test_the_bridge_may_not_read_what_it_writes(topic, servers):
    [problem] = problems(KAFKA__BOOTSTRAP_SERVERS="log:9092", BRIDGE__TOPICS=f"{topic}:facts", **servers)
    assert problem.startswith(f"STREAMGAUGE_BRIDGE__TOPICS: {topic} is a topic of the log itself")


def test_the_bridge_may_not_join_the_workers_group():
    [problem] = problems(KAFKA__BOOTSTRAP_SERVERS="log:9092", BRIDGE__GROUP="streamgauge")
    assert problem.startswith("STREAMGAUGE_BRIDGE__GROUP: is the group of the log's workers too")


def test_on_another_cluster_names_may_be_the_same():
    load(KAFKA__BOOTSTRAP_SERVERS="log:9092", BRIDGE__BOOTSTRAP_SERVERS="theirs:9092", BRIDGE__GROUP="streamgauge")
