"""`streamgauge backfill`, as a user runs it: from a provider's API into a running Streamgauge, beside its webhooks."""

from __future__ import annotations

import hmac
import json
import signal
import subprocess
import sys
import time

import pytest

from tests.integration.gauges import child_environment, running_gauge
from tests.integration.processes import ROOT
from tests.servers.github_api import GitHub
from tests.servers.jira_api import Jira
from tests.servers.provider_api import Reply, provider_server

pytestmark = pytest.mark.needs_server("valkey")

STREAMS = r"""
streams:
  checkout:
    match: {source: jira, project: CHK}
    item_keys: ['CHK-\d+']
    stages:
      - {name: backlog, kind: queue, when: [{status: To Do}]}
      - {name: develop, kind: active, when: [{status: In Progress}]}
      - {name: done, kind: done, when: [{status: Done}]}
  shop:
    match: {source: github, repository: acme/shop}
    stages:
      - {name: open, kind: queue, when: [{status: open}]}
      - {name: doing, kind: active, when: [{label: doing}]}
      - {name: closed, kind: done, when: [{status: closed}]}
"""
SECRET = "webhooks-are-signed"
MINUTE = 60_000
NOW = time.time_ns() // 1_000_000_000 * 1000
AT = NOW - 40 * 24 * 60 * MINUTE


@pytest.fixture(scope="module")
def gauge():
    with running_gauge(STREAMS, {"STREAMGAUGE_SOURCES__JIRA__SECRET": SECRET}) as running:
        yield running


@pytest.fixture
def command(tmp_path, gauge):
    """The words and the environment of `streamgauge backfill` with a cache of its own."""
    streams = tmp_path / "streams.yaml"
    streams.write_text(STREAMS)

    def start(server, source, *arguments):
        variable = f"STREAMGAUGE_SOURCES__{source.upper()}__"
        settings = {"XDG_CACHE_HOME": str(tmp_path), f"{variable}API_URL": server.url}
        settings[f"{variable}API_TOKEN"] = f"{source}-token"
        if source == "jira":
            settings[f"{variable}API_USER"] = "robin@acme.example"
        words = [sys.executable, "-m", "service.command_line", "backfill", source, *arguments]
        return [*words, "--url", gauge.url, "--streams", str(streams)], child_environment(settings)

    return start


@pytest.fixture
def run(command):
    """Runs `streamgauge backfill` to its end; returns the ended process."""

    def start(server, *arguments):
        words, environment = command(server, *arguments)
        return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False)

    return start


def a_site():
    site = Jira()
    for number in range(6):
        issue = site.create(f"CHK-{number + 1}", AT + number * MINUTE)
        if number > 1:
            issue.move(AT + 60 * MINUTE + number, "In Progress")
            issue.rename(AT + 90 * MINUTE + number, "Now in progress")
        if number > 3:
            issue.move(AT + 120 * MINUTE + number, "Done")
    return site


def post_webhook(client, body):
    told = json.dumps(body).encode()
    signature = hmac.new(SECRET.encode(), told, "sha256").hexdigest()
    client.post_webhook("jira", told, {"X-Hub-Signature": f"sha256={signature}", "Content-Type": "application/json"})


def test_webhooks_and_the_backfill_overlap_and_everything_counts_once(gauge, run):
    site = a_site()
    with provider_server(site.answer) as server, gauge.client() as client:
        for body in site.webhooks()[::2]:
            post_webhook(client, body)
        first = run(server, "jira", "CHK")
        again = run(server, "jira", "CHK")
        for body in site.webhooks()[1::2]:
            post_webhook(client, body)
        gauge.settled()
        status = client.get("/v1/streams/checkout", window="90d")
        item = client.get("/v1/streams/checkout/items/CHK-3")
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert "16 facts are in the log" in first.stderr
    assert "jira-token" not in first.stdout + first.stderr
    assert {stage["stage"]: stage["wip"] for stage in status["stages"]} == {"backlog": 2, "develop": 2, "done": None}
    assert (status["throughput"], {stage["stage"]: stage["arrivals"] for stage in status["stages"]}) == (
        2, {"backlog": 6, "develop": 4, "done": 2},
    )  # fmt: skip
    assert len(json.dumps(item).split("history-")) <= 3  # two changes, each of them once
    develop = next(stage for stage in status["stages"] if stage["stage"] == "develop")
    assert abs(develop["oldest_age"] * 1000 - (time.time() * 1000 - AT - 60 * MINUTE)) < 10 * MINUTE  # its true start


def test_a_backfill_that_failed_goes_on_where_it_was(gauge, run):
    site = a_site()
    with provider_server(site.answer) as server:
        server.faults += [None, None, None, Reply({"message": "gone"}, 401)]
        stopped = run(server, "jira", "CHK", "--since", "90d")
        before = len(server.asked)
        went_on = run(server, "jira", "CHK", "--since", "90d")
        pages = [
            request.query.get("nextPageToken") for request in server.asked[before:] if request.path.endswith("jql")
        ]
    assert (stopped.returncode, went_on.returncode) == (1, 0), went_on.stderr
    assert "Jira does not accept the token" in stopped.stderr
    assert "Going on where an earlier backfill stopped" in went_on.stderr
    assert pages == ["token-2", "token-4"]


def test_ctrl_c_while_it_waits_ends_it_and_the_same_command_goes_on(gauge, command):
    with provider_server(a_site().answer) as server:
        server.faults += [None, None, None, Reply({}, 429, {"Retry-After": "900"})]
        words, environment = command(server, "jira", "CHK", "--since", "91d")
        process = subprocess.Popen(words, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        assert "Waiting 900 s: Jira limits how often it may be asked" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        before = len(server.asked)
        went_on = subprocess.run(
            words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False
        )
        pages = [
            request.query.get("nextPageToken") for request in server.asked[before:] if request.path.endswith("jql")
        ]
    assert (process.returncode, went_on.returncode) == (130, 0), said + went_on.stderr
    assert "The same command goes on where it was" in said
    assert pages[0] == "token-2"


def test_a_page_token_that_expired_in_the_meantime_costs_only_time(gauge, run):
    site = a_site()
    with provider_server(site.answer) as server:
        server.faults += [None, None, None, Reply({}, 401)]
        run(server, "jira", "CHK", "--only", "items")
        site.refuse_tokens, site.page = True, 50
        went_on = run(server, "jira", "CHK", "--only", "items")
    assert went_on.returncode == 0, went_on.stderr
    assert "from its start" in went_on.stderr


def test_a_repository_is_read_with_its_deliveries(gauge, run):
    repository = GitHub()
    issue = repository.open_issue(AT)
    issue.label(AT + 60 * MINUTE, "doing")
    repository.open_pull(AT + 70 * MINUTE).merge(AT + 80 * MINUTE)
    repository.deploy(AT, "production", (AT + 90 * MINUTE, "in_progress"), (AT + 95 * MINUTE, "success"))
    with provider_server(repository.answer) as server, gauge.client() as client:
        done = run(server, "github", "acme/shop")
        gauge.settled()
        status = client.get("/v1/streams/shop", window="90d")
        deliveries = client.get("/v1/deliveries", window="90d")
    assert done.returncode == 0, done.stderr
    assert {stage["stage"]: stage["wip"] for stage in status["stages"]} == {"open": 0, "doing": 1, "closed": None}
    assert "acme/shop" in json.dumps(deliveries)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("jira", 'CHK"'), "keys of projects, such as CHK"),
        (("jira", "CHK", "--only", "cakes"), "--only: 'cakes' is not known"),
        (("jira", "CHK", "--since", "soon"), "--since: 'soon' is neither a day nor a duration"),
    ],
)
def test_what_can_not_be_done_is_said_with_the_fix(run, arguments, said):
    with provider_server(a_site().answer) as server:
        ended = run(server, *arguments)
        assert server.asked == []
    assert (ended.returncode, said in ended.stderr) == (1, True), ended.stderr


def test_without_a_token_it_says_which_setting_is_missing(tmp_path):
    streams = tmp_path / "streams.yaml"
    streams.write_text(STREAMS)
    command = [sys.executable, "-m", "service.command_line", "backfill", "jira", "CHK", "--streams", str(streams)]
    ended = subprocess.run(
        command, cwd=ROOT, env=child_environment({}), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 78
    assert "STREAMGAUGE_SOURCES__JIRA__API_TOKEN: is missing" in ended.stderr
    assert "STREAMGAUGE_SOURCES__JIRA__API_URL: is missing" in ended.stderr
