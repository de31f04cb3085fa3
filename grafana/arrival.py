"""The first row of every board that somebody may open at night: is data arriving, and if not, which hop is silent?"""

from __future__ import annotations

from typing import Final

from grafana import links
from grafana.boards import Row
from grafana.colours import ANY_IS_WARNING, LAG, NONE_IS_PAGE, PLAIN, SNAPSHOT_AGE
from grafana.panels import ITEMS, SECONDS, single
from grafana.queries import JOB, Query, age, or_zero, series, state

SILENT: Final = "source:streamgauge_facts_total:silent_seconds"
PUBLISHED: Final = "streamgauge_worker_published_timestamp_seconds"


def arrival() -> Row:
    """Hop by hop, from the tools to the state."""
    click = ("Which hop, which source?", links.board("flow-pipeline"))
    newest = "max(last_over_time(" + series("streamgauge_last_fact_timestamp_seconds") + "[$__range]))"
    return Row(
        (
            single(
                "Newest event", "How long ago did the newest event happen that any source told of?",
                [Query(age(newest))],
                unit=SECONDS, steps=PLAIN, nothing="none yet", click=click, height=3,
            ),
            single(
                "Silent sources",
                "Of how many sources came nothing, in a time in which at least thirty facts came a week ago? Amber as "
                "the alert FlowSourceSilent.",
                [Query(or_zero(f"count({SILENT})"))],
                unit=ITEMS, steps=ANY_IS_WARNING, click=click, height=3,
            ),
            single(
                "Processes that answer",
                "How many HTTP processes answer? Without one no webhook is taken in: StreamgaugeDown.",
                [Query(or_zero(f"count(up{{{JOB}}} == 1)"))],
                unit=ITEMS, steps=NONE_IS_PAGE, click=click, height=3,
            ),
            single(
                "Waits in the log",
                "How long has the oldest fact waited that is not visible yet? Red as StreamgaugeLagging.",
                [Query(state("streamgauge_log_lag_seconds"))],
                unit=SECONDS, steps=LAG, nothing="not known", click=click, height=3,
            ),
            single(
                "Workers",
                "How many workers tell of themselves? Without one nothing new becomes visible: StreamgaugeDown.",
                [Query(or_zero(f"count({state(PUBLISHED, by='worker')})"))],
                unit=ITEMS, steps=NONE_IS_PAGE, click=click, height=3,
            ),
            single(
                "State was read", "How long ago was the state read that these boards show? Red as StreamgaugeDown.",
                [Query(age(state("streamgauge_snapshot_timestamp_seconds")))],
                unit=SECONDS, steps=SNAPSHOT_AGE, nothing="never", click=click, height=3,
            ),
        )
    )  # fmt: skip
