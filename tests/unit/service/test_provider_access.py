from __future__ import annotations

from base64 import b64encode

import pytest

from flow.definitions import Definitions
from flow.errors import SettingsError
from service.command_line.check_command import summary
from service.provider_access import NAMES, access_of
from service.settings import Settings

TOKEN = "shibboleth-4711"


def settings(source, **fields):
    prefix = f"STREAMGAUGE_SOURCES__{source.upper().replace('-', '_')}__"
    return Settings.load({f"{prefix}{name.upper()}": value for name, value in fields.items()})


def access(source, **fields):
    return access_of(source, settings(source, **fields).sources[source])


def basic(text):
    return f"Basic {b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("source", "fields", "url", "authorisation"),
    [
        ("github", {}, "https://api.github.com", f"Bearer {TOKEN}"),
        ("gitlab", {"api_url": "https://git.acme.example/"}, "https://git.acme.example", f"Bearer {TOKEN}"),
        ("jira", {"api_url": "https://acme.example", "api_user": "robin@acme.example"}, "https://acme.example",
         basic(f"robin@acme.example:{TOKEN}")),
        ("jira", {"api_url": "https://jira.acme.example"}, "https://jira.acme.example", f"Bearer {TOKEN}"),
        ("asana", {}, "https://app.asana.com", f"Bearer {TOKEN}"),
        ("azure-devops", {"api_url": "https://dev.azure.com/acme"}, "https://dev.azure.com/acme", basic(f":{TOKEN}")),
        ("linear", {}, "https://api.linear.app", f"Bearer {TOKEN}"),
    ],
)  # fmt: skip
def test_every_provider_is_shown_the_token_as_it_wants_it(source, fields, url, authorisation):
    found = access(source, api_token=TOKEN, **fields)
    assert (found.url, found.headers["Authorization"]) == (url, authorisation)


def test_a_personal_key_of_linear_is_no_bearer():
    assert access("linear", api_token="lin_api_abc").headers["Authorization"] == "lin_api_abc"


def test_a_token_may_stand_in_a_file(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert access("github", api_token_file=str(file)).headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("source", sorted(NAMES))
def test_without_a_token_the_variable_is_named(source):
    with pytest.raises(SettingsError) as error:
        access_of(source, None)
    variable = f"STREAMGAUGE_SOURCES__{source.upper().replace('-', '_')}__API_TOKEN"
    assert f"{variable}: is missing" in error.value.problems[0]


@pytest.mark.parametrize(
    ("source", "fields", "said"),
    [
        ("jira", {"api_token": TOKEN}, "STREAMGAUGE_SOURCES__JIRA__API_URL: is missing"),
        ("jira", {"api_url": "https://acme.example"}, "STREAMGAUGE_SOURCES__JIRA__API_TOKEN: is missing"),
        ("trello", {"api_token": TOKEN}, "STREAMGAUGE_SOURCES__TRELLO__API_TOKEN: trello is not asked"),
        ("github", {"api_token": TOKEN, "api_url": "ftp://x"}, "STREAMGAUGE_SOURCES__GITHUB__API_URL"),
        ("jira", {"api_token": TOKEN, "api_url": "https://a.example", "api_user": "a b"}, "API_USER"),
    ],
)
def test_settings_that_can_not_be_meant_are_found_at_the_start(source, fields, said):
    with pytest.raises(SettingsError) as error:
        settings(source, **fields)
    assert said in "\n".join(error.value.problems)
    assert TOKEN not in str(error.value)


def test_a_token_alone_switches_no_webhook_on():
    found = settings("github", api_token=TOKEN)
    assert found.source_secrets() == {}
    assert settings("github", api_token=TOKEN, secret="s3cr3t").source_secrets() == {"github": ("s3cr3t",)}


def check_of(source, **fields):
    lines = summary(settings(source, **fields), Definitions({}))
    assert TOKEN not in "\n".join(lines)
    first = next(number for number, line in enumerate(lines) if line.startswith(f"  {source} "))
    return " ".join(" ".join(line.split()) for line in lines[first : first + 2] if "  gitlab " not in line)


def test_check_says_what_is_not_seen_without_a_token():
    assert "off: set STREAMGAUGE_SOURCES__GITHUB__SECRET" in check_of("github", api_token=TOKEN)
    assert "don't tell the columns of boards" in check_of("github", secret="s3cr3t")
    assert "set STREAMGAUGE_SOURCES__GITHUB__API_TOKEN" in check_of("github", secret="s3cr3t")
    assert check_of("github", secret="s3cr3t", api_token=TOKEN) == "github on"
    assert check_of("jira", secret="s3cr3t").startswith("jira on linear off")
