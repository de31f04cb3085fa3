"""A work item of Azure DevOps with its updates, read through the REST API, as the service hooks would have told it.

| REST API | service hook |
|---|---|
| the first of `/updates` | workitem.created |
| each later one with fields | workitem.updated, with what changed and all that is known |

An update holds what changed; all fields are put together from the updates before it. Ids are those of the service
hooks: `workitem:AB#12:rev-3`. Deletions are not among the updates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from flow.adapters.azure_devops import SOURCE, translate
from flow.adapters.delivery import ItemNames
from flow.adapters.history import Json, retold, shaped
from flow.facts import Fact


class _Update(Struct, gc=False):
    rev: int
    fields: dict[str, dict[str, Any]] | None = None


def facts_of_work_item(
    number: int, updates: Sequence[Json], item_names: ItemNames, address: str | None = None
) -> list[Fact]:
    """All that the service hooks of this item would have told; `address` is its page. Raises Rejected."""
    return retold(translate, SOURCE, _hooks(number, updates, address), item_names)


def _hooks(number: int, contents: Sequence[Json], address: str | None) -> Iterator[Json]:
    read = [shaped(entry, _Update, "an update of Azure DevOps") for entry in contents]
    links = {"html": {"href": address}} if address else None
    known: dict[str, Any] = {}
    for update in sorted(read, key=lambda update: update.rev):
        if not update.fields:
            continue
        known |= {name: change.get("newValue") for name, change in update.fields.items()}
        resource: dict[str, Any] = {"rev": update.rev, "_links": links}
        if update.rev == 1:
            created = {**resource, "id": number, "fields": known}
            yield {"eventType": "workitem.created", "resource": created}
        else:
            revision = {"id": number, "fields": known, "_links": links}
            changed = {**resource, "workItemId": number, "fields": update.fields, "revision": revision}
            yield {"eventType": "workitem.updated", "resource": changed}
