"""`GET /metrics`: the latest snapshot of the state, and what this process counts of itself.

A page is made on the event loop, a slice at a time: a thread beside it would take the interpreter from each webhook for
milliseconds, over and over. Text is kept where nothing changed. The client library takes twenty times as long to write
the same samples, so `service.exporter_text` does.
"""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric as ClientMetric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics import exposition as openmetrics_text
from prometheus_client.registry import Collector
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from flow.catalogue import METRICS
from flow.definitions import Definitions
from flow.metric import Metric
from service.authorisation import TokenCheck
from service.exporter_lanes import LaneTexts
from service.exporter_monitor import MonitorLayout
from service.exporter_streams import StreamTexts
from service.exporter_text import Texts, head, texts_of
from service.snapshots import Snapshot

OPENMETRICS: Final = "application/openmetrics-text"
OPENMETRICS_TYPE: Final = f"{OPENMETRICS}; version=1.0.0; charset=utf-8"
PLAIN_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
OPENMETRICS_END: Final = b"# EOF\n"

_SLICE: Final = 0.0005
"""Seconds after which a page that is being made lets webhooks go first."""

_BREATH: Final = 0.002
"""Seconds for which it does. To give up only the turn would not do: a webhook takes a dozen turns of the event loop."""

_UNHURRIED: Final = 2.0
"""Seconds after which a page only gives up the turn: Prometheus waits for 10 s unless told otherwise."""

_PIECE: Final = 128 * 1024
"""Bytes that are put together and compressed at once."""

_GZIP_LEVEL: Final = 1
_GZIP: Final = 16 + zlib.MAX_WBITS

_QUALITY: Final = re.compile(r"q=(\d(?:\.\d{1,3})?)")
_SHOWN_ALWAYS: Final = frozenset(("streamgauge_build_info", "streamgauge_snapshot_timestamp_seconds"))
"""Gauges of the state that are shown though the snapshot is stale."""


class Exporter:
    """Writes the latest snapshot and this process's own registry.

    `latest` returns None before the first snapshot. `timer` gives seconds; only differences are used.
    """

    def __init__(
        self,
        latest: Callable[[], Snapshot | None],
        definitions: Definitions,
        registry: CollectorRegistry,
        clock: Callable[[], int],
        version: str,
        *,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._latest = latest
        self._registry = registry
        self._clock = clock
        self._timer = timer
        self._monitor = MonitorLayout(definitions, version)
        self._lanes = LaneTexts(definitions)
        self._streams = {name: StreamTexts(stream) for name, stream in definitions.streams.items()}

    async def page(self, openmetrics: bool, compressed: bool = False) -> Sequence[bytes]:
        """The whole page in pieces, or compressed. Other work of the event loop goes on meanwhile."""
        pieces: list[bytes] = []
        began = resumed = self._timer()
        for piece in self._steps(openmetrics):
            pieces.append(piece)
            if self._timer() - resumed >= _SLICE:
                await asyncio.sleep(_BREATH if self._timer() - began < _UNHURRIED else 0)
                resumed = self._timer()
        return [await asyncio.to_thread(_compressed, pieces)] if compressed else pieces

    def render(self, openmetrics: bool) -> bytes:
        """The whole page at once."""
        return b"".join(self._steps(openmetrics))

    def _steps(self, openmetrics: bool) -> Iterator[bytes]:
        """The page. An empty piece is a place to pause, no more than a millisecond's work behind the last one."""
        yield from self._state(openmetrics)
        write = openmetrics_text.generate_latest if openmetrics else generate_latest
        for family in self._registry.collect():
            yield write(_Alone(family)).removesuffix(OPENMETRICS_END)
        if openmetrics:
            yield OPENMETRICS_END

    def _state(self, openmetrics: bool) -> Iterator[bytes]:
        snapshot = self._latest()
        stale = snapshot is None or snapshot.is_stale(self._clock())
        found: dict[str, list[bytes]] = defaultdict(list)
        for texts in self._texts(snapshot):
            for name, text in texts.items():
                found[name].append(text)
            yield b""
        for name, metric in METRICS.items():
            if name in found and _is_shown(metric, stale):
                yield head(metric, openmetrics).encode()
                yield from _joined(found[name])

    def _texts(self, snapshot: Snapshot | None) -> Iterator[Texts]:
        yield from map(texts_of, self._monitor.steps(snapshot))
        if snapshot is not None:
            yield from self._lanes.of(snapshot.lanes)
            for name, stream in snapshot.streams.items():
                yield from self._streams[name].of(stream, snapshot.alarms.get(name, ()))


class _Alone(Collector):
    """One family, as the client library's writers take it."""

    def __init__(self, family: ClientMetric) -> None:
        self._family = family

    def collect(self) -> Iterable[ClientMetric]:
        return (self._family,)


def _joined(texts: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces."""
    waiting, size = list[bytes](), 0
    for text in texts:
        waiting.append(text)
        size += len(text)
        if size >= _PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _compressed(pieces: list[bytes]) -> bytes:
    """Takes all pieces. Runs in a thread: zlib works without the interpreter.

    Each piece is given up once it is compressed. All at once would take the interpreter for milliseconds.
    """
    made, found = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP), list[bytes]()
    pieces.reverse()
    while pieces:
        found.append(made.compress(pieces.pop()))
    return b"".join([*found, made.flush()])


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
        headers = {
            "Vary": "Accept, Accept-Encoding",
            "Content-Type": OPENMETRICS_TYPE if openmetrics else PLAIN_TYPE,
            "Content-Length": str(sum(map(len, page))),
        }
        if compressed:
            headers["Content-Encoding"] = "gzip"
        await send({"type": "http.response.start", "status": 200, "headers": Headers(headers).raw})
        for piece in page:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})


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
