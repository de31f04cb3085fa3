"""GitHub's releases and boards; the rest is in test_github."""

import pytest

from flow.facts import DeploymentFact, ItemFact
from flow.instants import parse_instant
from tests.unit.flow.adapters.telling import ignored, only
from tests.unit.flow.adapters.tracker_payloads import SHA, github_field, github_project_item, github_release

BOARD = {"x-github-event": "projects_v2_item"}
RELEASE = {"x-github-event": "release"}
AT = parse_instant("2026-11-22T09:30:00Z")


class TestReleases:
    def test_a_published_release_is_a_deployment_to_the_environment_release(self):
        fact = only("github", github_release(), RELEASE)
        assert fact == DeploymentFact(
            id=fact.id,
            source="github",
            service="acme/shop",
            environment="release",
            deployment="v1.1",
            at=AT,
            state="succeeded",
            seq=1,
            items=("SHP-1", "SHP-2"),
        )

    def test_published_and_released_are_one_fact(self):
        assert only("github", github_release("released"), RELEASE) == only("github", github_release(), RELEASE)

    @pytest.mark.parametrize("action", ["published", "prereleased"])
    def test_a_prerelease_is_apart(self, action):
        assert only("github", github_release(action, prerelease=True), RELEASE).environment == "prerelease"

    def test_pitfall_the_target_is_often_a_branch_and_only_sometimes_a_commit(self):
        assert only("github", github_release(), RELEASE).commit is None
        assert only("github", github_release(target_commitish=SHA), RELEASE).commit == SHA

    @pytest.mark.parametrize("action", ["created", "edited", "deleted", "unpublished"])
    def test_other_actions_are_ignored(self, action):
        assert action in ignored("github", github_release(action), RELEASE)


class TestBoards:
    def test_a_move_that_names_its_column_is_told_of_the_issues_node_id(self):
        body = github_project_item("edited", github_field(to={"id": "2", "name": "Doing", "color": "RED"}))
        fact = only("github", body, BOARD)
        assert fact == ItemFact(id=fact.id, source="github", item="I_12", at=AT, status="Doing", project="PVT_shop")

    def test_pitfall_from_and_to_are_optional(self):
        reason = ignored("github", github_project_item("edited", github_field(None)), BOARD)
        assert "token" in reason

    def test_a_single_select_without_a_name_may_be_any_field(self):
        changes = {"field_value": {"field_type": "single_select", "to": {"id": "2", "name": "High"}}}
        assert "token" in ignored("github", github_project_item("edited", changes), BOARD)

    @pytest.mark.parametrize("action", ["created", "restored", "converted", "archived", "reordered"])
    def test_pitfall_a_card_that_was_dragged_may_come_as_reordered_and_say_no_column(self, action):
        changes = {"previous_projects_v2_item_node_id": {"from": "PVTI_2", "to": "PVTI_2"}}
        assert "token" in ignored("github", github_project_item(action, changes), BOARD)

    @pytest.mark.parametrize("changes", [None, {}, {"body": {"from": "a", "to": "b"}}])
    def test_pitfall_changes_may_be_absent_or_of_the_body(self, changes):
        assert "token" in ignored("github", github_project_item("edited", changes), BOARD)

    @pytest.mark.parametrize(
        "field", [github_field("Priority", {"name": "High"}), github_field("Due", "2026-12-01", "date")]
    )
    def test_pitfall_other_fields_are_no_column(self, field):
        assert "no column" in ignored("github", github_project_item("edited", field), BOARD)

    @pytest.mark.parametrize("to", [None, 3, "Doing", {"id": "2"}])
    def test_a_column_that_is_none_must_be_read(self, to):
        assert "token" in ignored("github", github_project_item("edited", github_field(to=to)), BOARD)

    def test_an_item_that_is_taken_off_its_board_is_deleted(self):
        assert only("github", github_project_item("deleted"), BOARD).deleted is True


def test_a_review_is_ignored_with_its_own_reason():
    assert "review" in ignored("github", {}, {"x-github-event": "pull_request_review"})
