"""What passes is waited for, and said once; what does not pass ends the wait."""

from __future__ import annotations

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from consumers import unavailable
from consumers.unavailable import when_reached


async def test_what_is_waited_for_is_said_once_and_again_when_it_is_something_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(unavailable, "_FIRST_PAUSE", 0)
    errors = [RedisConnectionError("gone"), RedisConnectionError("gone"), ResponseError("LOADING data")]
    errors += [ResponseError("LOADING data"), RedisConnectionError("gone")]

    async def work() -> None:
        if errors:
            raise errors.pop(0)

    await when_reached(work)
    assert [record.getMessage().removeprefix("waiting for=") for record in caplog.records] == [
        "ConnectionError gone", "ResponseError LOADING data", "ConnectionError gone",
    ]  # fmt: skip


async def test_what_does_not_pass_is_not_waited_for() -> None:
    async def work() -> None:
        raise ResponseError("WRONGTYPE Operation against a key")

    with pytest.raises(ResponseError):
        await when_reached(work)
