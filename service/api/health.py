"""`GET /healthz` and `GET /readyz`: for orchestrators; they need no token."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Response

from flow.errors import Unavailable
from service.api.models import Answer, example
from service.reader import StateReader
from service.reader_letters import log_lag
from service.spool import Spool


class Health(Answer):
    """The process is alive and its event loop turns; nothing else is asked."""

    model_config = example({"status": "ok", "version": "0.1.0"})

    status: Literal["ok"]
    version: str


class Check(Answer):
    """One thing that readiness depends on."""

    ok: bool
    detail: str


class Readiness(Answer):
    """Whether requests should be sent here now."""

    model_config = example(
        {
            "ready": True,
            "checks": {
                "state": {"ok": True, "detail": "Redis answers"},
                "log": {"ok": True, "detail": "the aggregator is 0 facts behind the log"},
                "spool": {"ok": True, "detail": "0 deliveries wait for the log"},
            },
            "lag_facts": 0,
        }
    )

    ready: bool
    checks: dict[str, Check]
    lag_facts: int | None


def health_router(reader: StateReader, version: str, spool: Spool | None = None) -> APIRouter:
    """The routes of this group. With a spool the process is ready as long as that takes deliveries."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", operation_id="get_health", response_model=Health)
    async def get_health() -> dict[str, Any]:
        """Whether the process is alive. Does not depend on Redis or on the log."""
        return {"status": "ok", "version": version}

    @router.get(
        "/readyz",
        operation_id="get_readiness",
        response_model=Readiness,
        responses={503: {"model": Readiness, "description": "Something that requests depend on is not there"}},
    )
    async def get_readiness(response: Response) -> dict[str, Any]:
        """Whether the state can be read, and how far it is behind the log. Not ready is 503.

        A process that spools is ready without the state too, as long as its spool takes deliveries: some senders
        never send again, and what depends on the state is answered 503 by itself.
        """
        spooled = _spool_check(spool)
        try:
            lag = await log_lag(reader)
        except Unavailable as error:
            checks = {
                "state": {"ok": False, "detail": error.message},
                "log": {"ok": False, "detail": "not known while the state can't be read"},
            }
            ready = spool is not None and spool.takes
            response.status_code = 200 if ready else 503
            return {"ready": ready, "checks": checks | spooled, "lag_facts": None}
        behind = None if lag is None else sum(lag.values())
        known = "the log is not in Redis; its lag is in the metrics" if behind is None else _behind(behind)
        checks = {"state": {"ok": True, "detail": "Redis answers"}, "log": {"ok": True, "detail": known}}
        return {"ready": True, "checks": checks | spooled, "lag_facts": behind}

    return router


def _spool_check(spool: Spool | None) -> dict[str, Any]:
    if spool is None:
        return {}
    waiting = spool.level.deliveries
    detail = f"{waiting} deliver{'y waits' if waiting == 1 else 'ies wait'} for the log"
    return {"spool": {"ok": spool.takes, "detail": detail if spool.takes else f"{detail}, and no more can be kept"}}


def _behind(facts: int) -> str:
    return f"the aggregator is {facts} fact{'' if facts == 1 else 's'} behind the log"
