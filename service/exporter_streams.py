"""One stream's text, in parts that are kept for as long as what they tell of is as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from operator import eq

from flow.definitions import Stream
from flow.vector import Vector
from service.exporter_points import StreamLayout
from service.exporter_text import Part, Texts, texts_of
from service.snapshots import Alarm, StreamSnapshot


class StreamTexts:
    """What the page says of one stream."""

    def __init__(self, stream: Stream) -> None:
        layout = StreamLayout(stream)
        self._fixed = texts_of(layout.fixed())
        self._counted: Part[StreamSnapshot] = Part(layout.counted)
        self._windows: dict[str, Part[Vector]] = {text: Part(partial(layout.window, text)) for text in stream.windows}
        self._alarms: Part[Sequence[Alarm]] = Part(layout.alarms, eq)

    def of(self, snapshot: StreamSnapshot, alarms: Sequence[Alarm]) -> Iterator[Texts]:
        """Its text, part by part. What did not change since it was last asked costs next to nothing."""
        yield self._fixed
        yield self._counted.of(snapshot)
        for text, counted in snapshot.windows.items():
            yield self._windows[text].of(counted)
        yield self._alarms.of(alarms)
