r"""Azure DevOps service hooks: work items; pull requests, pushes, releases and pipelines (`azure_devops_deliveries`).

| webhook | fact of the item |
|---|---|
| `resource.workItemId`, or `revision.id` where it is 0; of other events `resource.id` | item: `AB#12` |
| `System.ChangedDate`, else `createdDate`; of deletions and restorations `createdDate` | at |
| `resource.rev` | seq |
| `System.State` | status |
| `System.Tags`, and the board's column as `column: Doing` | labels |
| `Microsoft.VSTS.CMMI.Blocked` = Yes, or the tag `blocked` | blocked |
| `System.TeamProject`, `System.AreaPath`, `System.WorkItemType`, `System.Title` | project, team, type, title |
| `Common.BusinessValue`, `Common.TimeCriticality` | value, criticality |
| `Scheduling.StoryPoints`, `.Effort` or `.Size` | size |
| `eventType` = `workitem.deleted`, `workitem.restored` | deleted |

Identity: `workitem:AB#12:rev-3` after the item's revision, which the API gives too. Deletions and restorations make no
revision: they are named by their content.
In an update `fields` holds what changed (`oldValue`, `newValue`) and `revision.fields` everything; what changed wins,
for Microsoft's own sample shows the old state in the revision. `revisedDate` is 0001-01-01 or 9999-01-01: not read.
An item is written `AB#12`, as Azure Boards writes it in other tools: `item_keys: ['AB#\d+']` finds it everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Raw, Struct, field
from msgspec.json import Decoder

from flow.adapters.azure_devops_deliveries import DELIVERY_READERS
from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.reading import (
    LONGEST_NAME,
    Number,
    address_of,
    blocked_by,
    decode,
    event_time,
    identified,
    json_of,
    labels_of,
    title_of,
)
from flow.adapters.times import Moment
from flow.errors import Reason, Rejected
from flow.facts import ItemFact

SOURCE: Final = "azure-devops"

_VALUE: Final = "Microsoft.VSTS.Common.BusinessValue"
_CRITICALITY: Final = "Microsoft.VSTS.Common.TimeCriticality"
_SIZES: Final = tuple(f"Microsoft.VSTS.Scheduling.{name}" for name in ("StoryPoints", "Effort", "Size"))
_BLOCKED: Final = "Microsoft.VSTS.CMMI.Blocked"
_LARGEST: Final = 1e12

Fields = dict[str, Any]


class _Link(Struct, gc=False):
    href: str | None = None


class _Links(Struct, gc=False):
    html: _Link | None = None


class _Revision(Struct, gc=False):
    id: Number = 0
    fields: Fields | None = None
    links: _Links | None = field(default=None, name="_links")


class _WorkItem(Struct, gc=False):
    id: Number = 0
    item: Number = field(default=0, name="workItemId")
    rev: Number | None = None
    fields: Fields | None = None
    revision: _Revision | None = None
    links: _Links | None = field(default=None, name="_links")


class _Event(Struct, gc=False, rename="camel"):
    event_type: str
    created_date: Moment = None
    resource: Raw = Raw(b"null")


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one service hook of Azure DevOps. Raises Rejected (not_understood, malformed_json)."""
    event = decode(_EVENT, json_of(delivery), "a service hook of Azure DevOps")
    kind = event.event_type
    if bytes(event.resource).strip() == b"null" and (kind in _ITEM_READERS or kind in DELIVERY_READERS):
        return Translation([], "the event has no resource: set `Resource details to send` of the subscription to All")
    if kind in _ITEM_READERS:
        item = decode(_WORK_ITEM, bytes(event.resource), f"a {kind} event of Azure DevOps")
        if not item.fields:
            number = item.item or (item.revision.id if item.revision else 0)
            number = number or (item.id if kind != "workitem.updated" else 0)
            unread = (str(number),) if number and kind != "workitem.deleted" else ()
            return Translation([], "the work item has no fields: set `Resource details to send` to All", unread)
        return Translation([_ITEM_READERS[kind](item, event.created_date)])
    read = DELIVERY_READERS.get(kind)
    if read is None:
        return Translation([], f"{kind[:80]} events change no work item, and tell of no change or deployment")
    return read(bytes(event.resource), event.created_date, item_names)


def _read_created(item: _WorkItem, created: Moment) -> ItemFact:
    return _by_revision(_item_fact(item.id, item, item.fields or {}, created), item)


def _read_updated(item: _WorkItem, created: Moment) -> ItemFact:
    revision = item.revision or _Revision()
    known = dict(revision.fields or {})
    for name, change in (item.fields or {}).items():
        if isinstance(change, dict):
            known[name] = change.get("newValue")
    fact = _item_fact(item.item or revision.id, item, known, created)
    if not revision.fields and "System.Tags" not in known:  # then nobody says which tags there are
        fact.labels = None
        fact.blocked = fact.blocked if _BLOCKED in known else None
    return _by_revision(fact, item)


def _read_gone(item: _WorkItem, created: Moment) -> ItemFact:
    return _presence(item, created, deleted=True)


def _read_restored(item: _WorkItem, created: Moment) -> ItemFact:
    return _presence(item, created, deleted=False)


def _presence(item: _WorkItem, created: Moment, *, deleted: bool) -> ItemFact:
    """A deleted item still carries the time of its last change; it went when the event was made."""
    fact = _item_fact(item.id, item, (item.fields or {}) | {"System.ChangedDate": None}, created)
    fact.deleted = deleted
    return identified(f"workitem:{fact.item}", fact)


def _by_revision(fact: ItemFact, item: _WorkItem) -> ItemFact:
    if item.rev is None:
        return identified(f"workitem:{fact.item}", fact)
    fact.id = f"workitem:{fact.item}:rev-{item.rev}"
    return fact


def _item_fact(number: int, item: _WorkItem, known: Fields, created: Moment) -> ItemFact:
    if not number:
        raise Rejected(Reason.NOT_UNDERSTOOD, "the work item of Azure DevOps has no id")
    labels = _labels(known)
    links = item.links or (item.revision.links if item.revision else None)
    return ItemFact(
        id="",
        source=SOURCE,
        item=f"AB#{number}",
        at=event_time("the work item", _text(known, "System.ChangedDate"), created),
        seq=min(item.rev or 0, 2**53),
        status=_text(known, "System.State"),
        blocked=_text(known, _BLOCKED) == "Yes" or blocked_by(labels),
        labels=labels,
        project=_text(known, "System.TeamProject"),
        type=_text(known, "System.WorkItemType"),
        team=_text(known, "System.AreaPath"),
        title=title_of(_text(known, "System.Title")),
        url=address_of(links.html.href) if links and links.html else None,
        value=_amount(known, _VALUE),
        criticality=_amount(known, _CRITICALITY),
        size=next((size for name in _SIZES if (size := _amount(known, name)) is not None), None),
    )


def _labels(known: Fields) -> tuple[str, ...]:
    tags = known.get("System.Tags")
    names = [tag.strip() for tag in tags.split(";")] if isinstance(tags, str) else []
    column = _text(known, "System.BoardColumn") or next(
        (_text(known, name) for name in known if name.startswith("WEF_") and name.endswith("_Kanban.Column")), None
    )
    return labels_of([*names, f"column: {column}"] if column else names)


def _text(known: Fields, name: str) -> str | None:
    value = known.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME else None


def _amount(known: Fields, name: str) -> float | None:
    value = known.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _LARGEST:
        return None
    return float(value)


_EVENT: Final = Decoder(_Event)
_WORK_ITEM: Final = Decoder(_WorkItem)
_ITEM_READERS: Final[Mapping[str, Callable[[_WorkItem, Moment], ItemFact]]] = {
    "workitem.created": _read_created,
    "workitem.updated": _read_updated,
    "workitem.deleted": _read_gone,
    "workitem.restored": _read_restored,
}
