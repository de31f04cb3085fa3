"""Reads `deliveries`: what is meant to hold of delivery lanes. The first entry that fits a lane holds for it.

```yaml
deliveries:
  - {environment: production, targets: {change_fail_rate: 0.15, failed_deployment_recovery_time: 4h}}
```
"""

from __future__ import annotations

from typing import Final

from yaml.nodes import Node

from flow.definition_nodes import NodeReader
from flow.definitions import LaneTargets

TARGETS: Final = ("change_fail_rate", "failed_deployment_recovery_time")

_EXAMPLE: Final = "[{environment: production, targets: {change_fail_rate: 0.15}}]"


def read_deliveries(node: Node, reader: NodeReader) -> tuple[LaneTargets, ...]:
    """The entries, in the order of the file. What is wrong with them is noted."""
    return tuple(_read_entry(item, reader) for item in reader.items(node, "deliveries", _EXAMPLE))


def _read_entry(node: Node, reader: NodeReader) -> LaneTargets:
    what = "an entry of deliveries"
    before = reader.problems.times_noted
    entries = {
        key: value for key, (_, value) in reader.mapping(node, what, ("service", "environment", "targets")).items()
    }
    service, environment = (
        reader.text_or_texts(entries[name], f"{name} in {what}") if name in entries else ()
        for name in ("service", "environment")
    )
    if "targets" not in entries:
        if reader.problems.times_noted == before:
            reader.problems.add(node, f"{what} has no targets", "write targets: {change_fail_rate: 0.15}")
        return LaneTargets(service, environment)
    return LaneTargets(service, environment, *_read_targets(entries["targets"], reader))


def _read_targets(node: Node, reader: NodeReader) -> tuple[float | None, int | None]:
    what = "targets of an entry of deliveries"
    values = {key: value for key, (_, value) in reader.mapping(node, what, TARGETS).items()}
    rate, recovery = (values.get(name) for name in TARGETS)
    share = None if rate is None else reader.number(rate, f"change_fail_rate in {what}", "0.15")
    if rate is not None and share is not None and share > 1:
        wrong = f"change_fail_rate in {what} can't be over 1"
        reader.problems.add(rate, wrong, f"write a share of 1: {share / 100:g} for {share:g}%")
    return share, (
        None if recovery is None else reader.duration(recovery, f"failed_deployment_recovery_time in {what}")
    )
