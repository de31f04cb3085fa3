import pytest

from flow.facts import ItemFact
from flow.instants import parse_instant
from tests.unit.flow.adapters.telling import ignored, only, refused, told
from tests.unit.flow.adapters.tracker_payloads import jira, jira_change

AT = 1795340862039


def created(*changes):
    return jira("jira:issue_created", *changes)


def updated(*changes, **fields):
    return jira("jira:issue_updated", *changes, **fields)


def test_a_move_is_told_with_the_whole_issue():
    body = updated(jira_change("resolution", None, "Done"), jira_change("status", "To Do", "In Review"))
    assert only("jira", body) == ItemFact(
        id="issue:CHK-12:history-10227",
        source="jira",
        item="CHK-12",
        at=AT,
        seq=10227,
        status="In Review",
        labels=("mobile", "web"),
        project="CHK",
        type="Story",
        title="Pay by invoice",
        url="https://acme.example/browse/CHK-12",
    )


def test_pitfall_created_events_spell_status_with_a_capital_and_start_from_null():
    fact = only("jira", created(jira_change("Status", None, "To Do", fieldId="status")))
    assert (fact.id, fact.status, fact.seq) == ("issue:CHK-12:created", "To Do", 0)


def test_pitfall_a_created_event_without_a_changelog_starts_where_the_issue_stands():
    assert only("jira", created()).status == "In Progress"


def test_pitfall_data_center_gives_no_field_id():
    assert only("jira", updated(jira_change("Status", "Open", "Reopened"))).status == "Reopened"


def test_pitfall_a_custom_field_may_be_called_status_on_cloud():
    change = jira_change("Status", "red", "green", fieldId="customfield_10088")
    assert only("jira", updated(change)).status == "In Progress"


@pytest.mark.parametrize("reverse", [False, True])
def test_pitfall_one_update_holds_several_changes_in_any_order(reverse):
    changes = [jira_change("resolution", "Done", None), jira_change("status", "Done", "To Do")]
    assert only("jira", updated(*(changes[::-1] if reverse else changes))).status == "To Do"


def test_pitfall_an_update_without_a_changelog_is_a_statement_of_the_issue_and_named_by_its_content():
    first, again, other = only("jira", updated()), only("jira", updated()), only("jira", updated(summary="Another"))
    assert first.status == "In Progress"
    assert first.id == again.id != other.id


def test_pitfall_an_update_with_an_empty_changelog_keeps_the_changelogs_id():
    body = updated(jira_change("x", None, None))
    body["changelog"]["items"] = []
    assert only("jira", body).id == "issue:CHK-12:history-10227"


def test_pitfall_a_deletion_has_no_changelog():
    fact = only("jira", jira("jira:issue_deleted"))
    assert (fact.id, fact.deleted, fact.at) == ("issue:CHK-12:deleted", True, AT)


def test_pitfall_without_the_webhooks_time_the_issues_own_is_read_which_has_no_colon_in_its_zone():
    body = updated(jira_change("status", "To Do", "Done"))
    del body["timestamp"]
    assert only("jira", body).at == parse_instant("2026-11-23T03:14:22.002Z")


@pytest.mark.parametrize(("after", "blocked"), [("Impediment", True), ("", False), (None, False)])
def test_pitfall_blocked_is_the_custom_field_flagged(after, blocked):
    change = jira_change("Flagged", "Impediment" if not blocked else "", after, fieldId="customfield_10021")
    fact = only("jira", updated(change))
    assert (fact.blocked, fact.status) == (blocked, "In Progress")


def test_an_update_of_something_else_says_nothing_of_the_flag():
    assert only("jira", updated(jira_change("priority", "Low", "High"))).blocked is None


def test_story_points_are_the_size_once_they_are_set():
    assert only("jira", updated(jira_change("Story Points", None, "2.5"))).size == 2.5
    assert only("jira", updated(jira_change("Story point estimate", "2", "many"))).size is None


def test_pitfall_the_key_changes_when_the_issue_moves_to_another_project():
    body = updated(jira_change("project", "Orders", "Checkout"), jira_change("Key", "ORD-7", "CHK-12"))
    gone, arrived = told("jira", body).facts
    assert (gone.item, gone.project, gone.deleted, gone.id) == ("ORD-7", "ORD", True, "issue:ORD-7:history-10227")
    assert (arrived.item, arrived.project, arrived.deleted) == ("CHK-12", "CHK", None)
    assert gone.at == arrived.at


def test_pitfall_the_body_of_a_workflow_post_function_names_a_transition_and_no_event():
    body = {
        "transition": {"transitionName": "Start", "from_status": "To Do", "to_status": "In Review"},
        "issue": updated()["issue"],
        "timestamp": AT,
    }
    fact = only("jira", body)
    assert (fact.item, fact.status, fact.at) == ("CHK-12", "In Review", AT)


@pytest.mark.parametrize("body", [{}, {"accountId": "5b:robin", "username": "robin"}, {"transition": {}, "issue": {}}])
def test_pitfall_a_body_without_webhook_event_is_not_understood(body):
    assert "webhookEvent" in refused("jira", body).message


def test_pitfall_old_servers_send_no_issue_event_type_name():
    body = updated(jira_change("status", "To Do", "Done"))
    del body["issue_event_type_name"]
    assert only("jira", body).status == "Done"


@pytest.mark.parametrize("event", ["comment_created", "sprint_started", "jira:version_released", "worklog_updated"])
def test_events_of_other_things_are_ignored(event):
    assert event in ignored("jira", {"webhookEvent": event, "issue": {"key": "CHK-12"}})


def test_a_comment_that_comes_as_an_update_is_ignored():
    assert "comment" in ignored("jira", updated() | {"issue_event_type_name": "issue_commented"})


def test_moves_of_the_same_millisecond_stand_in_the_order_of_their_changelogs():
    first, second = (updated(jira_change("status", "A", "B")) for _ in range(2))
    second["changelog"]["id"] = 10228
    assert only("jira", first).seq < only("jira", second).seq


def test_an_issue_without_fields_still_has_its_key_and_project():
    body = jira("jira:issue_deleted")
    del body["issue"]["fields"]
    fact = only("jira", body)
    assert (fact.item, fact.project, fact.status, fact.labels) == ("CHK-12", "CHK", None, None)


def test_a_history_that_is_read_later_has_the_same_id_whatever_the_title_became():
    move = jira_change("status", "To Do", "Done")
    assert only("jira", updated(move)).id == only("jira", updated(move, summary="Renamed since")).id
