"""Linear: issues created, updated, removed, restored, moved to another team.

| webhook | fact of the item |
|---|---|
| `data.identifier`, else `data.team.key`-`data.number` | item |
| `createdAt`, else `data.updatedAt` | at |
| `data.state.name` | status |
| `data.labels[].name` | labels; `blocked` among them blocks; one that is a word for a type is the type |
| `data.team.key` | project and team |
| `data.title`, `url` or `data.url`, `data.estimate` | title, url, size |
| `action` = `remove` | deleted |
| `data.previousIdentifiers`, when `updatedFrom.teamId` is there | the item under its old name is deleted |

Identity: `issue:ENG-12:created`, and `issue:ENG-12:MILLISECONDS:state` for a move, after the time of the move: Linear's
API gives the history of an issue with the same times. Whatever else changes is named by its content.
`updatedFrom` holds what changed, as it was before; without `stateId` there nothing moved. A move may go backwards.
Linear knows no type of issue and no blocked flag: use labels. Relations (blocks, blocked by) send no webhook.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Raw, Struct, field
from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.reading import (
    Name,
    Number,
    address_of,
    blocked_by,
    decode,
    event_time,
    identified,
    json_of,
    labels_of,
    title_of,
    type_among,
)
from flow.adapters.times import Moment
from flow.errors import Reason, Rejected
from flow.facts import Amount, ItemFact

SOURCE: Final = "linear"

_Key = Annotated[str, Meta(min_length=1, max_length=100)]


class _Named(Struct, gc=False):
    name: Name


class _Team(Struct, gc=False):
    key: _Key


class _Issue(Struct, gc=False, rename="camel"):
    identifier: _Key | None = None
    number: Number | None = None
    title: str | None = None
    url: str | None = None
    created_at: Moment = None
    updated_at: Moment = None
    estimate: Amount | None = None
    state: _Named | None = None
    team: _Team | None = None
    labels: list[_Named] | None = None
    label_ids: list[Raw] | None = None
    previous_identifiers: list[str] | None = None


class _Before(Struct, gc=False, rename="camel"):
    state_id: str | None = None
    team_id: str | None = None


class _Kind(Struct, gc=False):
    type: str
    action: str


class _IssueEvent(Struct, gc=False, rename="camel"):
    action: str
    data: _Issue
    created_at: Moment = None
    url: str | None = None
    before: _Before | None = field(default=None, name="updatedFrom")


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one webhook of Linear. Raises Rejected (not_understood, malformed_json)."""
    text = json_of(delivery)
    kind = decode(_KIND, text, "a webhook of Linear")
    if kind.type != "Issue":
        return Translation([], f"{kind.type[:80]} events say nothing of a work item")
    event = decode(_ISSUE_EVENT, text, "an Issue event of Linear")
    fact = _item_fact(event)
    return Translation([*_left_behind(event, fact), fact])


def _item_fact(event: _IssueEvent) -> ItemFact:
    issue = event.data
    labels = _labels(issue)
    own_time = issue.created_at if event.action == "create" else None
    fact = ItemFact(
        id="",
        source=SOURCE,
        item=_name(issue),
        at=event_time("the issue", own_time, event.created_at, issue.updated_at),
        status=issue.state.name if issue.state else None,
        blocked=None if labels is None else blocked_by(labels),
        deleted=True if event.action == "remove" else None,
        labels=labels,
        project=issue.team.key if issue.team else None,
        team=issue.team.key if issue.team else None,
        type=type_among(labels or ()),
        title=title_of(issue.title),
        url=address_of(event.url or issue.url),
        size=issue.estimate,
    )
    if event.action == "create":
        fact.id = f"issue:{fact.item}:created"
    elif event.action == "update" and event.before and event.before.state_id:
        fact.id = f"issue:{fact.item}:{fact.at}:state"
    else:
        identified(f"issue:{fact.item}", fact)
    return fact


def _labels(issue: _Issue) -> tuple[str, ...] | None:
    """An issue without labels often has no `labels` at all: then its empty `labelIds` say so."""
    if issue.labels is not None:
        return labels_of(label.name for label in issue.labels)
    return () if issue.label_ids == [] else None


def _name(issue: _Issue) -> str:
    if issue.identifier is not None:
        return issue.identifier
    if issue.team is None or issue.number is None:
        raise Rejected(Reason.NOT_UNDERSTOOD, "the issue of Linear has neither an identifier nor a team and a number")
    return f"{issue.team.key}-{issue.number}"


def _left_behind(event: _IssueEvent, fact: ItemFact) -> list[ItemFact]:
    """The item under the name that it had before it moved to another team."""
    names = event.data.previous_identifiers
    if event.before is None or not event.before.team_id or not names:
        return []
    old = names[-1]
    if not 0 < len(old) <= 100 or old == fact.item:
        return []
    team = old.rpartition("-")[0] or None
    gone = ItemFact(id="", source=SOURCE, item=old, at=fact.at, deleted=True, project=team, team=team)
    return [identified(f"issue:{old}", gone)]


_KIND: Final = Decoder(_Kind)
_ISSUE_EVENT: Final = Decoder(_IssueEvent)
