"""What a board is, and what all boards have: links between them, UTC, no edits in the browser."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders.dashboard import AnnotationQuery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, VariableModel

from grafana import links
from grafana.panels import ShownPanel
from grafana.variables import datasource

TAGS: Final = (links.TAG, "generated")


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that follow each other, under a heading that can be opened. Without a title they are always shown."""

    panels: Sequence[ShownPanel]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. `question` is what a person comes with; `span` is how far back it looks at first."""

    uid: str
    title: str
    question: str
    span: str
    refresh: str
    variables: Sequence[Builder[VariableModel]]
    annotations: Sequence[AnnotationQuery]
    rows: Sequence[Row]

    def json(self) -> str:
        """The file that Grafana reads: always the same text for the same board."""
        return json.dumps(self._built(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def _built(self) -> object:
        made = (
            build.Dashboard(f"Flow / {self.title}")
            .uid(self.uid)
            .description(self.question)
            .tags(list(TAGS))
            .readonly()
            .timezone("utc")
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .time(f"now-{self.span}", "now")
            .refresh(self.refresh)
            .link(links.boards())
        )
        for variable in (datasource(), *self.variables):
            made = made.with_variable(variable)
        for annotation in self.annotations:
            made = made.annotation(annotation)
        for row in self.rows:
            made = self._with_row(made, row)
        return _numbered(made)

    def _with_row(self, made: build.Dashboard, row: Row) -> build.Dashboard:
        if not row.title:
            for panel in row.panels:
                made = made.with_panel(panel)
            return made
        collapsed = build.Row(row.title).collapsed(True)
        for panel in row.panels:
            collapsed = collapsed.with_panel(panel)
        return made.with_row(collapsed)


def _numbered(made: build.Dashboard) -> object:
    """With an id for each panel, so that a link to one panel stays."""
    board = made.build()
    number = 0
    for panel in board.panels or ():
        for each in (panel, *(getattr(panel, "panels", None) or ())):
            number += 1
            each.id_val = number
    return board
