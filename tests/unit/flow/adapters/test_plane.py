import pytest

from flow.facts import ItemFact
from flow.instants import parse_instant
from tests.unit.flow.adapters.telling import ARRIVED, ignored, only, refused
from tests.unit.flow.adapters.tracker_payloads import plane, plane_v2


def test_a_move_of_v1_is_told_with_its_names():
    fact = only("plane", plane())
    assert fact == ItemFact(
        id=fact.id,
        source="plane",
        item="0c5e-12",
        at=parse_instant("2026-11-22T09:30:00.123Z"),
        status="In Review",
        blocked=False,
        labels=("bug",),
        project="f00d",
        type="bug",
        title="Pay by invoice",
    )


def test_pitfall_an_older_change_is_told_after_the_item_has_moved_on():
    assert only("plane", plane(new="In Progress")).status == "In Progress"


def test_pitfall_one_delivery_a_changed_field_and_only_the_state_is_a_move():
    assert only("plane", plane(field="priority", new="high")).status == "In Review"


@pytest.mark.parametrize("action", ["created", "create"])
def test_pitfall_actions_are_spelt_in_two_ways(action):
    assert only("plane", plane(action, None, None)).at == parse_instant("2026-11-20T08:00:00.123Z")


@pytest.mark.parametrize("action", ["deleted", "delete"])
def test_pitfall_a_deletion_of_v1_has_only_the_id(action):
    body = plane(action) | {"data": {"id": "0c5e-12"}}
    fact = only("plane", body)
    assert (fact.id, fact.deleted, fact.at) == ("issue:0c5e-12:deleted", True, ARRIVED)
    assert only("plane", body, arrived=ARRIVED + 600_000).id == fact.id


def test_pitfall_v2_names_the_state_by_its_id_only():
    fact = only("plane", plane_v2())
    assert (fact.item, fact.status, fact.project, fact.labels) == ("0c5e-12", "5a5a", "f00d", None)
    assert fact.at == parse_instant("2026-11-22T09:30:00.249304Z")


def test_a_state_that_v2_does_name_is_told_by_name():
    assert only("plane", plane_v2(state={"id": "5a5a", "name": "In Review"})).status == "In Review"


def test_pitfall_the_documented_sample_of_v2_has_none_as_text_and_an_odd_event_name():
    body = plane_v2(
        "WebhookScope.ScopeChoices.WORK_ITEM_UPDATED", state_id="None", created_at="None", project_id="None"
    )
    fact = only("plane", body)
    assert (fact.status, fact.project) == (None, None)
    created = only("plane", plane_v2("workitem.created", created_at="None"))
    assert created.at == parse_instant("2026-11-22T09:30:00.249304Z")


def test_pitfall_a_new_attempt_has_another_delivery_id_and_is_the_same_fact():
    assert only("plane", plane_v2() | {"delivery_id": "d-2"}) == only("plane", plane_v2())


@pytest.mark.parametrize(
    ("event", "deleted"), [("workitem.deleted", True), ("workitem.archived", True), ("workitem.restored", None)]
)
def test_v2_says_in_its_name_what_happened(event, deleted):
    assert only("plane", plane_v2(event)).deleted is deleted


def test_pitfall_a_deletion_of_v2_has_empty_data_and_the_item_beside_it():
    body = plane_v2("workitem.deleted") | {"data": {}, "previous_attributes": {"id": "0c5e-12", "project_id": "f00d"}}
    fact = only("plane", body)
    assert (fact.item, fact.project, fact.deleted, fact.at) == ("0c5e-12", "f00d", True, ARRIVED)


@pytest.mark.parametrize(("new", "deleted"), [("archive", True), ("restore", False), ("whatever", None)])
def test_v1_archives_as_a_change_of_a_field(new, deleted):
    assert only("plane", plane(field="archived_at", new=new)).deleted is deleted


def test_a_body_without_its_event_goes_by_the_header():
    body = plane()
    del body["event"]
    assert only("plane", body, {"x-plane-event": "issue"}).status == "In Review"
    assert "unnamed" in ignored("plane", body)


def test_an_old_v1_names_the_state_beside_its_id():
    body = plane(field="priority", new="high", state="5a5a", state_detail={"name": "In Review"})
    assert only("plane", body).status == "In Review"


def test_an_item_without_any_id_is_not_understood():
    assert "id" in refused("plane", plane() | {"data": {"name": "Pay"}}).message


@pytest.mark.parametrize(
    "event",
    [
        "project",
        "cycle",
        "module_issue",
        "issue_comment",
        "workitem.comment.created",
        "workitem.link.deleted",
        "cycle.updated",
    ],
)
def test_events_of_other_things_are_ignored(event):
    assert ignored("plane", plane() | {"event": event})


def test_labels_by_id_say_nothing_and_none_at_all_says_so():
    assert only("plane", plane(labels=["11", "12"])).labels is None
    assert only("plane", plane(labels=[])).labels == ()
    assert only("plane", plane(labels=[{"id": "1", "name": "Blocked"}])).blocked is True
