"""From facts in the log to samples on the page, through a real server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from consumers.log import Batch
from consumers.measurements import Measurements
from consumers.partition import Partition, Work
from consumers.stream_state import Bounds
from flow import keys
from flow.buckets import stage_edges
from flow.catalogue import METRICS, SAMPLES
from flow.cells import Retention
from flow.definitions import Condition, Definitions, Match, ServiceLevel, Stage, Stream
from flow.facts import DeploymentFact, Fact, ItemFact, encode_facts
from flow.instants import DAY, HOUR, MINUTE, SECOND
from flow.worker_metrics import WorkerMetrics, pack_worker
from service.exporter import Exporter
from service.exporter_readings import READER
from service.hydration_metrics import HydrationMetrics
from service.questions import Live
from service.reader import StateReader
from service.self_metrics import SelfMetrics
from service.snapshots import MOST_WINDOWS, STALE_AFTER, WINDOWS_EVERY, Snapshots
from service.spool_files import Level
from service.spool_metrics import SpoolMetrics
from tests.integration.monitored import KEPT

pytestmark = pytest.mark.needs_server("valkey")

NOW = 1_795_305_600_000

STREAM = Stream(
    "web",
    (
        Stage("backlog", "queue", (Condition(status="To Do"),)),
        Stage("develop", "active", (Condition(status="Doing"),), sle=ServiceLevel(0.85, 36 * HOUR)),
        Stage("done", "done", (Condition(status="Done"),)),
    ),
    Match(source=("jira",)),
)
DEFINITIONS = Definitions({"web": STREAM, "quiet": replace(STREAM, name="quiet", match=Match(source=("linear",)))})


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


class WatchedReader(StateReader):
    """Notes which streams are read, and of how many spans."""

    reads: list[tuple[str, int]]

    async def live(self, name: str, spans: Sequence[Sequence[int]]) -> Live:
        self.reads.append((name, len(spans)))
        return await super().live(name, spans)


class Scene:
    """A worker that writes what it is told, and the exporter that reads it."""

    def __init__(self, redis: Redis, definitions: Definitions = DEFINITIONS, broken: Redis | None = None) -> None:
        self.redis = redis
        self.clock = Clock()
        self.registry = CollectorRegistry()
        self.reader = WatchedReader(broken or redis, definitions, Retention(), 1, self.clock)
        self.reader.reads = []
        self.snapshots = Snapshots(broken or redis, self.reader, self.registry)
        self.exporter = Exporter(lambda: self.snapshots.latest, definitions, self.registry, self.clock, "1.2.3")
        self.measurements = Measurements(NOW)
        self._offset = 0

    async def write(self, *facts: Fact) -> None:
        """Append facts to the log's count and apply them, as one batch of a worker that just started."""
        work = Work(self.redis, DEFINITIONS, KEPT, 100, self.clock, self.measurements)
        partition = Partition(0, work)
        await partition.load()
        offsets = range(self._offset + 1, self._offset + len(facts) + 1)
        self._offset = offsets[-1]
        batch = Batch(0, encode_facts(facts).rstrip(b"\n"), offsets, self.clock() - 20)
        await partition.commit_batch(await partition.fold(await partition.prepare(batch)), batch)

    async def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        await self.snapshots.turn()
        families = text_string_to_metric_families(self.exporter.render(False).decode())
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    async def value(self, name: str, **labels: str) -> float | None:
        return (await self.samples()).get((name, frozenset(labels.items())))


@pytest.fixture
def scene(redis: Redis) -> Scene:
    return Scene(redis)


def moved(item: str, at: int, status: str, *, blocked: bool | None = None, source: str = "jira") -> ItemFact:
    return ItemFact(f"{item}-{at}-{status}", source, item, at, status=status, blocked=blocked)


async def test_what_facts_say_is_on_the_page(scene: Scene) -> None:
    began = NOW - 3 * DAY
    await scene.write(
        moved("A-1", began, "To Do"),
        moved("A-2", began + HOUR, "To Do"),
        moved("A-1", began + 2 * HOUR, "Doing", blocked=True),
        moved("A-3", began + 3 * HOUR, "Doing"),
        moved("A-3", began + 5 * HOUR, "Done"),
        moved("A-3", began + 6 * HOUR, "Doing"),
        moved("A-3", began + 8 * HOUR, "Done"),
    )
    found = await scene.samples()

    def value(name: str, **labels: str) -> float | None:
        return found.get((name, frozenset({"stream": "web", **labels}.items())))

    assert value("flow_stage_wip", stage="backlog") == value("flow_stage_queue_depth", stage="backlog") == 1
    assert value("flow_stage_wip", stage="develop") == value("flow_stage_blocked_items", stage="develop") == 1
    assert value("flow_stage_items_over_sle", stage="develop") == 1
    oldest = value("flow_stage_oldest_arrival_timestamp_seconds", stage="develop")
    assert oldest == (began + 2 * HOUR) / 1000
    assert value("flow_stage_arrivals_total", stage="develop") == 3
    assert value("flow_stage_departures_total", stage="done") == value("flow_stage_rework_total", stage="done") == 1
    assert value("flow_stage_time_seconds_sum", stage="develop") == 4 * 3600
    assert value("flow_completed_items_total", item_type="other") == 2
    assert value("flow_reopened_items_total", item_type="other") == 1
    assert value("flow_cycle_time_seconds_sum", item_type="other") == 2 * 3600 + 5 * 3600
    assert value("flow_window_throughput_items", window="7d") == 1
    assert value("flow_window_throughput_items", window="1d") == 0
    assert value("flow_cycle_time_window_seconds", window="7d", quantile="0.5") == pytest.approx(5 * 3600, rel=0.05)
    assert value("flow_window_efficiency_ratio", window="7d") == pytest.approx(4 / 5)


async def test_value_that_waits_and_handoffs_are_on_the_page(scene: Scene) -> None:
    def said(number: int, item: str, status: str | None = None, **rest: Any) -> ItemFact:
        return ItemFact(f"{number}", "jira", item, NOW - DAY + number, status=status, **rest)

    await scene.write(
        said(1, "A-1", "To Do", value=8.5, team="payments"),
        said(2, "A-2", "To Do", value=3),
        said(3, "A-1", team="platform"),
        said(4, "A-2", "Doing"),
    )
    found = await scene.samples()
    backlog, develop = (frozenset({("stream", "web"), ("stage", name)}) for name in ("backlog", "develop"))
    assert found["flow_stage_value_waiting", backlog] == 8.5
    assert ("flow_stage_value_waiting", develop) not in found
    assert (found["flow_stage_handoffs_total", backlog], found["flow_stage_handoffs_total", develop]) == (1, 0)


async def test_a_bucket_counts_what_lies_exactly_at_its_bound(scene: Scene) -> None:
    edges = stage_edges(STREAM.stages[1])
    times = sorted(time for edge in edges for time in (edge - 1, edge, edge + 1))
    began = NOW - 100 * DAY
    for number, time in enumerate(times):
        await scene.write(moved(f"A-{number}", began, "Doing"), moved(f"A-{number}", began + time, "Done"))
    found = await scene.samples()
    where = {("stream", "web"), ("stage", "develop")}
    buckets = {
        float(dict(labels)["le"]): count
        for (name, labels), count in found.items()
        if name == "flow_stage_time_seconds_bucket" and where <= labels
    }
    assert len(buckets) == len(edges) + 1
    for edge, count in buckets.items():
        assert count == sum(time / 1000 <= edge for time in times)


async def test_a_late_fact_corrects_gauges_and_windows(scene: Scene) -> None:
    await scene.write(moved("A-1", NOW - 2 * HOUR, "Doing"), moved("A-1", NOW - HOUR, "Done"))
    assert await scene.value("flow_window_throughput_items", stream="web", window="7d") == 1
    scene.clock.now += WINDOWS_EVERY
    await scene.write(moved("A-1", NOW - MINUTE, "Doing"), moved("A-1", NOW - 3 * HOUR, "To Do"))
    assert await scene.value("flow_window_throughput_items", stream="web", window="7d") == 0
    assert await scene.value("flow_stage_wip", stream="web", stage="develop") == 1
    assert await scene.value("streamgauge_facts_late_total", source="jira") == 1


async def test_the_monitor_counts_facts_letters_and_delays(scene: Scene) -> None:
    again = moved("A-1", NOW - 400 * SECOND, "Doing")
    await scene.write(again, again, moved("A-1", NOW - SECOND, "On hold"), moved("B-1", NOW, "Doing", source="evil"))
    await scene.redis.hset(keys.WORKER_METRICS, "worker-1", scene.measurements.pack(NOW))
    assert await scene.value("streamgauge_facts_total", source="jira") == 3
    assert await scene.value("streamgauge_facts_duplicate_total", source="jira") == 1
    assert await scene.value("streamgauge_unmapped_statuses_total", source="jira") == 1
    assert await scene.value("streamgauge_dead_letters_total", source="other", reason="no_stream") == 1
    assert await scene.value("streamgauge_event_delay_seconds_bucket", source="jira", le="300.0") == 1
    assert await scene.value("streamgauge_event_delay_seconds_count", source="jira") == 3
    assert await scene.value("streamgauge_ingest_to_visible_seconds_sum", source="jira") == pytest.approx(0.06)
    assert await scene.value("streamgauge_last_fact_timestamp_seconds", source="jira") == (NOW - SECOND) / 1000
    assert await scene.value("streamgauge_worker_facts_total", worker="worker-1") == 4


async def test_deliveries_are_on_the_page(scene: Scene) -> None:
    await scene.write(
        DeploymentFact("d1", "argo", "shop", "production", "1", NOW - HOUR, "succeeded"),
        DeploymentFact("d2", "argo", "shop", "production", "2", NOW - MINUTE, "failed"),
    )
    lane = {"service": "shop", "environment": "production"}
    assert await scene.value("delivery_deployments_total", **lane, outcome="succeeded") == 1
    assert await scene.value("delivery_deployments_total", **lane, outcome="failed") == 1
    await scene.write(DeploymentFact("d3", "argo", "shop", "production", "3", NOW, "succeeded"))
    assert await scene.value("delivery_deployments_total", **lane, outcome="succeeded") == 2
    assert await scene.value("streamgauge_lanes_left_out") == 0


async def test_the_process_exports_all_that_the_catalogue_says_of_it_and_nothing_else(scene: Scene) -> None:
    scene.registry.register(SelfMetrics())
    scene.registry.register(SpoolMetrics(lambda: Level(1, NOW)))
    scene.registry.register(HydrationMetrics())
    exported = {(name, frozenset(label for label, _ in labels)) for name, labels in await scene.samples()}
    state = {name for metric in METRICS.values() if metric.part == "state" for name in metric.samples()}
    process = {(name, frozenset(labels)) for name, labels in SAMPLES.items() if name not in state}
    assert {sample for sample in exported if sample[0] not in state} == process


async def test_lag_is_what_the_aggregator_has_not_committed(scene: Scene) -> None:
    assert await scene.value("streamgauge_log_lag_facts", partition="0") == 0
    await scene.redis.set(keys.log_end(0), 12)
    await scene.redis.hset(keys.log_read(0), mapping={READER: 5, "somebody": 11})
    assert await scene.value("streamgauge_log_lag_facts", partition="0") == 7
    await scene.redis.hset(keys.log_read(0), READER, 12)
    assert await scene.value("streamgauge_log_lag_facts", partition="0") == 0


async def test_a_silent_worker_is_no_longer_shown(scene: Scene) -> None:
    await scene.redis.hset(keys.WORKER_METRICS, "worker-1", pack_worker(WorkerMetrics(at=NOW, started_at=NOW - HOUR)))
    assert await scene.value("streamgauge_worker_start_timestamp_seconds", worker="worker-1") == (NOW - HOUR) / 1000
    scene.clock.now += 2 * MINUTE
    assert await scene.value("streamgauge_worker_start_timestamp_seconds", worker="worker-1") is None


async def test_only_streams_that_a_fact_changed_are_read_again(scene: Scene) -> None:
    await scene.write(moved("A-1", NOW - HOUR, "Doing"))
    await scene.samples()
    assert scene.reader.reads == [("web", 3), ("quiet", 3)]
    scene.clock.now += SECOND
    await scene.samples()
    assert len(scene.reader.reads) == 2
    await scene.write(moved("A-2", NOW - HOUR, "Doing"))
    assert await scene.value("flow_stage_wip", stream="web", stage="develop") == 2
    assert scene.reader.reads[2:] == [("web", 0)]


async def test_windows_are_read_again_after_a_change_or_at_an_edge_and_not_too_often(scene: Scene) -> None:
    scene.clock.now = NOW + 10 * SECOND
    await scene.write(moved("A-0", NOW, "To Do"))
    await scene.samples()
    await scene.write(moved("A-1", NOW - 2 * HOUR, "Doing"), moved("A-1", NOW - HOUR, "Done"))
    scene.clock.now += WINDOWS_EVERY - 1
    scene.reader.reads.clear()
    assert await scene.value("flow_window_throughput_items", stream="web", window="7d") == 0
    scene.clock.now += 1
    assert await scene.value("flow_window_throughput_items", stream="web", window="7d") == 1
    assert scene.reader.reads == [("web", 0), ("web", 3), ("quiet", 0)]
    scene.reader.reads.clear()
    scene.clock.now = NOW + MINUTE
    await scene.samples()
    scene.clock.now += 1
    await scene.samples()
    assert [read for read in scene.reader.reads if read[1]] == [("web", 1), ("quiet", 1)]


async def test_when_many_windows_are_due_the_longest_unread_come_first(redis: Redis) -> None:
    streams = {f"s{number:02d}": replace(STREAM, name=f"s{number:02d}") for number in range(MOST_WINDOWS + 3)}
    scene = Scene(redis, Definitions(streams))
    await scene.samples()
    scene.clock.now += 2 * MINUTE
    turns = []
    for _ in range(3):
        scene.reader.reads.clear()
        await scene.samples()
        turns.append([name for name, spans in scene.reader.reads if spans])
    names = list(streams)
    assert turns == [names[:MOST_WINDOWS], names[MOST_WINDOWS:], []]


async def test_streams_are_read_though_they_are_more_than_are_asked_for_at_once(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.exporter_readings._AT_ONCE", 2)
    names = ("a", "b", "c", "web", "z")
    scene = Scene(redis, Definitions({name: replace(STREAM, name=name) for name in names}))
    await scene.write(moved("A-1", NOW - HOUR, "Doing"))
    found = await scene.samples()
    wip = [found["flow_stage_wip", frozenset({("stream", name), ("stage", "develop")})] for name in names]
    assert wip == [0, 0, 0, 1, 0]
    await scene.write(moved("A-2", NOW - HOUR, "Doing"))
    assert await scene.value("flow_stage_wip", stream="web", stage="develop") == 2
    assert await scene.value("streamgauge_facts_total", source="jira") == 2


async def test_items_grow_past_their_expectation_without_any_fact(scene: Scene) -> None:
    await scene.write(moved("A-1", NOW, "Doing"))
    over = {"stream": "web", "stage": "develop"}
    assert await scene.value("flow_stage_items_over_sle", **over) == 0
    scene.clock.now = NOW + 36 * HOUR + 1
    assert await scene.value("flow_stage_items_over_sle", **over) == 1


async def test_a_rebuilt_state_is_read_though_its_counts_are_the_same(scene: Scene) -> None:
    await scene.write(moved("A-1", NOW - HOUR, "Doing"))
    assert await scene.value("flow_stage_wip", stream="web", stage="develop") == 1
    old, new = keys.StateKeys("web", "1"), keys.StateKeys("web", "2")
    await scene.redis.copy(old.monitor, new.monitor)
    await scene.redis.set(keys.generation("web"), "2")
    assert await scene.value("flow_stage_wip", stream="web", stage="develop") == 0


async def test_while_the_server_is_away_the_last_snapshot_ages(scene: Scene) -> None:
    await scene.write(moved("A-1", NOW - HOUR, "Doing"))
    gauge = {"stream": "web", "stage": "develop"}
    assert await scene.value("flow_stage_wip", **gauge) == 1
    away = Redis(unix_socket_path="/nowhere/valkey.sock", retry=Retry(NoBackoff(), 0))
    gone = Scene(scene.redis, broken=away)
    gone.snapshots.latest = scene.snapshots.latest
    gone.clock.now += STALE_AFTER
    assert await gone.value("flow_stage_wip", **gauge) == 1
    gone.clock.now += 1
    found = await gone.samples()
    assert ("flow_stage_wip", frozenset(gauge.items())) not in found
    assert found["streamgauge_snapshot_timestamp_seconds", frozenset()] == NOW / 1000
    assert found["flow_stage_arrivals_total", frozenset(gauge.items())] == 1
    assert found["streamgauge_snapshot_failures_total", frozenset()] == 2
    await away.aclose()


async def test_a_worker_tells_how_many_items_it_had_in_memory(scene: Scene) -> None:
    await scene.write(moved("A-1", NOW - HOUR, "Doing"), moved("A-2", NOW - HOUR, "Doing"))
    partition = Partition(0, Work(scene.redis, DEFINITIONS, Bounds(), 100, scene.clock, scene.measurements))
    await partition.load()
    for offset, item in ((3, "A-1"), (4, "A-1"), (5, "A-3")):
        batch = Batch(0, encode_facts([moved(item, NOW, f"{offset}")]).rstrip(b"\n"), range(offset, offset + 1), NOW)
        await partition.prepare(batch)
    assert (scene.measurements.metrics.items_found, scene.measurements.metrics.items_read) == (1, 4)
    await scene.redis.hset(keys.WORKER_METRICS, "worker-1", scene.measurements.pack(NOW))
    assert await scene.value("streamgauge_worker_items_read_total", worker="worker-1") == 4
    assert await scene.value("streamgauge_worker_items_found_total", worker="worker-1") == 1
