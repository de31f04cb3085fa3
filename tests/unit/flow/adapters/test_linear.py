import pytest

from flow.facts import ItemFact
from flow.instants import parse_instant
from tests.unit.flow.adapters.telling import ignored, only, refused, told
from tests.unit.flow.adapters.tracker_payloads import linear

AT = parse_instant("2026-11-22T09:30:00.464Z")


def test_a_move_is_told_with_the_whole_issue():
    assert only("linear", linear("update", {"stateId": "2644"})) == ItemFact(
        id=f"issue:ENG-4:{AT}:state",
        source="linear",
        item="ENG-4",
        at=AT,
        status="In Review",
        blocked=False,
        labels=("Bug",),
        project="ENG",
        type="bug",
        team="ENG",
        title="Pay by invoice",
        url="https://linear.example/acme/issue/ENG-4/pay-by-invoice",
        size=5.0,
    )


def test_pitfall_a_move_may_go_backwards():
    body = linear("update", {"stateId": "2644"}, state={"id": "1", "name": "Todo", "type": "unstarted"})
    assert only("linear", body).status == "Todo"


def test_pitfall_without_a_former_state_nothing_moved_and_content_names_the_fact():
    edited = only("linear", linear("update", {"title": "Old"}))
    assert not edited.id.endswith(":state")
    assert edited.id != only("linear", linear("update", {"title": "Old"}, title="Newer")).id


def test_pitfall_newer_webhooks_carry_the_identifier():
    assert only("linear", linear(identifier="ENG-4", team=None, number=None)).item == "ENG-4"


def test_pitfall_without_identifier_and_team_an_issue_has_no_name():
    assert "identifier" in refused("linear", linear(team=None)).message


def test_a_new_issue_stands_at_its_own_beginning():
    fact = only("linear", linear("create"))
    assert (fact.id, fact.at) == ("issue:ENG-4:created", parse_instant("2026-11-20T22:39:11.986Z"))


def test_pitfall_a_removal_carries_the_last_state():
    fact = only("linear", linear("remove"))
    assert (fact.deleted, fact.status, fact.at) == (True, "In Review", AT)


def test_pitfall_there_is_no_blocked_flag_but_a_label_may_say_so():
    assert only("linear", linear(labels=[{"name": "Blocked"}])).blocked is True
    assert only("linear", linear(labels=[], labelIds=[])).blocked is False


def test_labels_that_are_only_ids_say_nothing():
    fact = only("linear", linear(labels=None, labelIds=["l1"]))
    assert (fact.labels, fact.blocked) == (None, None)
    assert only("linear", linear(labels=None, labelIds=[])).labels == ()


def test_an_issue_that_moves_to_another_team_leaves_its_old_name():
    body = linear("update", {"teamId": "t1", "stateId": "s1"}, previousIdentifiers=["WEB-2", "OPS-9"])
    gone, arrived = told("linear", body).facts
    assert (gone.item, gone.project, gone.team, gone.deleted) == ("OPS-9", "OPS", "OPS", True)
    assert arrived.item == "ENG-4"


def test_former_names_alone_delete_nothing():
    assert len(told("linear", linear("update", {"title": "Old"}, previousIdentifiers=["OPS-9"])).facts) == 1


@pytest.mark.parametrize("kind", ["Comment", "Project", "Cycle", "IssueLabel", "InventedNextYear"])
def test_other_things_are_ignored(kind):
    assert kind in ignored("linear", {"type": kind, "action": "create", "data": {"id": 1}})


def test_pitfall_a_retry_hours_later_is_the_same_fact():
    retry = linear("update", {"stateId": "2644"}) | {"webhookTimestamp": 1795362530330}
    assert only("linear", retry) == only("linear", linear("update", {"stateId": "2644"}))
