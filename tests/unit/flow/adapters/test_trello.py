import pytest

from flow.facts import ItemFact
from flow.instants import parse_instant
from tests.unit.flow.adapters.telling import ignored, only
from tests.unit.flow.adapters.tracker_payloads import trello, trello_move

AT = parse_instant("2026-11-22T09:30:00.770Z")


def test_a_move_is_an_update_with_the_list_before_and_after():
    assert only("trello", trello_move()) == ItemFact(
        id="action:572a3733",
        source="trello",
        item="ca4d",
        at=AT,
        status="Doing",
        project="b0a4d",
        title="Pay by invoice",
        url="https://trello.com/c/r33y",
    )


def test_pitfall_an_update_without_lists_before_and_after_is_no_move():
    fact = only("trello", trello(list={"name": "Doing", "id": "l2"}, old={"name": "Pay"}))
    assert (fact.status, fact.deleted) == ("Doing", None)


def test_pitfall_a_position_in_the_list_is_ignored():
    assert "within its list" in ignored("trello", trello(list={"name": "Doing", "id": "l2"}, old={"pos": 65535}))


@pytest.mark.parametrize("kind", ["createCard", "copyCard", "convertToCardFromCheckItem", "moveCardToBoard"])
def test_a_card_that_appears_stands_in_its_list(kind):
    assert only("trello", trello(kind, list={"name": "To Do", "id": "l1"})).status == "To Do"


@pytest.mark.parametrize(("closed", "deleted"), [(True, True), (False, False)])
def test_pitfall_archiving_is_a_change_of_closed(closed, deleted):
    card = {"id": "ca4d", "name": "Pay", "shortLink": "r33y", "closed": closed}
    body = trello(card=card, list={"name": "Doing", "id": "l2"}, old={"closed": not closed})
    assert only("trello", body).deleted is deleted


def test_an_archived_card_that_is_renamed_is_not_archived_again():
    body = trello(card={"id": "ca4d", "name": "Pay", "closed": True}, old={"name": "P"})
    assert only("trello", body).deleted is None


@pytest.mark.parametrize("kind", ["deleteCard", "moveCardFromBoard"])
def test_a_card_that_goes_is_deleted_even_when_nothing_but_its_id_is_told(kind):
    fact = only("trello", trello(kind, card={"id": "ca4d", "idShort": 32}))
    assert (fact.deleted, fact.title, fact.url) == (True, None, None)


@pytest.mark.parametrize(("kind", "blocked"), [("addLabelToCard", True), ("removeLabelFromCard", False)])
def test_pitfall_labels_are_actions_of_their_own(kind, blocked):
    fact = only("trello", trello(kind, label={"name": "Blocked", "color": "red"}))
    assert (fact.blocked, fact.labels, fact.status) == (blocked, None, None)


def test_a_label_that_is_a_type_sets_the_type():
    assert only("trello", trello("addLabelToCard", label={"name": "Bug", "color": "red"})).type == "bug"
    assert only("trello", trello("removeLabelFromCard", label={"name": "Bug"})).type is None


def test_old_boards_tell_a_labels_name_beside_it():
    assert only("trello", trello("addLabelToCard", label={"color": "red"}, text="blocked", value="red")).blocked is True


@pytest.mark.parametrize("kind", ["createList", "commentCard", "updateCheckItemStateOnCard", "inventedNextYear"])
def test_other_actions_are_ignored(kind):
    assert kind in ignored("trello", trello(kind))


def test_an_action_is_one_fact_whichever_webhook_brings_it():
    other = trello_move() | {"model": {"id": "another webhook's model"}}
    assert only("trello", other) == only("trello", trello_move())
