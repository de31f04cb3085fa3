"""Jira Cloud and Data Center: issues created, updated, flagged, moved to another project, deleted.

| webhook | fact of the item |
|---|---|
| `issue.key` | item (a key that changes deletes the item of the old key) |
| `timestamp` | at |
| `changelog.id` | seq |
| `changelog.items[field = status].toString`, else `issue.fields.status.name` | status |
| `changelog.items[field = Flagged].toString`: text blocks, nothing unblocks | blocked |
| `changelog.items[field = Story Points or Story point estimate].toString` | size |
| `issue.fields.project.key`, else the key's own beginning | project |
| `issue.fields.issuetype.name`, `.labels`, `.summary` | type, labels, title |
| `issue.self`, without its path | url: `…/browse/KEY` |
| `webhookEvent` = `jira:issue_deleted` | deleted |

Identity: `issue:KEY:history-ID` after the changelog's own id, `issue:KEY:created`, `issue:KEY:deleted`. Jira's REST API
gives the same changelog ids. What has neither (an update without a changelog) is named by its content.
Names of fields are compared without regard to case: created events spell `Status`, and Data Center gives no `fieldId`.
Jira may deliver late and in any order; every fact stands at the time that the webhook carries, not at its arrival.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Final

from msgspec import Meta, Struct, field
from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.reading import Name, address_of, decode, event_time, identified, json_of, labels_of, title_of
from flow.adapters.times import Moment
from flow.errors import Reason, Rejected
from flow.facts import ItemFact

SOURCE: Final = "jira"

_SEQUENCE: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?", re.ASCII)
_SIZES: Final = frozenset({"story points", "story point estimate"})
_COMMENTS: Final = frozenset({"issue_commented", "issue_comment_edited", "issue_comment_deleted"})

_Key = Annotated[str, Meta(min_length=1, max_length=200)]


class _Named(Struct, gc=False):
    name: Name


class _Project(Struct, gc=False):
    key: Name


class _Fields(Struct, gc=False):
    status: _Named | None = None
    issuetype: _Named | None = None
    project: _Project | None = None
    labels: list[str] | None = None
    summary: str | None = None
    updated: Moment = None


class _Issue(Struct, gc=False):
    key: _Key
    fields: _Fields = field(default_factory=_Fields)
    address: str | None = field(default=None, name="self")


class _Change(Struct, gc=False):
    name: str = field(default="", name="field")
    field_id: str | None = field(default=None, name="fieldId")
    before: str | None = field(default=None, name="fromString")
    after: str | None = field(default=None, name="toString")

    def of(self, name: str) -> bool:
        """Whether it is of Jira's own field of this name; a custom field may be called the same on Cloud."""
        return (self.field_id or self.name).casefold() == name


class _Changelog(Struct, gc=False):
    id: str | int | None = None
    items: list[_Change] = []


class _Transition(Struct, gc=False):
    status: Name = field(name="to_status")


class _Kind(Struct, gc=False):
    event: str | None = field(default=None, name="webhookEvent")
    what: str | None = field(default=None, name="issue_event_type_name")


class _IssueEvent(Struct, gc=False):
    issue: _Issue
    timestamp: Moment = None
    changelog: _Changelog | None = None


class _PostFunction(Struct, gc=False):
    issue: _Issue
    transition: _Transition
    timestamp: Moment = None


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one webhook of Jira. Raises Rejected (not_understood, malformed_json)."""
    text = json_of(delivery)
    kind = decode(_KIND, text, "a webhook of Jira")
    if kind.event is None:
        return _read_post_function(text)
    read = _READERS.get(kind.event)
    if read is None:
        return Translation([], f"{kind.event[:80]} events change no work item")
    if kind.what in _COMMENTS:
        return Translation([], "a comment changes no work item")
    return read(decode(_ISSUE_EVENT, text, f"a {kind.event} event of Jira"))


def _read_created(event: _IssueEvent) -> Translation:
    fact = _item_fact(event)
    fact.id = f"issue:{fact.item}:created"
    fact.seq = 0
    return Translation([fact])


def _read_deleted(event: _IssueEvent) -> Translation:
    fact = _item_fact(event)
    fact.id = f"issue:{fact.item}:deleted"
    fact.deleted = True
    return Translation([fact])


def _read_updated(event: _IssueEvent) -> Translation:
    fact = _item_fact(event)
    history = event.changelog.id if event.changelog else None
    if history is None or len(str(history)) > 30:
        return Translation([identified(f"issue:{fact.item}", fact)])
    fact.id = f"issue:{fact.item}:history-{history}"
    return Translation([*_left_behind(event, fact, history), fact])


def _left_behind(event: _IssueEvent, fact: ItemFact, history: str | int) -> list[ItemFact]:
    """The item under the key that it had before it moved to another project."""
    old = next((change.before for change in _changes(event) if change.of("key")), None)
    if not old or old == fact.item or len(old) > 200:
        return []
    gone = ItemFact(
        id=f"issue:{old}:history-{history}",
        source=SOURCE,
        item=old,
        at=fact.at,
        seq=fact.seq,
        deleted=True,
        project=_project_in(old),
    )
    return [gone]


def _item_fact(event: _IssueEvent) -> ItemFact:
    issue, fields = event.issue, event.issue.fields
    fact = ItemFact(
        id="",
        source=SOURCE,
        item=issue.key,
        at=event_time("the issue", event.timestamp, fields.updated),
        seq=_sequence(event.changelog),
        status=fields.status.name if fields.status else None,
        labels=None if fields.labels is None else labels_of(fields.labels),
        project=fields.project.key if fields.project else _project_in(issue.key),
        type=fields.issuetype.name if fields.issuetype else None,
        title=title_of(fields.summary),
        url=_address(issue),
    )
    for change in _changes(event):
        if change.of("status"):
            fact.status = change.after[:255] if change.after else fact.status
        elif change.name.casefold() == "flagged":
            fact.blocked = bool(change.after and change.after.strip())
        elif change.name.casefold() in _SIZES and _NUMBER.fullmatch(change.after or ""):
            fact.size = float(change.after or "")
    return fact


def _changes(event: _IssueEvent) -> list[_Change]:
    return event.changelog.items if event.changelog else []


def _sequence(changelog: _Changelog | None) -> int:
    text = str(changelog.id) if changelog else ""
    return int(text) if _SEQUENCE.fullmatch(text) else 0


def _project_in(key: str) -> str | None:
    return key.rpartition("-")[0] or None


def _address(issue: _Issue) -> str | None:
    site, rest, _ = (issue.address or "").partition("/rest/")
    return address_of(f"{site}/browse/{issue.key}") if rest else None


def _read_post_function(text: bytes) -> Translation:
    """The body of the old workflow post function, which names the transition instead of an event."""
    try:
        event = decode(_POST_FUNCTION, text, "a webhook of Jira")
    except Rejected as error:
        if error.reason is Reason.MALFORMED_JSON:
            raise
        raise Rejected(Reason.NOT_UNDERSTOOD, "not a webhook of Jira: it names no webhookEvent") from None
    fact = _item_fact(_IssueEvent(event.issue, event.timestamp))
    fact.status = event.transition.status
    return Translation([identified(f"issue:{fact.item}", fact)])


_KIND: Final = Decoder(_Kind)
_ISSUE_EVENT: Final = Decoder(_IssueEvent)
_POST_FUNCTION: Final = Decoder(_PostFunction)
_READERS: Final[Mapping[str, Callable[[_IssueEvent], Translation]]] = {
    "jira:issue_created": _read_created,
    "jira:issue_updated": _read_updated,
    "jira:issue_deleted": _read_deleted,
}
