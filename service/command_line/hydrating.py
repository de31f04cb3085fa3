"""The hydration of a receiver: of the sources that are received and have a token."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from flow.definitions import Definitions
from flow.matching import Router
from service.command_line.composition import now
from service.hydration import Hydration
from service.hydration_metrics import HydrationMetrics
from service.ingest import Intake
from service.log import LogWriter
from service.provider_access import access_of
from service.provider_client import ProviderClient
from service.rereading.sources import REREADINGS
from service.self_metrics import SelfMetrics
from service.settings import Settings


def hydration_of(
    settings: Settings, definitions: Definitions, writer: LogWriter, own: SelfMetrics, registry: CollectorRegistry
) -> Hydration:
    """An async context. Raises SettingsError where a token is set and the address is missing."""
    metrics = HydrationMetrics()
    registry.register(metrics)
    router = Router(definitions)
    clients = {
        name: ProviderClient(access_of(name, source), clock=now)
        for name, source in settings.sources.items()
        if name in REREADINGS and source.api_token is not None and not source.only_asks
    }
    return Hydration(
        clients,
        record=Intake(writer, router, own).record,
        item_names=router.items_named_in,
        clock=now,
        count=metrics.count,
    )
