"""`streamgauge import`, as a user runs it, into a running Streamgauge."""

from __future__ import annotations

import gzip
import http.server
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.gauges import child_environment, running_gauge
from tests.integration.installation import free_port
from tests.integration.processes import ROOT

pytestmark = pytest.mark.needs_server("valkey")

HELPDESK = ROOT / "../shared/data/helpdesk.csv.gz"
DESK = """
streams:
  desk:
    match: {source: desk, project: DESK}
    stages:
      - {name: intake, kind: queue, when: [{status: New}]}
      - {name: work, kind: active, when: [{status: Doing}]}
      - {name: closed, kind: done, when: [{status: Closed}]}
"""
OPTIONS = ("--source", "desk", "--project", "DESK", "--item", "case", "--at", "when", "--status", "state")
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def ago(days, hours=0, minutes=0):
    """RFC 3339. What is counted long ago is not kept, so the tests' facts are never far from today."""
    return (TODAY - timedelta(days=days, hours=-hours, minutes=-minutes)).isoformat().replace("+00:00", "Z")


ROWS = f"""case,when,state
A,{ago(40, 9)},New
A,{ago(40, 9)},Doing
A,{ago(40, 10)},Closed
B,{ago(39, 9)},New
B,{ago(39, 9, 30)},Doing
C,{ago(38, 9)},New
"""


@pytest.fixture(scope="module")
def gauge():
    with running_gauge(DESK) as running:
        yield running


@pytest.fixture
def run(tmp_path):
    """Runs `streamgauge import` with a cache of its own; returns the ended process."""

    def start(*arguments, **options):
        command = [sys.executable, "-m", "service.command_line", "import", *map(str, arguments)]
        environment = child_environment({"XDG_CACHE_HOME": str(tmp_path / "cache")})
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False, **options
        )

    return start


def write(folder, text, name="log.csv"):
    path = folder / name
    path.write_text(text)
    return path


LATER = ago(37)


def counts(gauge, at=LATER):
    """By stage: WIP, arrivals and departures until this instant."""
    gauge.settled()
    with gauge.client() as client:
        stages = client.get("/v1/streams/desk", window="30d", at=at)["stages"]
    return {entry["stage"]: (entry["wip"], entry["arrivals"], entry["departures"]) for entry in stages}


def test_a_log_becomes_state_and_a_second_import_of_it_changes_nothing(gauge, run, tmp_path):
    path = write(tmp_path, ROWS)
    expected = {"intake": (1, 3, 2), "work": (1, 2, 1), "closed": (None, 1, 0)}
    for _ in range(2):
        done = run(path, "--url", gauge.url, *OPTIONS)
        assert done.returncode == 0, done.stderr
        assert "6 facts are in the log" in done.stderr
        assert counts(gauge) == expected


def test_standard_input_and_native_facts_are_taken(gauge, run):
    fact = {"subject": "item", "id": "n-1", "source": "desk", "project": "DESK", "item": "N", "status": "New"}
    lines = json.dumps(fact | {"at": ago(100)}) + "\n"
    done = run("-", "--format", "jsonl", "--url", gauge.url, input=lines)
    assert done.returncode == 0, done.stderr
    assert counts(gauge, ago(99))["intake"][1] == 1


def test_bad_rows_are_all_named_and_nothing_is_sent_unless_they_are_to_be_skipped(gauge, run, tmp_path):
    rows = f"case,when,state\n,{ago(200)},New\nE,someday,New\nE,{ago(200)},New\n"
    path = write(tmp_path, rows)
    done = run(path, "--url", gauge.url, *OPTIONS)
    assert done.returncode == 1
    assert "line 2: names no item" in done.stderr
    assert "line 3: column 'when': 'someday' is not a time" in done.stderr
    assert "--skip-bad" in done.stderr
    assert counts(gauge, ago(199))["intake"][1] == 0
    done = run(path, "--url", gauge.url, *OPTIONS, "--skip-bad")
    assert done.returncode == 0, done.stderr
    assert "1 fact is in the log, 2 left out" in done.stderr
    assert counts(gauge, ago(199))["intake"][1] == 1


def test_what_the_service_refuses_is_named_with_the_line_of_the_file(gauge, run, tmp_path):
    path = write(tmp_path, f"case,when,state\nF,{ago(40, 9)},New\nF,2990-01-01T00:00:00Z,Doing\n")
    done = run(path, "--url", gauge.url, *OPTIONS)
    assert done.returncode == 1
    assert "line 3: `at` is too far ahead of our clock" in " ".join(done.stderr.split())


def test_mistakes_in_the_options_are_named_before_anything_is_sent(gauge, run, tmp_path):
    path = write(tmp_path, ROWS.replace("Z,", ","))
    wrong = [
        (("--source", "desk", "--item", "cse", "--at", "when"), "no column is called 'cse'; near it: case"),
        (("--item", "case"), "--at, --source is missing"),
        ((), "a CSV file needs --source"),
        (OPTIONS, f"line 2: column 'when': {ago(40, 9)[:-1]!r} has no time zone"),
        ((*OPTIONS, "--timezone", "Mars/Olympus"), "no zone is called 'Mars/Olympus'"),
        ((*OPTIONS, "--format", "xml"), "write csv or jsonl"),
    ]
    for options, said in wrong:
        done = run(path, "--url", gauge.url, *options)
        assert done.returncode == 1
        assert said in " ".join(done.stderr.split())


def test_nobody_at_the_address_is_said_after_trying_for_a_while_and_ctrl_c_tells_how_to_go_on(tmp_path):
    path = write(tmp_path, ROWS)
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "service.command_line", "import", str(path), "--url", url, *OPTIONS]
    environment = child_environment({"XDG_CACHE_HOME": str(tmp_path / "cache")})
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = ""
        while "Waiting" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=30)
    assert "nobody answers at" in " ".join((said + rest).split())
    assert "Stopped behind row 0 of 6. The same command goes on there." in " ".join(rest.split())
    assert process.returncode == 130


class Recorder(http.server.BaseHTTPRequestHandler):
    """Takes facts, but refuses for a while from the third request on."""

    taken: list[list[str]]
    answers: list[int]

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.answers.pop(0) if self.answers else 202
        if status == 202:
            self.taken.append([json.loads(line)["item"] for line in body.splitlines()])
        self.send_response(status)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def recorder(answers) -> Iterator[tuple[str, list[list[str]]]]:

    class Handler(Recorder):
        pass

    Handler.taken, Handler.answers = [], list(answers)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", Handler.taken
        finally:
            server.shutdown()
            thread.join()


def test_an_interrupted_import_goes_on_behind_what_was_acknowledged(run, tmp_path):
    path = write(tmp_path, "case,when,state\n" + "".join(f"I{n},{ago(40, 9)},New\n" for n in range(7)))
    with recorder([202, 202, 400]) as (url, taken):
        arguments = (path, "--url", url, *OPTIONS, "--batch", "2", "--shift-to-now")
        first = run(*arguments)
        assert first.returncode == 1
        assert taken == [["I0", "I1"], ["I2", "I3"]]
        second = run(*arguments)
        assert second.returncode == 0, second.stderr
        assert "Going on behind row 4" in second.stderr
        assert taken == [["I0", "I1"], ["I2", "I3"], ["I4", "I5"], ["I6"]]
        del taken[:]
        assert run(*arguments).returncode == 0
        assert [item for items in taken for item in items] == [f"I{n}" for n in range(7)]


def test_not_now_is_tried_again(run, tmp_path):
    path = write(tmp_path, ROWS)
    with recorder([503, 503]) as (url, taken):
        done = run(path, "--url", url, *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert len(taken) == 1


def test_a_shift_lands_the_last_row_now_and_is_the_same_in_a_repeated_import(gauge, run, tmp_path):
    path = write(tmp_path, ROWS.replace("A,", "S1,").replace("B,", "S2,").replace("C,", "S3,"))
    before = time.time()
    for _ in range(2):
        done = run(path, "--url", gauge.url, *OPTIONS, "--shift-to-now")
        assert done.returncode == 0, done.stderr
    gauge.settled()
    with gauge.client() as client:
        item = client.get("/v1/streams/desk/items/S3")
        first = client.get("/v1/streams/desk/items/S1")
    assert len(item["facts"]) == 1
    assert 0 <= item["age"] <= time.time() - before + 1
    assert first["visits"][0]["time"] == 0
    assert first["visits"][1]["time"] == 3600


HELPDESK_STAGES = {
    "intake": ("queue", ("Insert ticket", "Assign seriousness")),
    "work": (
        "active",
        (
            "Take in charge ticket", "Schedule intervention", "Create SW anomaly", "Resolve SW anomaly",
            "Require upgrade",
        ),
    ),
    "waiting": ("queue", ("Wait",)),
    "resolved": ("queue", ("Resolve ticket", "VERIFIED", "RESOLVED", "INVALID", "DUPLICATE")),
    "closed": ("done", ("Closed",)),
}  # fmt: skip


def helpdesk_definitions():
    stages = [
        {"name": name, "kind": kind, "when": [{"status": status} for status in statuses]}
        for name, (kind, statuses) in HELPDESK_STAGES.items()
    ]
    return json.dumps(
        {"streams": {"helpdesk": {"match": {"source": "helpdesk", "project": "HELPDESK"}, "stages": stages}}}
    )


@pytest.mark.skipif(not HELPDESK.exists(), reason="shared data not present")
def test_the_history_of_a_real_help_desk_gives_exactly_its_figures(run):
    with gzip.open(HELPDESK, "rt") as file:
        rows = sum(1 for _ in file) - 1
    with running_gauge(helpdesk_definitions()) as gauge:
        arguments = (
            HELPDESK, "--url", gauge.url, "--source", "helpdesk", "--project", "HELPDESK",
            "--item", "case", "--at", "timestamp", "--status", "activity", "--shift-to-now",
        )  # fmt: skip
        done = run(*arguments)
        assert done.returncode == 0, done.stderr
        assert f"{rows} facts are in the log" in done.stderr
        gauge.settled()
        with gauge.client() as client:
            wips = {entry["stage"]: entry["wip"] for entry in client.get("/v1/streams/helpdesk")["stages"]}
        # Readers of metrics see a snapshot that is up to a second old.
        totals = eventually(lambda: counters(gauge.url), lambda found: found["closed"][0] == 4560)
    assert wips == {"intake": 0, "work": 4, "waiting": 8, "resolved": 11, "closed": None}
    assert totals == {
        "intake": [4506, 4506, 0],
        "work": [4974, 4970, 1],
        "waiting": [1350, 1342, 569],
        "resolved": [4730, 4719, 159],
        "closed": [4560, 3, 3],
    }


def counters(url):
    """By stage: arrivals, departures and rework since the beginning."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        samples = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#")
    found: dict[str, list[int]] = {}
    for name in HELPDESK_STAGES:
        found[name] = []
        for what in ("arrivals", "departures", "rework"):
            start = f"flow_stage_{what}_total{{"
            values = [
                float(value)
                for sample, value in samples.items()
                if sample.startswith(start) and f'stage="{name}"' in sample
            ]
            found[name].append(int(sum(values)))
    return found


def eventually(read, holds):
    """What `read` returns, once it holds or the deadline has passed."""
    deadline = time.monotonic() + 20
    while not holds(found := read()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found
