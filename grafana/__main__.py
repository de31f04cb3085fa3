"""Write all boards: `python -m grafana`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from grafana.deliveries import DELIVERIES
from grafana.measures import MEASURES
from grafana.overview import OVERVIEW
from grafana.pipeline import PIPELINE
from grafana.stage import STAGE_BOARD

FOLDER: Final = Path(__file__).parent / "dashboards"
BOARDS: Final = (OVERVIEW, STAGE_BOARD, MEASURES, DELIVERIES, PIPELINE)


def main() -> None:
    """Write each board, and remove what is no board any more."""
    names = {f"{board.uid}.json" for board in BOARDS}
    for path in FOLDER.glob("*.json"):
        if path.name not in names:
            path.unlink()
    for board in BOARDS:
        (FOLDER / f"{board.uid}.json").write_text(board.json(), encoding="utf-8")


if __name__ == "__main__":
    main()
