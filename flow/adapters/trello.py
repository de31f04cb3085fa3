"""Trello: cards created, moved between lists and boards, blocked by a label, archived, deleted.

| action | fact of the item |
|---|---|
| `data.card.id` | item |
| `date` | at |
| `data.listAfter.name`, else `data.list.name` | status |
| `data.board.id`, of the action's own side when a card changes boards | project |
| `data.label.name`, else its colour (of old boards `data.text`) | type, if it is a word for one; `blocked` blocks |
| `data.card.name`, `.shortLink` | title, url |
| `data.card.closed` that changed; `deleteCard`, `moveCardFromBoard` | deleted: an archived card has left its board |

Identity: `action:ID` after the action, which Trello's API lists for a board with the same ids.
A move is an `updateCard` with `listBefore` and `listAfter`. Trello tells only the label that was added or removed, not
the others, so facts carry no labels. A position within the list is no move.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct, field
from msgspec.json import Decoder

from flow.adapters.delivery import Delivery, ItemNames, Translation
from flow.adapters.reading import Name, address_of, blocked_by, decode, event_time, json_of, title_of, type_among
from flow.adapters.times import Moment
from flow.facts import ItemFact

SOURCE: Final = "trello"

_APPEARS: Final = frozenset(
    {
        "createCard",
        "copyCard",
        "emailCard",
        "convertToCardFromCheckItem",
        "moveCardToBoard",
        "updateCard",
        "addLabelToCard",
        "removeLabelFromCard",
    }
)
_GOES: Final = frozenset({"deleteCard", "moveCardFromBoard"})

_Id = Annotated[str, Meta(min_length=1, max_length=100)]


class _Card(Struct, gc=False, rename="camel"):
    id: _Id
    name: str | None = None
    short_link: str | None = None
    closed: bool | None = None


class _List(Struct, gc=False):
    name: Name


class _Board(Struct, gc=False):
    id: _Id


class _Label(Struct, gc=False):
    name: str | None = None
    color: str | None = None


class _Data(Struct, gc=False, rename="camel"):
    card: _Card | None = None
    where: _List | None = field(default=None, name="list")
    list_after: _List | None = None
    board: _Board | None = None
    label: _Label | None = None
    text: str | None = None
    value: str | None = None
    old: dict[str, Any] | None = None


class _Action(Struct, gc=False):
    id: _Id
    type: str
    data: _Data
    date: Moment = None


class _Kind(Struct, gc=False):
    type: str


class _KindOf(Struct, gc=False):
    action: _Kind


class _Webhook(Struct, gc=False):
    action: _Action


def translate(delivery: Delivery, item_names: ItemNames) -> Translation:
    """The facts of one webhook of Trello. Raises Rejected (not_understood, malformed_json)."""
    text = json_of(delivery)
    kind = decode(_KIND, text, "a webhook of Trello").action.type
    if kind not in _APPEARS and kind not in _GOES:
        return Translation([], f"{kind[:80]} actions move no card")
    action = decode(_WEBHOOK, text, f"a {kind} action of Trello").action
    card = action.data.card
    if card is None:
        return Translation([], f"the {kind} action names no card")
    if kind == "updateCard" and action.data.old is not None and set(action.data.old) == {"pos"}:
        return Translation([], "a card that was moved within its list")
    return Translation([_item_fact(action, card)])


def _item_fact(action: _Action, card: _Card) -> ItemFact:
    data, going = action.data, action.type in _GOES
    label = _label(data) if action.type in {"addLabelToCard", "removeLabelFromCard"} else None
    adding = action.type == "addLabelToCard"
    where = data.list_after or data.where
    return ItemFact(
        id=f"action:{action.id}",
        source=SOURCE,
        item=card.id,
        at=event_time("the action of Trello", action.date),
        status=where.name if where else None,
        blocked=adding if label and blocked_by([label]) else None,
        deleted=True if going else _archived(data, card),
        project=data.board.id if data.board else None,
        type=type_among([label]) if label and adding else None,
        title=title_of(card.name),
        url=address_of(f"https://trello.com/c/{card.short_link}") if card.short_link else None,
    )


def _archived(data: _Data, card: _Card) -> bool | None:
    """Whether the card was just archived (True) or sent back to its board (False)."""
    return card.closed if data.old is not None and "closed" in data.old else None


def _label(data: _Data) -> str | None:
    label = data.label or _Label()
    return label.name or data.text or label.color or data.value


_KIND: Final = Decoder(_KindOf)
_WEBHOOK: Final = Decoder(_Webhook)
