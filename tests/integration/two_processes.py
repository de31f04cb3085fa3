"""`serve` and `aggregate` as processes on a Redis of the test's own, as a larger installation runs them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from flow.facts import ItemFact
from service.child_process import tied_to_us
from tests.integration.gauges import child_environment
from tests.integration.installation import PATIENCE, free_port
from tests.integration.processes import ROOT, until_settled
from tests.integration.several_streams import STREAMS, TEXT, native

IN_ONE_POST = 250
ENDED = [-signal.SIGTERM, 0]
"""How `serve` and `aggregate` end when they are told to: uvicorn hands the signal on to itself at the end."""


class TwoProcesses:
    """Start them with `running`. They log to files in the folder."""

    def __init__(self, folder: Path, redis_url: str, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=20)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        streams = folder / "streams.yaml"
        streams.write_text(TEXT, encoding="utf-8")
        self._environment = child_environment(
            {
                "STREAMGAUGE_STREAMS": str(streams),
                "STREAMGAUGE_REDIS__URL": redis_url,
                "STREAMGAUGE_HTTP__PORT": str(self.port),
                "STREAMGAUGE_HTTP__OPEN_ACCESS": "true",
                **settings,
            }
        )

    def start(self, command: str) -> None:
        """`serve` or `aggregate`."""
        with (self.folder / f"{command}.log").open("ab") as log:
            self._processes[command] = subprocess.Popen(
                [sys.executable, "-m", "service.command_line", command], cwd=ROOT, env=self._environment,
                stdout=log, stderr=log, preexec_fn=tied_to_us(signal.SIGKILL),  # noqa: PLW1509  (calls no Python lock)
            )  # fmt: skip

    async def run(self, *words: str) -> str:
        """What a command of the command line prints. Raises AssertionError when it fails."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "service.command_line", *words, cwd=ROOT, env=self._environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        return said.decode()

    async def post(self, facts: list[ItemFact]) -> None:
        """Post until all are acknowledged: what got no 202 is sent again, as a sender would."""
        for start in range(0, len(facts), IN_ONE_POST):
            body = [native(fact) for fact in facts[start : start + IN_ONE_POST]]
            async with asyncio.timeout(PATIENCE):
                while not await self._taken(body):
                    await asyncio.sleep(0.05)

    async def settled(self) -> None:
        """Return once everything in the log is in the state, and nothing waits in the spool."""
        await until_settled(self.readiness, self.folder, PATIENCE)

    async def shows_what_is_stored(self) -> None:
        """Return once the exporter shows the work in progress that the API reads, of every stream."""
        async with asyncio.timeout(PATIENCE):
            while not all([await self._shows(stream) for stream in STREAMS]):
                await asyncio.sleep(0.1)

    async def _shows(self, stream: str) -> bool:
        answer = await self.client.get(f"/v1/streams/{stream}")
        assert answer.status_code in {200, 503}, answer.text
        if answer.status_code == 503:  # the first questions after a failover go to the master that is gone
            return False
        stages = [stage for stage in answer.json()["stages"] if stage["kind"] != "done"]
        shown = (await self.client.get("/metrics")).text
        return all(
            f'flow_stage_wip{{stream="{stream}",stage="{stage["stage"]}"}} {stage["wip"]}\n' in shown
            for stage in stages
        )

    async def readiness(self) -> dict[str, Any]:
        """What /readyz says; nothing while there is no answer."""
        with contextlib.suppress(httpx.HTTPError, ValueError):
            answer: dict[str, Any] = (await self.client.get("/readyz")).json()
            return answer
        return {}

    def said(self, command: str) -> str:
        """What the process logged."""
        return (self.folder / f"{command}.log").read_text(errors="replace")

    def has_ended(self, command: str) -> bool:
        """Whether it runs no more."""
        return self._processes[command].poll() is not None

    def stop(self) -> list[int]:
        """SIGTERM to all. Returns their exit codes."""
        for process in self._processes.values():
            process.terminate()
        return [process.wait(PATIENCE) for process in self._processes.values()]

    async def close(self) -> None:
        """Leave nothing running."""
        for process in self._processes.values():
            process.kill()
            process.wait()
        await self.client.aclose()

    async def _taken(self, body: list[dict[str, Any]]) -> bool:
        try:
            answer = await self.client.post("/v1/facts", json=body)
        except httpx.HTTPError:
            return False
        assert answer.status_code in {202, 503}, answer.text
        return answer.status_code == 202


@contextlib.asynccontextmanager
async def running(folder: Path, redis_url: str, **settings: str) -> AsyncIterator[TwoProcesses]:
    """Both, once the state can be read. Raises TimeoutError, with what they logged."""
    found = TwoProcesses(folder, redis_url, **settings)
    try:
        for command in ("serve", "aggregate"):
            found.start(command)
        async with asyncio.timeout(PATIENCE):
            while not (await found.readiness()).get("ready"):
                assert not found.has_ended("serve"), found.said("serve")
                await asyncio.sleep(0.05)
        yield found
    finally:
        await found.close()
