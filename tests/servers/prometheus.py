"""A real Prometheus for tests, and the rules of `deploy/prometheus` in a form that a test can wait for.

It dies with the thread that started it, however that ends.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from service.child_process import tied_to_us
from tests.integration.installation import free_port
from tests.servers.redis_server import until

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
RULES: Final = DEPLOY / "prometheus" / "rules"
PROMTOOL: Final = shutil.which("promtool") or ""

OFTEN: Final = 0.5
"""Seconds between two scrapes, and between two evaluations of the rules."""

_PROGRAM: Final = shutil.which("prometheus") or ""


def has_prometheus() -> bool:
    """Whether the server and its tool are installed."""
    return bool(_PROGRAM and PROMTOOL)


@dataclass(frozen=True, slots=True)
class WebServer:
    """A server that was started: where its API is, and a client of it."""

    url: str
    client: httpx.Client

    def get(self, path: str, **parameters: str) -> Any:
        """The JSON that it answers with. Raises httpx.HTTPStatusError on anything but success."""
        return self.client.get(path, params=parameters).raise_for_status().json()

    def values(self, query: str) -> list[tuple[dict[str, str], float]]:
        """What a Prometheus has for this query now: labels and values."""
        found = self.get("/api/v1/query", query=query)["data"]["result"]
        return [(entry["metric"], float(entry["value"][1])) for entry in found]


@contextmanager
def running_web_server(words: Sequence[str], folder: Path, port: int) -> Iterator[WebServer]:
    """Run a program that answers `/-/ready` on this port, until the context ends."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            preexec_fn=tied_to_us(signal.SIGKILL), start_new_session=True,  # noqa: PLW1509  (it calls no Python lock)
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    server = WebServer(url, httpx.Client(base_url=url, timeout=10))

    def said() -> str:
        return f"{words[0]} does not answer; it logged:\n{log.read_text(errors='replace')[-4000:]}"

    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(said())
        try:
            return server.client.get("/-/ready").is_success
        except httpx.HTTPError:
            return False

    try:
        until(answers, said)
        yield server
    finally:
        server.client.close()
        process.kill()
        process.wait()


@contextmanager
def running_prometheus(folder: Path, config: Mapping[str, Any]) -> Iterator[WebServer]:
    """A server with this configuration, its data in the folder. Paths in the configuration start there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
    port = free_port()
    words = [_PROGRAM, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    words += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with running_web_server(words, folder, port) as server:
        yield server


def shipped_config() -> dict[str, Any]:
    """`deploy/prometheus/prometheus.yml`."""
    config: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    return config


def quick_config(folder: Path, targets: Sequence[str], alertmanager: str, dwell: Mapping[str, str]) -> dict[str, Any]:
    """The shipped configuration for these `host:port`, but quick (`OFTEN`), with other dwell times for some alerts.

    Writes the rules into the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in RULES.glob("*.yml"):
        rules = yaml.safe_load(path.read_text(encoding="utf-8"))
        for group in rules["groups"]:
            group.pop("interval", None)
            for rule in group["rules"]:
                if rule.get("alert") in dwell:
                    rule["for"] = dwell[rule["alert"]]
        (folder / path.name).write_text(yaml.safe_dump(rules, sort_keys=False), encoding="utf-8")
    config = shipped_config()
    intervals = ("scrape_interval", "scrape_timeout", "evaluation_interval")
    config["global"] |= dict.fromkeys(intervals, f"{OFTEN * 1000:g}ms")
    config["rule_files"] = [str(folder / "*.yml")]
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    config["scrape_configs"] = [{"job_name": "streamgauge", "static_configs": [{"targets": list(targets)}]}]
    return config
