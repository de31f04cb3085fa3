"""`GET /metrics`: the latest snapshot of the state, and what this process counts of itself.

The state is rendered at most once per snapshot and format, in a thread; of a stream that did not change the text is
kept. The client library takes twenty times as long to write the same samples, so `service.exporter_text` does.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics import exposition as openmetrics_text
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from flow.catalogue import METRICS
from flow.definitions import Definitions
from flow.metric import Metric
from service.authorisation import TokenCheck
from service.exporter_monitor import MonitorLayout
from service.exporter_points import StreamLayout
from service.exporter_text import Points, head, lines
from service.snapshots import Snapshot, StreamSnapshot

OPENMETRICS: Final = "application/openmetrics-text"
OPENMETRICS_TYPE: Final = f"{OPENMETRICS}; version=1.0.0; charset=utf-8"
PLAIN_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

_GZIP_LEVEL: Final = 1
_BREATH: Final = 0.0001
"""Seconds for which the rendering thread lets go of the interpreter before each stream: webhooks come first."""

_QUALITY: Final = re.compile(r"q=(\d(?:\.\d{1,3})?)")
_SHOWN_ALWAYS: Final = frozenset(("streamgauge_build_info", "streamgauge_snapshot_timestamp_seconds"))
"""Gauges of the state that are shown though the snapshot is stale."""


@dataclass(frozen=True, slots=True, eq=False)
class _Rendered:
    """What was rendered last: of which snapshot, whether it was stale, and the text by format (is it OpenMetrics?)."""

    snapshot: Snapshot | None
    stale: bool
    texts: dict[bool, bytes]


class Exporter:
    """Renders the latest snapshot and this process's own registry. `latest` returns None before the first snapshot."""

    def __init__(
        self,
        latest: Callable[[], Snapshot | None],
        definitions: Definitions,
        registry: CollectorRegistry,
        clock: Callable[[], int],
        version: str,
    ) -> None:
        self._latest = latest
        self._registry = registry
        self._clock = clock
        self._monitor = MonitorLayout(definitions, version)
        self._layouts = {name: StreamLayout(stream) for name, stream in definitions.streams.items()}
        self._texts: dict[str, tuple[StreamSnapshot, Mapping[str, str]]] = {}
        self._rendered = _Rendered(None, True, {})
        self._lock = Lock()

    async def page(self, openmetrics: bool, compressed: bool) -> bytes:
        """The whole page, made in a thread."""
        return await asyncio.to_thread(self.render, openmetrics, compressed)

    def render(self, openmetrics: bool, compressed: bool = False) -> bytes:
        """The whole page. Threads may call it at once; each snapshot is rendered by one of them."""
        write = openmetrics_text.generate_latest if openmetrics else generate_latest
        page: bytes = self.state(openmetrics) + write(self._registry)
        return gzip.compress(page, _GZIP_LEVEL, mtime=0) if compressed else page

    def state(self, openmetrics: bool) -> bytes:
        """The part of the page that tells of the state."""
        with self._lock:
            snapshot = self._latest()
            stale = snapshot is None or snapshot.is_stale(self._clock())
            rendered = self._rendered
            if rendered.snapshot is not snapshot or rendered.stale != stale:
                rendered = self._rendered = _Rendered(snapshot, stale, {})
            if openmetrics not in rendered.texts:
                rendered.texts[openmetrics] = self._render(snapshot, stale, openmetrics).encode()
            return rendered.texts[openmetrics]

    def _render(self, snapshot: Snapshot | None, stale: bool, openmetrics: bool) -> str:
        parts: list[Mapping[str, str]] = [
            _texts_of(self._monitor.always() if snapshot is None else self._other_points(snapshot))
        ]
        if snapshot is not None:
            parts += [self._stream_texts(name, stream) for name, stream in snapshot.streams.items()]
        page: list[str] = []
        for name, metric in METRICS.items():
            texts = [part[name] for part in parts if name in part]
            if texts and _is_shown(metric, stale):
                page += (head(metric, openmetrics), *texts)
        return "".join(page)

    def _other_points(self, snapshot: Snapshot) -> Points:
        points = self._monitor.points(snapshot)
        for name, alarms in snapshot.alarms.items():
            if name in self._layouts:
                self._layouts[name].alarms(alarms, points)
        return points

    def _stream_texts(self, name: str, snapshot: StreamSnapshot) -> Mapping[str, str]:
        kept = self._texts.get(name)
        if kept is None or kept[0] is not snapshot:
            time.sleep(_BREATH)
            kept = self._texts[name] = (snapshot, _texts_of(self._layouts[name].points(snapshot)))
        return kept[1]


def _texts_of(points: Points) -> dict[str, str]:
    return {name: lines(name, found) for name, found in points.items() if found}


def _is_shown(metric: Metric, stale: bool) -> bool:
    return not stale or metric.kind != "gauge" or metric.name in _SHOWN_ALWAYS


class MetricsEndpoint:
    """An ASGI app for one path. Unless `public`, a token is needed. Raises Unauthorised."""

    def __init__(self, exporter: Exporter, tokens: TokenCheck, public: bool) -> None:
        self._exporter = exporter
        self._tokens = tokens
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        if request.method not in {"GET", "HEAD"}:
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        if not self._public:
            self._tokens.check(request.headers)
        accept = request.headers.get("accept", "")
        openmetrics = 0 < quality(accept, OPENMETRICS) >= quality(accept, "text/plain")
        compressed = quality(request.headers.get("accept-encoding", ""), "gzip") > 0
        page = await self._exporter.page(openmetrics, compressed)
        headers = {"Vary": "Accept, Accept-Encoding", "Content-Type": OPENMETRICS_TYPE if openmetrics else PLAIN_TYPE}
        if compressed:
            headers["Content-Encoding"] = "gzip"
        await Response(page, headers=headers)(scope, receive, send)


def metrics_endpoint(exporter: Exporter, tokens: TokenCheck, public: bool) -> MetricsEndpoint:
    """What answers `GET /metrics`, for a route of its own."""
    return MetricsEndpoint(exporter, tokens, public)


def quality(header: str, name: str) -> float:
    """How much an `Accept` or `Accept-Encoding` header wants what goes by this name; 0 when it doesn't name it.

    >>> quality("text/plain;q=0.3, application/json", "text/plain"), quality("gzip", "br")
    (0.3, 0.0)
    """
    found = 0.0
    for entry in header.split(","):
        wanted, *parameters = (part.strip() for part in entry.lower().split(";"))
        if wanted == name:
            weights = [float(weight[1]) for weight in map(_QUALITY.fullmatch, parameters) if weight is not None]
            found = max(found, weights[0] if weights else 1.0)
    return found
