"""What happened beside the work, as marks on every graph."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery

from grafana.colours import AMBER, BLUE, GREY, RED
from grafana.links import in_sight
from grafana.panels import DATASOURCE, target
from grafana.queries import RECENT, Query, grown, series


def deployments(*where: str) -> AnnotationQuery:
    """Deployments that ended, by outcome."""
    happened = grown("delivery_deployments_total", *where, by="service, environment, outcome", over=RECENT)
    return _marks("Deployments", BLUE, f"{happened} > 0", "Deployment {{outcome}}", "{{service}} to {{environment}}")


def alerts(*where: str) -> list[AnnotationQuery]:
    """Alerts while they fire: those that page, and the others."""
    title, text = "{{alertname}}", "{{stream}} {{stage}} {{service}} {{environment}} {{source}}"
    marks = []
    for name, colour, severity in (("Pages", RED, "critical"), ("Warnings", AMBER, "warning")):
        asked = ",".join(('alertstate="firing"', f'severity="{severity}"', *where))
        marks.append(_marks(name, colour, f"ALERTS{{{asked}}}", title, text))
    return marks


def limits(*where: str) -> AnnotationQuery:
    """When somebody changed a WIP limit."""
    changed = f"max by (stage) (changes({series('flow_stage_wip_limit', *where)}[{RECENT}])) > 0"
    return _marks("WIP limit changes", GREY, changed, "WIP limit changed", "{{stage}}")


def _marks(name: str, colour: str, expression: str, title: str, text: str) -> AnnotationQuery:
    made = AnnotationQuery().name(name).datasource(DATASOURCE).enable(True).icon_color(colour)
    made = made.target(target("Anno", Query(expression))).title_format(title).text_format(text)
    in_sight(made.build())
    return made
