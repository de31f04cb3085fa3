import pytest

from flow.facts import ItemFact
from tests.unit.flow.adapters.telling import ARRIVED, ignored, only, refused, told
from tests.unit.flow.adapters.tracker_payloads import clickup, clickup_item, clickup_status

AT = 1795340862039
MOVE = clickup_item("status", clickup_status("to do", "open"), clickup_status("in review"))


def test_a_move_is_told_at_its_own_time():
    assert only("clickup", clickup("taskStatusUpdated", MOVE)) == ItemFact(
        id="task:86cvyx:2800787326392370170",
        source="clickup",
        item="86cvyx",
        at=AT,
        status="in review",
        project="162641",
    )


def test_pitfall_one_change_is_sent_under_several_event_names_and_is_one_fact():
    names = ("taskCreated", "taskUpdated", "taskStatusUpdated")
    assert len({only("clickup", clickup(name, MOVE)).id for name in names}) == 1


def test_pitfall_a_creation_starts_from_no_status():
    before = {"status": None, "color": "#000", "type": "removed", "orderindex": -1}
    created = clickup(
        "taskCreated",
        clickup_item("status", before, clickup_status("to do", "open")),
        clickup_item("task_creation", id="28"),
    )
    assert only("clickup", created).status == "to do"


def test_a_creation_alone_is_where_the_item_begins():
    fact = only("clickup", clickup("taskCreated", clickup_item("task_creation")))
    assert (fact.status, fact.at) == (None, AT)


def test_pitfall_dates_are_milliseconds_in_text():
    assert only("clickup", clickup("taskStatusUpdated", MOVE | {"date": str(AT)})).at == AT
    assert "time" in refused("clickup", clickup("taskStatusUpdated", MOVE | {"date": "soon"})).message


def test_a_move_to_another_list_changes_the_project():
    item = clickup_item("section_moved", {"id": "162641", "name": "Old"}, {"id": "162999", "name": "New"})
    assert only("clickup", clickup("taskMoved", item)).project == "162999"


@pytest.mark.parametrize(
    ("name", "before", "after", "blocked"),
    [
        ("tag", None, [{"name": "Blocked"}], True),
        ("tag", [{"name": "blocked"}], [], False),
        ("tag_removed", None, [{"name": "blocked"}], False),
    ],
)
def test_the_tag_blocked_blocks(name, before, after, blocked):
    assert only("clickup", clickup("taskTagUpdated", clickup_item(name, before, after))).blocked is blocked


@pytest.mark.parametrize("after", [[{"name": "web"}], None, "blocked"])
def test_other_tags_say_nothing(after):
    assert "tag" in ignored("clickup", clickup("taskTagUpdated", clickup_item("tag", None, after)))


def test_pitfall_a_deletion_says_no_time_and_stands_at_its_arrival():
    body = {"event": "taskDeleted", "task_id": "86cvyx", "webhook_id": "7fa3"}
    fact = only("clickup", body)
    assert (fact.id, fact.deleted, fact.at) == ("task:86cvyx:deleted", True, ARRIVED)
    assert only("clickup", body, arrived=ARRIVED + 60_000).id == fact.id


@pytest.mark.parametrize("event", ["listUpdated", "folderCreated", "goalDeleted"])
def test_events_of_other_things_are_ignored(event):
    assert event in ignored("clickup", {"event": event, "list_id": "1", "history_items": []})


@pytest.mark.parametrize("field", ["due_date", "priority", "time_spent", "assignee_add"])
def test_other_changes_move_nothing(field):
    assert field in ignored("clickup", clickup("taskUpdated", clickup_item(field, "1", {"id": "2"})))


def test_several_changes_in_one_delivery_are_several_facts():
    second = MOVE | {"id": "28008", "after": clickup_status("done", "closed")}
    facts = told("clickup", clickup("taskUpdated", MOVE, second)).facts
    assert [fact.status for fact in facts] == ["in review", "done"]
