"""Every Redis key, made here and nowhere else.

`{…}` is the hash tag: all keys of one stream live in one slot, so one script may touch them. Tags that start with `@`
are Streamgauge's own; stream names can't. `v1` is the layout. `<g>` is the generation: a rebuild writes the next one
beside the one that readers see, then moves the pointer. `<p>` is a partition of the log. All rows are packed
(MessagePack), absolute, and written whole.

| key | type | written by | bound |
|---|---|---|---|
| `sg:v1:{<stream>}:generation` | string: the generation that readers see | aggregator at first touch, rebuild | one |
| `sg:v1:{<stream>}:<g>:definition` | string: fingerprint of the definition that the rows were made with | as above | one |
| `sg:v1:{<stream>}:<g>:position:<p>` | string: last offset of the log that is in the state | commit script | one a partition |
| `sg:v1:{<stream>}:<g>:timelines` | hash: item → its facts | commit script | open items, and done ones until they expire |
| `sg:v1:{<stream>}:<g>:stage:<stage>` | sorted set: item by arrival (ms) | commit script | as timelines |
| `sg:v1:{<stream>}:<g>:ranked:<stage>` | sorted set: item of a queue by WSJF (negative: the highest is first), where known | commit script | as timelines |
| `sg:v1:{<stream>}:<g>:finished` | sorted set: done item by when it was last written (ms) | commit script | as timelines |
| `sg:v1:{<stream>}:<g>:totals` | hash: partition → vector of counters and gauges | commit script | one field a partition |
| `sg:v1:{<stream>}:<g>:monitor` | hash: partition → counts by name (facts, duplicates, late, unmapped…) | commit script | one field a partition, bounded names |
| `sg:v1:{<stream>}:<g>:cells:<grain>:<n>` | hash: cell and partition → vector | commit script | TTL: the grain's retention |
| `sg:v1:{@deliveries}:…` | as a stream, but for what follows; a cell's row maps lanes to vectors | commit script | as a stream |
| `sg:v1:{@deliveries}:<g>:service:<service>` | hash: change, deployment or incident → its facts; and the horizon | commit script | `flow.deployed_service.MAX_FACTS` facts; gone with its service |
| `sg:v1:{@deliveries}:<g>:totals` | hash: lane → vector of counters and gauges | commit script | lanes of which a fact is kept |
| `sg:v1:{@deliveries}:<g>:finished` | sorted set: service by when it was last written (ms) | commit script | services, until they expire |
| `sg:v1:{<stream>}:detector` | hash: what the bottleneck detector says, what it remembers, and the number of who wrote it | detector | one; states of 8 days |
| `sg:v1:{@detector}:lease` | string: the number of the process that runs the detector | detector | one, expires in seconds |
| `sg:v1:{@detector}:numbers` | string: the last number that was given | detector | one |
| `sg:v1:{@log-<p>}:facts` | stream: blocks of facts; the id's second part is the offset of the last | log | trimmed behind every reader, to `log.keep_facts` |
| `sg:v1:{@log-<p>}:end` | string: offset of the last fact | log | one a partition |
| `sg:v1:{@log-<p>}:read` | hash: reader → offset that it has committed | aggregator | one field a reader |
| `sg:v1:{@log}:partitions` | string: how many partitions the log has | log, once | one |
| `sg:v1:{@log}:identity` | string: which log the state is made from: `redis`, or the topic and its cluster | log, once | one |
| `sg:v1:{@dead-letters}:letters` | stream: what could not be applied, whole, with the reason | log, aggregator | `dead_letters.keep` |
| `sg:v1:{@dead-letters}:position:<p>` | string: last offset whose rejections are in the letters | aggregator | one a partition |
| `sg:v1:{@dead-letters}:refused:<p>:<stream>` | string: last offset whose refusal by this stream is in the letters | aggregator, rebuild | one a stream and partition that ever refused |
| `sg:v1:{@dead-letters}:deliveries:<p>` | string: last offset of the dead letters on Kafka that is in the letters | aggregator | one a partition |
| `sg:v1:{@dead-letters}:counts` | hash: source and reason → letters ever written | log, aggregator | sources × reasons |
| `sg:v1:{@webhooks}:secrets:<source>` | list: secrets that a sender told in its handshake, the newest first | receiver | 100 a source |
| `sg:v1:{@workers}:metrics` | hash: worker → its own metrics, with their instant | aggregator | one field a worker, stale ones removed |
| `sg:v1:{@bridges}:metrics` | hash: bridge → its own metrics, with their instant | bridge | one field a bridge, stale ones removed |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flow.cells import LENGTHS, Grain, Retention, grain_of, start_of

PREFIX: Final = "sg:v1"
DELIVERIES: Final = "@deliveries"
DEAD_LETTERS: Final = "@dead-letters"

_BUCKET_CELLS: Final = (60, 24, 32)
"""How many cells of a grain share one hash: an hour of minutes, a day of hours, 32 days."""

_GRAIN_NAMES: Final = ("minute", "hour", "day")


def generation(stream: str) -> str:
    """The pointer to the generation that readers see."""
    return f"{PREFIX}:{{{stream}}}:generation"


@dataclass(frozen=True, slots=True)
class StateKeys:
    """The keys of one stream's state in one generation."""

    stream: str
    generation: str

    def _key(self, rest: str) -> str:
        return f"{PREFIX}:{{{self.stream}}}:{self.generation}:{rest}"

    @property
    def pointer(self) -> str:
        """The pointer to the generation that readers see."""
        return generation(self.stream)

    @property
    def definition(self) -> str:
        """Fingerprint of the definition that the rows were made with."""
        return self._key("definition")

    def position(self, partition: int) -> str:
        """Last offset of this partition of the log that is in the state."""
        return self._key(f"position:{partition}")

    @property
    def timelines(self) -> str:
        """Facts by item."""
        return self._key("timelines")

    def service(self, name: str) -> str:
        """Facts of one service, by what they are about; of the deliveries only."""
        return self._key(f"service:{name}")

    def stage(self, name: str) -> str:
        """Items of a stage by arrival."""
        return self._key(f"stage:{name}")

    def ranked(self, name: str) -> str:
        """Items of a queue by their WSJF, negative; those of which it is known."""
        return self._key(f"ranked:{name}")

    @property
    def finished(self) -> str:
        """Done items by when they were last written."""
        return self._key("finished")

    @property
    def totals(self) -> str:
        """Counters and gauges by partition."""
        return self._key("totals")

    @property
    def monitor(self) -> str:
        """Counts of the monitor itself by partition."""
        return self._key("monitor")

    def cells(self, cell: int) -> str:
        """The hash that holds this cell."""
        grain = grain_of(cell)
        return self._key(f"cells:{_GRAIN_NAMES[grain]}:{_bucket_of(cell, grain)}")

    @property
    def every(self) -> str:
        """A glob pattern for all keys of this generation; for rebuilds only."""
        return self._key("*")


def cell_field(cell: int, partition: int) -> str:
    """The field of a cell's row, owned by one partition."""
    return f"{cell}:{partition}"


def cells_expire_at(cell: int, retention: Retention, slack: int) -> int:
    """When the hash that holds this cell may go: the instant in milliseconds."""
    grain = grain_of(cell)
    span = LENGTHS[grain] * _BUCKET_CELLS[grain]
    return (_bucket_of(cell, grain) + 1) * span + retention.of(grain) + slack


def _bucket_of(cell: int, grain: Grain) -> int:
    return start_of(cell) // LENGTHS[grain] // _BUCKET_CELLS[grain]


def log_facts(partition: int) -> str:
    """The blocks of facts of one partition of the log."""
    return f"{PREFIX}:{{@log-{partition}}}:facts"


def log_end(partition: int) -> str:
    """The offset of the last fact of one partition of the log."""
    return f"{PREFIX}:{{@log-{partition}}}:end"


def log_read(partition: int) -> str:
    """What readers have committed of one partition of the log."""
    return f"{PREFIX}:{{@log-{partition}}}:read"


LOG_PARTITIONS: Final = f"{PREFIX}:{{@log}}:partitions"
LOG_IDENTITY: Final = f"{PREFIX}:{{@log}}:identity"
LETTERS: Final = f"{PREFIX}:{{{DEAD_LETTERS}}}:letters"
LETTER_COUNTS: Final = f"{PREFIX}:{{{DEAD_LETTERS}}}:counts"
WORKER_METRICS: Final = f"{PREFIX}:{{@workers}}:metrics"
BRIDGE_METRICS: Final = f"{PREFIX}:{{@bridges}}:metrics"


def webhook_secrets(source: str) -> str:
    """Secrets that this source told us in its handshakes."""
    return f"{PREFIX}:{{@webhooks}}:secrets:{source}"


def letters_position(partition: int) -> str:
    """Last offset of this partition whose rejections are in the dead letters."""
    return f"{PREFIX}:{{{DEAD_LETTERS}}}:position:{partition}"


def letters_refused(partition: int, stream: str) -> str:
    """Last offset of this partition whose refusal by this stream, or by `@deliveries`, is in the dead letters."""
    return f"{PREFIX}:{{{DEAD_LETTERS}}}:refused:{partition}:{stream}"


def deliveries_position(partition: int) -> str:
    """Last offset of the dead letters on Kafka that is in the letters here."""
    return f"{PREFIX}:{{{DEAD_LETTERS}}}:deliveries:{partition}"


DETECTOR_LEASE: Final = f"{PREFIX}:{{@detector}}:lease"
DETECTOR_NUMBERS: Final = f"{PREFIX}:{{@detector}}:numbers"


def detector(stream: str) -> str:
    """What the bottleneck detector says of a stream (field `verdicts`), and what it remembers (field `memory`)."""
    return f"{PREFIX}:{{{stream}}}:detector"
