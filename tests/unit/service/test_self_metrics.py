"""What the process counts of itself, as a scrape sees it."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

from flow.catalogue import METRICS
from flow.errors import Reason
from flow.facts import ItemFact
from service.self_metrics import SelfMetrics


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def metrics(registry):
    own = SelfMetrics(["acme"])
    registry.register(own)
    return own


def fact(source):
    return ItemFact(id="1", source=source, item="i", at=0)


def test_known_sources_are_there_before_anything_comes(registry, metrics):
    for source in ("github", "acme", "other"):
        assert registry.get_sample_value("streamgauge_ingest_facts_total", {"source": source}) == 0
    labels = {"source": "github", "reason": "bad_signature"}
    assert registry.get_sample_value("streamgauge_webhook_rejections_total", labels) == 0
    assert registry.get_sample_value("streamgauge_append_seconds_count") == 0


def test_a_source_that_nobody_named_is_other(registry, metrics):
    metrics.count_facts([fact("acme"), fact("acme"), fact("x\ny"), fact("another")])
    assert registry.get_sample_value("streamgauge_ingest_facts_total", {"source": "acme"}) == 2
    assert registry.get_sample_value("streamgauge_ingest_facts_total", {"source": "other"}) == 2
    metrics.count_webhook("nobody")
    metrics.count_rejection("nobody", Reason.SOURCE_OFF)
    assert registry.get_sample_value("streamgauge_webhook_requests_total", {"source": "other"}) == 1
    labels = {"source": "other", "reason": "source_off"}
    assert registry.get_sample_value("streamgauge_webhook_rejections_total", labels) == 1


def test_requests_are_counted_by_route_method_and_status(registry, metrics):
    metrics.count_request("/v1/facts", "POST", 202, 0.004)
    metrics.count_request("/v1/facts", "BREW", 405, 0.3)
    metrics.count_request("/v1/live", "GET", 200)
    value = registry.get_sample_value
    assert value("streamgauge_http_requests_total", {"route": "/v1/facts", "method": "POST", "status": "202"}) == 1
    assert value("streamgauge_http_requests_total", {"route": "/v1/facts", "method": "other", "status": "405"}) == 1
    assert value("streamgauge_http_request_seconds_count", {"route": "/v1/facts"}) == 2
    assert value("streamgauge_http_request_seconds_count", {"route": "/v1/live"}) is None


@pytest.mark.parametrize(("seconds", "within"), [(0.001, 1), (0.0011, 0), (0.0009, 1), (100.0, 0)])
def test_a_time_on_an_edge_is_in_the_bucket_below_it(registry, metrics, seconds, within):
    metrics.observe_append(seconds)
    assert registry.get_sample_value("streamgauge_append_seconds_bucket", {"le": "0.001"}) == within
    assert registry.get_sample_value("streamgauge_append_seconds_bucket", {"le": "+Inf"}) == 1
    assert registry.get_sample_value("streamgauge_append_seconds_sum") == seconds


def test_all_that_is_exported_is_in_the_catalogue_and_can_be_written_in_both_formats(registry, metrics):
    assert generate_latest(registry)
    assert openmetrics(registry).endswith(b"# EOF\n")
    for family in metrics.collect():
        name = family.name if family.type == "histogram" else f"{family.name}_total"
        described = METRICS[name]
        assert (described.kind, described.part) == (family.type, "process")
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(described.labels)
