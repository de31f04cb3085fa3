import pytest

from flow.facts import ItemFact
from flow.instants import parse_instant
from tests.unit.flow.adapters.telling import ignored, only, refused, told
from tests.unit.flow.adapters.tracker_payloads import asana, asana_event, asana_parent

AT = parse_instant("2026-11-22T02:44:21.987Z")


@pytest.mark.parametrize("body", [{}, {"events": []}])
def test_pitfall_the_handshake_and_the_heartbeat_hold_no_events(body):
    assert "heartbeat" in ignored("asana", body)


def test_a_task_that_came_into_a_project_is_an_item_of_it():
    fact = only("asana", asana(asana_event("added", parent=asana_parent("project", "55"))))
    assert fact == ItemFact(id=fact.id, source="asana", item="119917", at=AT, project="55")
    assert fact.id.startswith("task:119917:")


def test_pitfall_no_section_is_named_so_its_gid_is_the_status():
    assert only("asana", asana(asana_event("added", parent=asana_parent("section", "771")))).status == "771"


@pytest.mark.parametrize("subtype", ["marked_complete", "marked_incomplete"])
def test_a_story_tells_that_its_task_was_completed(subtype):
    story = {"gid": "88", "resource_type": "story", "resource_subtype": subtype}
    fact = only("asana", asana(asana_event("added", resource=story, parent=asana_parent("task", "119917"))))
    assert (fact.item, fact.status) == ("119917", subtype)


@pytest.mark.parametrize(("action", "deleted"), [("deleted", True), ("undeleted", False)])
def test_a_task_may_be_deleted_and_come_back(action, deleted):
    assert only("asana", asana(asana_event(action))).deleted is deleted


def test_pitfall_a_change_does_not_say_to_what():
    reason = ignored("asana", asana(asana_event(change={"field": "completed", "action": "changed"})))
    assert "completed" in reason
    assert "API" in reason


def test_pitfall_a_section_change_is_told_by_a_story_without_the_section():
    story = {"gid": "88", "resource_type": "story", "resource_subtype": "section_changed"}
    event = asana_event("added", resource=story, parent=asana_parent("task"))
    assert "section_changed" in ignored("asana", asana(event))


@pytest.mark.parametrize(
    "event",
    [
        asana_event("removed", parent=asana_parent("project")),
        asana_event("added", kind="project"),
        asana_event("changed", kind="story", change={"field": "text"}),
    ],
)
def test_what_tells_of_no_task_is_ignored(event):
    assert ignored("asana", asana(event))


def test_pitfall_one_action_makes_several_events_and_a_batch_keeps_what_it_can_tell():
    added = asana_event("added", parent=asana_parent("section"))
    facts = told("asana", asana(asana_event(), added, asana_event("deleted"), added)).facts
    assert [(fact.status, fact.deleted) for fact in facts] == [("771", None), (None, True)]


def test_pitfall_events_have_no_id_so_their_content_names_them():
    one, other = asana_event("deleted"), asana_event("deleted", created_at="2026-11-22T02:44:21.988Z")
    assert only("asana", asana(one)).id == only("asana", asana(one)).id != only("asana", asana(other)).id


def test_an_event_without_a_time_is_not_understood():
    assert "when" in refused("asana", asana(asana_event("deleted", created_at=None))).message
