"""The whole HTTP application: the routes that take facts in, and behind them the API.

The routes that take facts in are plain ASGI, found by path alone: a framework's request and response objects would
cost more than the append.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI

from flow.cloud_facts import CloudEventReader
from flow.definitions import Definitions
from flow.matching import Router
from flow.signatures import SignatureScheme
from service.authorisation import TokenCheck
from service.bodies import Message, Receive, Scope, Send, SenderLeft
from service.bounds import IngestBounds
from service.cloudevents import CloudEventsRoute
from service.covered_log import CoveredLog, TimelyLog
from service.handshakes import Handshakes
from service.ingest import FactsRoute, Intake
from service.ingest_openapi import add_ingest_to_openapi
from service.log import LogWriter
from service.problems import internal_problem
from service.self_metrics import CLOUDEVENTS, FACTS, OTHER, WEBHOOKS, SelfMetrics
from service.spool import Spool
from service.webhook_requests import webhook_name
from service.webhooks import WebhookRoute

ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]

_log: Final = logging.getLogger(__name__)

_LIVE: Final = "/v1/live"


@dataclass(frozen=True, slots=True)
class IngestParts:
    """What the routes that take facts in are made of.

    `secrets` maps each source that is on to its secrets, `schemes` to how it proves itself. `spool` is for senders that
    never send again. `unread` is told, by source, of what a webhook says that it changed, and not to what.
    """

    writer: LogWriter
    definitions: Definitions
    tokens: TokenCheck
    secrets: Mapping[str, Sequence[str]]
    bounds: IngestBounds
    clock: Callable[[], int]
    metrics: SelfMetrics
    spool: Spool | None = None
    schemes: Mapping[str, SignatureScheme] | None = None
    handshakes: Handshakes | None = None
    unread: Callable[[str, Collection[str]], None] = lambda source, keys: None


class App:
    """ASGI: sends each request to its route, and counts it."""

    def __init__(self, api: ASGI, parts: IngestParts, timer: Callable[[], float] = time.perf_counter) -> None:
        """`timer` gives seconds; only differences are used."""
        router = Router(parts.definitions)
        intake = Intake(parts.writer, router, parts.metrics)
        reader = CloudEventReader(router.items_named_in, parts.bounds.future_tolerance)
        self._api = api
        self._facts = FactsRoute(intake, parts.tokens, parts.bounds, parts.clock)
        self._cloudevents = CloudEventsRoute(intake, reader, parts.tokens, parts.bounds, parts.clock)
        timely = TimelyLog(parts.writer, parts.bounds.webhook_within)
        covered = CoveredLog(timely, parts.spool) if parts.spool is not None else timely
        self._webhooks = WebhookRoute(
            Intake(timely, router, parts.metrics),
            covered=Intake(covered, router, parts.metrics),
            item_names=router.items_named_in,
            secrets=parts.secrets,
            bounds=parts.bounds,
            clock=parts.clock,
            metrics=parts.metrics,
            schemes=parts.schemes,
            handshakes=parts.handshakes,
            unread=parts.unread,
        )
        self._metrics = parts.metrics
        self._timer = timer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass on what is not a request."""
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        started, path = self._timer(), scope["path"]
        try:
            if path == FACTS:
                route, status = FACTS, await self._facts.handle(scope, receive, send)
            elif (name := webhook_name(scope)) is not None:
                route, status = WEBHOOKS, await self._webhooks.handle(name, scope, receive, send)
            elif path == CLOUDEVENTS:
                route, status = CLOUDEVENTS, await self._cloudevents.handle(scope, receive, send)
            else:
                route, status = await self._pass_on(scope, receive, send)
        except SenderLeft:
            return
        except Exception as error:
            route, status = _template_of(scope), 500
            await self._break(error, scope, receive, send)
        # How long a live page stays open says nothing of how fast we are.
        seconds = None if route == _LIVE else self._timer() - started
        self._metrics.count_request(route, scope["method"], status, seconds)

    async def _break(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        """A fault of ours. Its text may quote what was sent, so only its kind and place are logged."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        _log.error("request_broke error=%s at=%s:%s", type(error).__name__, place.filename, place.lineno)
        await internal_problem()(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> tuple[str, int]:
        """The API's answer, as the template of its route and its status. It answers its own faults."""
        status = 0

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._api(scope, receive, note_status)
        except Exception:
            if not status:
                raise
        return _template_of(scope), status


def _template_of(scope: Scope) -> str:
    """FastAPI leaves the route that it found in the scope."""
    template = getattr(scope.get("route"), "path", None)
    return template if isinstance(template, str) else OTHER


def build_app(api: FastAPI, parts: IngestParts, timer: Callable[[], float] = time.perf_counter) -> App:
    """The application, with every route in the API's OpenAPI document."""
    describe = api.openapi

    def openapi() -> dict[str, Any]:
        schema = describe()
        add_ingest_to_openapi(schema)
        return schema

    api.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend its document
    return App(api, parts, timer)
