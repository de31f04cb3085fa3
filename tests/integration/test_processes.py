"""The processes of a running installation: what they do at start, when told to stop, and when all goes wrong."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flow import keys
from service.log import _APPEND
from tests.integration.installation import PATIENCE, ROOT, Installation

pytestmark = pytest.mark.needs_server("valkey")

BEFORE = """
streams:
  checkout:
    match: {project: CHK}
    stages:
      - {name: develop, kind: active, when: [{status: In Progress}, {status: In Review}]}
      - {name: done, kind: done, when: [{status: Done}]}
"""
AFTER = """
streams:
  checkout:
    match: {project: CHK}
    stages:
      - {name: develop, kind: active, when: [{status: In Progress}]}
      - {name: review, kind: active, when: [{status: In Review}]}
      - {name: done, kind: done, when: [{status: Done}]}
"""
STATUSES = ("In Progress", "In Review", "Done")


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    found = Installation(tmp_path, BEFORE)
    await found.start()
    yield found
    await found.close()


def a_fact(number: int, item: str, status: str) -> dict[str, object]:
    """A native fact of this morning."""
    at = f"2026-11-20T09:{number:02d}:00Z"
    return {"subject": "item", "id": f"e{number}", "source": "acme", "project": "CHK", "item": item, "at": at,
            "status": status}  # fmt: skip


async def post(installation: Installation, *facts: dict[str, object]) -> None:
    answer = await installation.client.post("/v1/facts", json=list(facts))
    assert answer.status_code == 202, answer.text
    await installation.settled()


async def wip(installation: Installation) -> dict[str, int]:
    answer = await installation.client.get("/v1/streams/checkout")
    return {stage["stage"]: stage["wip"] for stage in answer.json()["stages"] if stage["kind"] != "done"}


async def test_a_changed_definition_is_applied_to_what_is_known_already(installation: Installation) -> None:
    await post(installation, a_fact(1, "CHK-1", "In Progress"), a_fact(2, "CHK-1", "In Review"))
    await post(installation, a_fact(3, "CHK-2", "In Progress"))
    assert await wip(installation) == {"develop": 2}
    assert await installation.stop() == 0
    (installation.folder / "streams.yaml").write_text(AFTER, encoding="utf-8")
    await installation.start()
    async with asyncio.timeout(PATIENCE):
        while await wip(installation) != {"develop": 1, "review": 1}:
            await asyncio.sleep(0.05)
    async with installation.redis() as redis:
        left = [key async for key in redis.scan_iter(match="sg:v1:{checkout}:1:*")]
    assert left == []
    await post(installation, a_fact(4, "CHK-2", "In Review"))
    assert await wip(installation) == {"develop": 0, "review": 2}


async def test_a_log_full_of_nonsense_stops_the_worker_before_it_commits_any(
    installation: Installation,
) -> None:
    await post(installation, a_fact(1, "CHK-1", "In Progress"))
    async with installation.redis() as redis:
        append = redis.register_script(_APPEND)
        for partition in (0, 1):
            names = [keys.log_facts(partition), keys.log_end(partition)]
            await append(names, [3000, b"\n".join([b"nonsense"] * 3000), 0])
        log = installation.folder / "up.log"
        async with asyncio.timeout(PATIENCE):
            while not re.search(r"3000 of the last 300\d facts were rejected", log.read_text()):
                await asyncio.sleep(0.05)
        assert await redis.exists(keys.LETTERS) == 0
    assert await wip(installation) == {"develop": 1}


async def test_one_bad_line_among_good_ones_becomes_a_letter_and_the_worker_goes_on(installation: Installation) -> None:
    await post(installation, a_fact(1, "CHK-1", "In Progress"))
    async with installation.redis() as redis:
        names = [keys.log_facts(0), keys.log_end(0)]
        await redis.register_script(_APPEND)(names, [1, b'{"subject":"item"}', 0])
    await post(installation, a_fact(2, "CHK-2", "In Progress"))
    assert await wip(installation) == {"develop": 2}
    letters = (await installation.client.get("/v1/dead-letters")).json()["letters"]
    assert [letter["reason"] for letter in letters] == ["invalid_fact"]


async def test_a_second_up_on_the_same_folder_is_refused_with_the_fix(installation: Installation) -> None:
    second = Installation(installation.folder, BEFORE)
    await second.begin()
    assert await second.ended() == 78
    assert "in use by another Streamgauge" in (installation.folder / "up.log").read_text()
    assert await wip(installation) == {"develop": 0}
    await second.client.aclose()


@pytest.mark.parametrize("origin", ["timelines", "log"])
async def test_a_rebuild_beside_live_traffic_ends_in_the_same_state(installation: Installation, origin: str) -> None:
    await post(installation, *(a_fact(number, f"CHK-{number % 7}", STATUSES[number % 3]) for number in range(1, 40)))
    before = await wip(installation)
    words = ("rebuild", "--from", origin, "--data", str(installation.folder / "data"))
    environment = os.environ | {"STREAMGAUGE_STREAMS": str(installation.folder / "streams.yaml")}
    rebuilding = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service.command_line", *words, env=environment, cwd=ROOT
    )
    await post(installation, a_fact(41, "CHK-new", "In Progress"))
    assert await rebuilding.wait() == 0
    await post(installation, a_fact(42, "CHK-newer", "In Progress"))
    assert await wip(installation) == {"develop": before["develop"] + 2}
    async with installation.redis() as redis:
        assert await redis.get(keys.generation("checkout")) == b"2"
