import pytest

from flow.facts import ChangeFact, DeploymentFact, ItemFact
from flow.instants import parse_instant
from tests.unit.flow.adapters.telling import ignored, only, refused, told
from tests.unit.flow.adapters.tracker_payloads import (
    ROCKET,
    SHA,
    azure,
    azure_build,
    azure_created,
    azure_fields,
    azure_pull,
    azure_push,
    azure_release,
    azure_stage,
    azure_updated,
)

MADE = parse_instant("2026-11-22T09:30:06.594Z")


class TestWorkItems:
    def test_a_new_work_item_is_told_whole(self):
        assert only("azure-devops", azure_created()) == ItemFact(
            id="workitem:AB#12:rev-1",
            source="azure-devops",
            item="AB#12",
            at=parse_instant("2026-11-22T09:30:00.123Z"),
            seq=1,
            status="New",
            blocked=False,
            labels=("column: Ready", "mobile", "web"),
            project="Shop",
            type="User Story",
            team="Shop\\Payments",
            title="Pay by invoice",
            url="https://azure.example/acme/Shop/_workitems/edit/12",
            value=8.0,
            size=3.0,
        )

    def test_pitfall_the_resource_id_of_an_update_is_the_number_of_the_update(self):
        fact = only("azure-devops", azure_updated())
        assert (fact.item, fact.id, fact.seq) == ("AB#12", "workitem:AB#12:rev-4", 4)

    def test_pitfall_work_item_id_is_0_in_the_documented_sample(self):
        assert only("azure-devops", azure_updated(0)).item == "AB#12"

    def test_pitfall_what_changed_wins_over_the_revision_which_may_show_the_state_before(self):
        fact = only("azure-devops", azure_updated())
        assert (fact.status, fact.type, fact.project) == ("Active", "User Story", "Shop")

    def test_pitfall_a_move_stands_at_the_changed_date_not_at_the_events(self):
        assert only("azure-devops", azure_updated()).at == parse_instant("2026-11-22T09:30:00Z")

    def test_pitfall_seven_digits_of_a_second_are_read_and_revised_date_never_is(self):
        body = azure_updated(**{"System.ChangedDate": {"oldValue": "2026-11-20T17:42:44.663Z"}})
        assert only("azure-devops", body).at == MADE

    def test_pitfall_an_update_that_moves_nothing_tells_the_state_of_the_revision(self):
        body = azure_updated(**{"System.State": None, "System.Tags": {"oldValue": "web", "newValue": "web; Blocked"}})
        fact = only("azure-devops", body)
        assert (fact.status, fact.blocked, fact.labels) == ("New", True, ("Blocked", "column: Ready", "web"))

    def test_an_update_without_its_revision_says_nothing_of_what_did_not_change(self):
        body = azure_updated()
        del body["resource"]["revision"]
        fact = only("azure-devops", body)
        assert (fact.status, fact.labels, fact.blocked, fact.type) == ("Active", None, None, None)
        body["resource"]["fields"]["System.Tags"] = {"newValue": "blocked"}
        assert (only("azure-devops", body).labels, only("azure-devops", body).blocked) == (("blocked",), True)

    def test_a_value_that_was_removed_is_gone(self):
        body = azure_updated(**{"System.Tags": {"oldValue": "web"}})
        assert only("azure-devops", body).labels == ("column: Ready",)

    @pytest.mark.parametrize(("kind", "deleted"), [("workitem.deleted", True), ("workitem.restored", False)])
    def test_pitfall_deleted_and_restored_have_flat_fields_and_the_time_of_an_earlier_change(self, kind, deleted):
        fact = only("azure-devops", azure_created(kind))
        assert (fact.item, fact.deleted, fact.status, fact.at) == ("AB#12", deleted, "New", MADE)

    def test_going_twice_is_two_facts_though_no_revision_was_made(self):
        again = azure_created("workitem.deleted") | {"createdDate": "2026-11-23T09:30:06Z"}
        assert only("azure-devops", azure_created("workitem.deleted")).id != only("azure-devops", again).id

    def test_blocked_is_a_field_of_some_processes(self):
        assert only("azure-devops", azure_created(**{"Microsoft.VSTS.CMMI.Blocked": "Yes"})).blocked is True

    def test_the_boards_own_column_comes_before_that_of_a_team(self):
        labels = only("azure-devops", azure_created(**{"System.BoardColumn": "Doing"})).labels
        assert "column: Doing" in labels
        assert "column: Ready" not in labels

    @pytest.mark.parametrize("resource", [None, {}, {"id": 12, "url": "https://azure.example/12"}])
    def test_pitfall_a_subscription_may_leave_out_the_details(self, resource):
        assert "Resource details to send" in ignored("azure-devops", azure("workitem.updated", resource))

    def test_without_any_id_it_is_not_understood(self):
        body = azure("workitem.created", {"rev": 1, "fields": azure_fields()})
        assert "id" in refused("azure-devops", body).message

    def test_amounts_that_are_none_are_left_out(self):
        odd = {"Microsoft.VSTS.Common.BusinessValue": True, "Microsoft.VSTS.Scheduling.StoryPoints": "many"}
        fact = only("azure-devops", azure_created(**odd))
        assert (fact.value, fact.size) == (None, None)

    @pytest.mark.parametrize("kind", ["workitem.commented", "message.posted", "ms.vss-release.release-created-event"])
    def test_events_of_other_things_are_ignored(self, kind):
        assert kind in ignored("azure-devops", azure(kind, {"id": 1}))


class TestPullRequests:
    def test_an_opened_one_names_its_items_by_azures_mentions_and_by_keys(self):
        body = azure_pull(description="Brings AB#13 and SHP-3, see !9 and page#4", workItemRefs=[{"id": "14"}])
        fact = only("azure-devops", body)
        assert fact == ChangeFact(
            id=fact.id,
            source="azure-devops",
            service="Shop/web",
            change="pr-7",
            at=parse_instant("2026-11-21T08:00:00.589889Z"),
            state="opened",
            items=("AB#14", "SHP-4", "SHP-3", "AB#12", "AB#13"),
        )

    @pytest.mark.parametrize("kind", ["git.pullrequest.updated", "git.pullrequest.merged"])
    def test_a_completed_one_is_merged_once_whichever_event_says_so(self, kind):
        fact = only("azure-devops", azure_pull(kind, status="completed", closedDate="2026-11-22T09:30:00.36Z"))
        other = azure_pull("git.pullrequest.updated", status="completed", closedDate="2026-11-22T09:30:00.36Z")
        assert (fact.state, fact.at, fact.commit) == ("merged", parse_instant("2026-11-22T09:30:00.360Z"), SHA)
        assert fact == only("azure-devops", other)

    def test_pitfall_a_merge_that_was_only_tried_merges_nothing(self):
        assert "active" in ignored("azure-devops", azure_pull("git.pullrequest.merged"))

    def test_an_abandoned_one_is_abandoned(self):
        fact = only("azure-devops", azure_pull("git.pullrequest.updated", status="abandoned"))
        assert (fact.state, fact.commit, fact.at) == ("abandoned", None, MADE)


class TestPushes:
    def test_commits_that_reach_the_default_branch_are_merged_changes(self):
        fact = only("azure-devops", azure_push())
        assert (fact.change, fact.service, fact.state, fact.commit) == (f"commit-{SHA}", "Shop/web", "merged", SHA)
        assert fact.at == parse_instant("2026-11-22T09:30:00.065511Z")
        assert fact.committed_at == parse_instant("2026-11-21T10:01:00Z")
        assert fact.items == ("SHP-1", "AB#12")

    def test_other_branches_are_ignored(self):
        assert "default branch" in ignored("azure-devops", azure_push("refs/heads/topic"))


class TestDeployments:
    def test_a_completed_stage_of_a_release_is_a_deployment(self):
        fact = only("azure-devops", azure_release())
        assert fact == DeploymentFact(
            id=fact.id,
            source="azure-devops",
            service="Shop/web",
            environment="production",
            deployment="release-31-5",
            at=MADE,
            state="succeeded",
            seq=1,
        )

    def test_pitfall_the_release_id_is_0_in_the_documented_sample_and_its_status_is_queued(self):
        started = only("azure-devops", azure_release("started", "queued"))
        assert (started.state, started.deployment) == ("started", "release-31-5")

    @pytest.mark.parametrize(("status", "state"), [("rejected", "failed"), ("partiallySucceeded", "failed")])
    def test_other_outcomes_failed(self, status, state):
        assert only("azure-devops", azure_release("completed", status)).state == state

    def test_a_cancelled_one_is_no_outcome(self):
        assert "canceled" in ignored("azure-devops", azure_release("completed", "canceled"))

    def test_the_attempts_own_times_come_first(self):
        body = azure_release(deployment={"startedOn": "2026-11-22T09:20:00Z", "completedOn": "2026-11-22T09:29:00Z"})
        assert only("azure-devops", body).at == parse_instant("2026-11-22T09:29:00Z")

    def test_a_stage_of_a_yaml_pipeline_called_deploy_is_a_deployment_of_its_repository(self):
        fact = only("azure-devops", azure_stage())
        assert (fact.service, fact.environment, fact.deployment) == ("Shop/web", "production", "run-31-prod")
        assert (fact.state, fact.commit, fact.items) == ("succeeded", SHA, ("SHP-2",))

    def test_a_running_stage_has_started(self):
        assert only("azure-devops", azure_stage("running", None)).state == "started"

    @pytest.mark.parametrize(
        ("stage", "reason"),
        [
            (azure_stage(name="Build"), "Deploy to"),
            (azure_stage("waiting", None), "waiting"),
            (azure_stage("completed", "skipped"), "skipped"),
        ],
    )
    def test_other_stages_are_ignored(self, stage, reason):
        assert reason in ignored("azure-devops", stage)

    @pytest.mark.parametrize(
        ("address", "service"),
        [
            ("https://acme@azure.example/acme/Shop/_git/web", "Shop/web"),
            ("https://azure.example/_git/web", "web/web"),
            ("https://code.example/acme/web.git", "acme/web"),
        ],
    )
    def test_a_repository_is_named_like_in_its_pull_requests(self, address, service):
        body = azure_stage()
        body["resource"]["repositories"][0]["url"] = address
        assert only("azure-devops", body).service == service

    def test_a_build_called_deploy_is_a_deployment(self):
        fact = only("azure-devops", azure_build())
        assert (fact.service, fact.environment, fact.deployment) == ("Shop/web", "staging", "build-27")
        assert (fact.state, fact.commit, fact.items) == ("succeeded", SHA, ("SHP-5",))
        assert fact.at == parse_instant("2026-11-22T09:29:10.69Z")

    def test_an_old_build_says_its_commit_behind_its_branch_and_its_result_as_status(self):
        old = azure_build(
            result=None, status="failed", sourceVersion=None, sourceGetVersion=f"LG:refs/heads/main:{ROCKET}"
        )
        fact = only("azure-devops", old)
        assert (fact.state, fact.commit) == ("failed", ROCKET)

    def test_other_builds_are_ignored(self):
        assert "Deploy to" in ignored("azure-devops", azure_build("web-ci"))


def test_two_subscriptions_to_one_event_tell_one_fact():
    first, second = azure_updated(), azure_updated() | {"subscriptionId": "other", "id": "other", "notificationId": 6}
    assert told("azure-devops", first) == told("azure-devops", second)
