"""Settings: every mistake at once, each with its variable and the fix, and never a secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.adapters import ADAPTERS
from flow.errors import SettingsError
from flow.instants import DAY, HOUR, SECOND
from service.api_client import TOKEN_VARIABLE
from service.setting_values import format_size, parse_size
from service.settings import Settings
from service.settings_environment import OF_COMMANDS, environment_name

HASH = "a" * 64
SECRET = "hush-hush-hush"


def load(**variables):
    return Settings.load({f"STREAMGAUGE_{name}": value for name, value in variables.items()})


def problems(**variables):
    with pytest.raises(SettingsError) as caught:
        load(**variables)
    return list(caught.value.problems)


def test_the_defaults_are_safe():
    settings = Settings.load({"PATH": "/bin", "STREAMGAUGES": "x"})
    assert settings.http.host == "127.0.0.1"
    assert settings.http.is_loopback
    assert not settings.http.open_access
    assert not settings.http.public_metrics
    assert settings.redis_url() is None
    assert settings.api.tokens == {}
    assert settings.source_secrets() == {}
    assert settings.log.partitions == 2
    assert settings.ingest_bounds().future_tolerance == DAY
    assert settings.ingest_bounds().most_webhook_body == 25_000_000


def test_values_are_read_in_their_own_units():
    settings = load(
        HTTP__PORT="0", HTTP__OPEN_ACCESS="true", INGEST__MAX_BODY="2MB", INGEST__FUTURE_TOLERANCE="1h",
        INGEST__APPEND_WITHIN="10s", RETENTION__MINUTE="30h", DEAD_LETTERS__KEEP="500", STREAMS="streams.yaml",
        AGGREGATOR__FINISHED_ITEMS="90d", LOG__KEEP_FACTS="0", REDIS__URL="redis://:pw@cache:6379/1",
        INGEST__MAX_PENDING="9",
    )  # fmt: skip
    assert (settings.http.port, settings.http.open_access, str(settings.streams)) == (0, True, "streams.yaml")
    assert (settings.ingest_bounds().most_body, settings.ingest_bounds().future_tolerance) == (2_000_000, HOUR)
    bounds = settings.append_bounds()
    assert (bounds.most_pending, bounds.within, bounds.keep_letters) == (9, 10 * SECOND, 500)
    assert settings.cell_retention().minutes == 30 * HOUR
    assert settings.aggregator.finished_items == 90 * DAY
    assert settings.redis_url() == "redis://:pw@cache:6379/1"


def test_tokens_are_kept_as_hashes():
    assert load(API__TOKENS=f"ci:{HASH}, laptop-2:{HASH.upper()}").api.tokens == {"ci": HASH, "laptop-2": HASH}


@pytest.mark.parametrize(
    "text", ["ci", f"ci={HASH}", f"ci:{HASH}0", f"ci:{'g' * 64}", f"ci:{HASH},", f"ci:{HASH},ci:{HASH}", f"c i:{HASH}"]
)
def test_tokens_that_are_no_hashes_are_refused_without_quoting_them(text):
    [problem] = problems(API__TOKENS=text)
    assert problem.startswith("STREAMGAUGE_API__TOKENS: entry ")
    assert text not in problem
    assert HASH not in problem


def test_a_source_is_on_with_its_secret_and_takes_the_previous_one_too():
    assert load(SOURCES__GITHUB__SECRET=SECRET).source_secrets() == {"github": (SECRET,)}
    rotated = load(SOURCES__GITHUB__SECRET="new", SOURCES__GITHUB__PREVIOUS_SECRET=SECRET)
    assert rotated.source_secrets() == {"github": ("new", SECRET)}


def test_a_previous_secret_alone_is_a_mistake():
    [problem] = problems(SOURCES__GITHUB__PREVIOUS_SECRET=SECRET)
    assert problem.startswith("STREAMGAUGE_SOURCES__GITHUB__SECRET: is missing")


def test_secrets_can_stand_in_files(tmp_path):
    secret, tokens, url = tmp_path / "secret", tmp_path / "tokens", tmp_path / "url"
    secret.write_text(f"{SECRET}\n")
    tokens.write_text(f"ci:{HASH}\r\n")
    url.write_text("redis://cache")
    settings = load(SOURCES__GITHUB__SECRET_FILE=str(secret), API__TOKENS_FILE=str(tokens), REDIS__URL_FILE=str(url))
    assert settings.source_secrets() == {"github": (SECRET,)}
    assert settings.api.tokens == {"ci": HASH}
    assert settings.redis_url() == "redis://cache"
    assert {entry.name: entry.origin for entry in settings.describe()}["STREAMGAUGE_REDIS__URL"] == str(url)


@pytest.mark.parametrize(
    ("content", "word"),
    [(None, "can't be read"), (b"", "empty"), (b" \n", "empty"), (b"\xff", "UTF-8"), (b"x" * 70_000, "too large")],
)
def test_a_file_that_holds_no_secret_is_a_mistake(tmp_path, content, word):
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    [problem] = problems(SOURCES__GITHUB__SECRET_FILE=str(file))
    assert problem.startswith("STREAMGAUGE_SOURCES__GITHUB__SECRET_FILE: ")
    assert word in problem


def test_a_secret_and_its_file_are_one_too_many(tmp_path):
    file = tmp_path / "secret"
    file.write_text(SECRET)
    [problem] = problems(SOURCES__GITHUB__SECRET=SECRET, SOURCES__GITHUB__SECRET_FILE=str(file))
    assert "set one of the two" in problem


def test_what_is_no_secret_has_no_file():
    assert "no such setting" in problems(HTTP__PORT_FILE="/port")[0]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HTTP__PROT", "STREAMGAUGE_HTTP__PORT"), ("PORT", "STREAMGAUGE_HTTP__PORT"),
        ("REDIS_URL", "STREAMGAUGE_REDIS__URL"), ("SOURCES__GITHUBB__SECRET", "STREAMGAUGE_SOURCES__GITHUB__SECRET"),
        ("SOURCES__GITHUB__SECRETS", "STREAMGAUGE_SOURCES__GITHUB__SECRET"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_refused_with_the_nearest_known(name, meant):
    [problem] = problems(**{name: SECRET})
    assert f"STREAMGAUGE_{name}: there is no such setting: did you mean {meant}" in problem
    assert SECRET not in problem


def test_what_the_platform_sets_for_a_service_of_our_name_is_passed_over():
    names = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "AGGREGATOR_SERVICE_HOST", "PORT_8080_TCP_ADDR")
    assert load(**dict.fromkeys(names, "10.0.0.1"), PORT="tcp://10.0.0.1:8080").http.port == 8080


def test_the_token_of_the_commands_is_no_setting_and_no_mistake():
    assert TOKEN_VARIABLE in OF_COMMANDS
    assert Settings.load({TOKEN_VARIABLE: SECRET}) == Settings.load({})


def test_every_problem_is_told_at_once_and_none_quotes_a_secret():
    found = problems(
        HTTP__PORT="99999", LOG__PARTITIONS="two", INGEST__MAX_BODY="much", INGEST__FUTURE_TOLERANCE="soon",
        RETENTION__DAY="1h", REDIS__URL=f"http://:{SECRET}@cache", SOURCES__GITHUB__SECRET="   ",
        API__TOKENS=f"ci:{SECRET}", HTTP__HOST="0.0.0.0", HTTP__OPEN_ACCESS="yes", NONSENSE=SECRET, STREAMS="",
    )  # fmt: skip
    assert [problem.partition(":")[0].removeprefix("STREAMGAUGE_") for problem in found] == [
        "API__TOKENS", "HTTP__OPEN_ACCESS", "HTTP__PORT", "INGEST__FUTURE_TOLERANCE", "INGEST__MAX_BODY",
        "LOG__PARTITIONS", "NONSENSE", "REDIS__URL", "RETENTION__DAY", "SOURCES__GITHUB__SECRET", "STREAMS",
    ]  # fmt: skip
    assert SECRET not in "\n".join(found)
    assert "must be at least 1d" in "\n".join(found)


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("HTTP__PORT", "many", "is not a whole number: write one in digits"),
        ("LOG__PARTITIONS", "2.5", "is not a whole number: write one in digits"),
        ("HTTP__OPEN_ACCESS", "perhaps", "is neither true nor false: write one of the two"),
        ("KAFKA__COMPRESSION", "zip", "should be 'none', 'gzip', 'lz4' or 'zstd'"),
        ("SOURCES__JIRA__API_URL", "tracker", "such as https://tracker.example"),
        ("SOURCES__TRELLO__CALLBACK_URL", "gauge", "such as https://streamgauge.example/webhooks/trello"),
        ("SOURCES__JIRA__API_USER", "a b", "write it without spaces and colons"),
        ("SOURCES__JENKINS__HEADER", "x a:", "write letters, digits and hyphens"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_what_to_write_instead(name, value, fix):
    [problem] = [problem for problem in problems(**{name: value}) if problem.startswith(f"STREAMGAUGE_{name}: ")]
    assert fix in problem


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_open_access_is_for_loopback(host):
    assert load(HTTP__HOST=host, HTTP__OPEN_ACCESS="true").http.open_access


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.org", "localhost.example.org"])
def test_open_access_is_refused_elsewhere(host):
    assert "loopback" in problems(HTTP__HOST=host, HTTP__OPEN_ACCESS="true")[0]


def test_no_secret_is_ever_shown():
    settings = load(
        SOURCES__GITHUB__SECRET=SECRET, SOURCES__GITHUB__PREVIOUS_SECRET=f"{SECRET}-1", API__TOKENS=f"ci:{HASH}",
        REDIS__URL=f"redis://:{SECRET}@cache",
    )  # fmt: skip
    shown = "\n".join(f"{entry.name}={entry.value} {entry.origin}" for entry in settings.describe())
    assert SECRET not in shown + repr(settings) + str(settings) + settings.model_dump_json()
    assert HASH not in shown
    assert "STREAMGAUGE_API__TOKENS=ci environment" in shown
    assert "STREAMGAUGE_SOURCES__GITHUB__PREVIOUS_SECRET=set, not shown environment" in shown


def test_what_is_described_can_be_set_again():
    described = Settings.load({}).describe()
    again = {entry.name: entry.value for entry in described if entry.value not in {"not set", "none"}}
    assert [(entry.name, entry.value) for entry in Settings.load(again).describe()] == [
        (entry.name, entry.value) for entry in described
    ]


@given(st.integers(0, 10**12 - 1))
def test_a_size_is_read_back_as_it_was_written(size):
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5MB", "10 PB", "1e3", "9" * 13, "10MBs"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError, match="such as 10MB"):
        parse_size(text)


def test_a_hyphen_is_an_underscore_in_a_variable():
    assert environment_name(("sources", "azure-devops", "secret")) == "STREAMGAUGE_SOURCES__AZURE_DEVOPS__SECRET"


def test_a_source_may_prove_itself_by_a_header_or_by_its_address():
    settings = load(
        SOURCES__JENKINS__SECRET=SECRET,
        SOURCES__JENKINS__HEADER="X-Gauge",
        SOURCES__JIRA__SECRET=SECRET,
        SOURCES__JIRA__TOKEN_IN_URL="true",
        SOURCES__TRELLO__SECRET=SECRET,
        SOURCES__TRELLO__CALLBACK_URL="https://gauge.example/webhooks/trello",
        SOURCES__LINEAR__SECRET=SECRET,
    )
    schemes = settings.source_schemes()
    assert (schemes["jenkins"].header, schemes["jenkins"].algorithm) == ("x-gauge", None)
    assert (schemes["jira"].header, schemes["jira"].algorithm) == (":token", None)
    assert schemes["trello"].url == "https://gauge.example/webhooks/trello"
    assert schemes["linear"] == ADAPTERS["linear"].signature


def test_asana_needs_no_secret_when_it_may_tell_one():
    settings = load(SOURCES__ASANA__HANDSHAKE_TOKEN=SECRET)
    assert settings.source_secrets() == {"asana": ()}
    assert settings.handshake_tokens() == {"asana": SECRET}
    assert SECRET not in "".join(entry.value for entry in settings.describe())


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({"SOURCES__TRELLO__SECRET": SECRET}, "SOURCES__TRELLO__CALLBACK_URL"),
        ({"SOURCES__GITHUB__HEADER": "x-a"}, "SOURCES__GITHUB__SECRET"),
        (
            {"SOURCES__GITHUB__SECRET": SECRET, "SOURCES__GITHUB__HANDSHAKE_TOKEN": "t"},
            "SOURCES__GITHUB__HANDSHAKE_TOKEN",
        ),
        (
            {"SOURCES__JIRA__SECRET": SECRET, "SOURCES__JIRA__HEADER": "x-a", "SOURCES__JIRA__TOKEN_IN_URL": "true"},
            "SOURCES__JIRA__HEADER",
        ),
        ({"SOURCES__JIRA__SECRET": SECRET, "SOURCES__JIRA__HEADER": "x a:"}, "SOURCES__JIRA__HEADER"),
        ({"SOURCES__JIRA__SECRET": SECRET, "SOURCES__JIRA__CALLBACK_URL": "https://x"}, "SOURCES__JIRA__CALLBACK_URL"),
        (
            {"SOURCES__TRELLO__SECRET": SECRET, "SOURCES__TRELLO__CALLBACK_URL": "gauge"},
            "SOURCES__TRELLO__CALLBACK_URL",
        ),
        ({"SOURCES__JIRA__SECRET": SECRET, "SOURCES__JIRA__HEADER_FILE": "/x"}, "SOURCES__JIRA__HEADER_FILE"),
    ],
)
def test_what_a_source_can_not_mean_is_a_mistake(environment, variable):
    with pytest.raises(SettingsError) as error:
        load(**environment)
    assert any(problem.startswith(f"STREAMGAUGE_{variable}:") for problem in error.value.problems)
    assert SECRET not in error.value.message


def test_the_spool_is_in_the_data_folder_unless_told_otherwise_or_off():
    assert str(load(DATA="/data").spool_folder()) == "/data/spool"
    assert str(load(DATA="/data", SPOOL__FOLDER="/spool").spool_folder()) == "/spool"
    assert load(SPOOL__FOLDER="/spool", SPOOL__MAX_SIZE="0").spool_folder() is None
    assert load(SPOOL__MAX_SIZE="1GB").spool.max_size == 1_000_000_000


def test_a_webhook_never_waits_as_long_as_the_most_impatient_sender():
    assert load().ingest_bounds().webhook_within == 3 * SECOND
    assert load(INGEST__WEBHOOK_WITHIN="2s").ingest_bounds().webhook_within == 2 * SECOND
    [problem] = problems(INGEST__WEBHOOK_WITHIN="5s")
    assert problem == "STREAMGAUGE_INGEST__WEBHOOK_WITHIN: must be at most 4s"
