"""The command line: the composition root, the one place that knows receivers, API and aggregator."""

from __future__ import annotations


def main() -> None:
    """Run the command that the arguments name."""
    from service.command_line.app import run  # noqa: PLC0415  # the script's entry must cost nothing at import

    run()
