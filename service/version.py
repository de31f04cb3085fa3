"""Which version this is: the distribution's."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version


def version() -> str:
    """The installed distribution's version, or `0+unknown` when it runs from a bare checkout."""
    try:
        return installed_version("streamgauge")
    except PackageNotFoundError:
        return "0+unknown"
