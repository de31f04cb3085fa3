"""The spool of a receiver, where its settings ask for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from flow.redelivery import sends_again
from service.command_line.composition import now
from service.log import LogWriter
from service.settings import Settings
from service.spool import Spool
from service.spool_folder import SpoolFolder
from service.spool_metrics import SpoolMetrics


@asynccontextmanager
async def spooling(settings: Settings, writer: LogWriter, registry: CollectorRegistry) -> AsyncIterator[Spool | None]:
    """The spool, open and draining. None: no source needs one and nothing is left in the folder, or it is off.

    Raises SettingsError when the folder can't be used.
    """
    metrics = SpoolMetrics()
    registry.register(metrics)
    path = settings.spool_folder()
    if path is None:
        yield None
        return
    folder = SpoolFolder(path, settings.spool.max_size, now)
    if not (any(not sends_again(source) for source in settings.source_secrets()) or folder.holds_files()):
        yield None
        return
    async with Spool(folder, writer, now, metrics.count) as spool:
        metrics.level = lambda: spool.level
        yield spool
