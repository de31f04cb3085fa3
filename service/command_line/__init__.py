"""The command line: the composition root, the one place that knows receivers, API and aggregator."""

from __future__ import annotations

import sys
from typing import Final

INTERRUPTED: Final = 130
"""The exit code after Ctrl-C, as shells have it."""


def main() -> None:
    """Run the command that the arguments name."""
    try:
        from service.command_line.app import run  # noqa: PLC0415  # the script's entry must cost nothing at import

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
