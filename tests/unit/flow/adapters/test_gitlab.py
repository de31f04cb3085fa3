import pytest

from flow.facts import ChangeFact, DeploymentFact, IncidentFact, ItemFact
from flow.instants import parse_instant
from tests.unit.flow.adapters.telling import ARRIVED, ignored, only, refused, told
from tests.unit.flow.adapters.tracker_payloads import (
    GITLAB_PROJECT,
    ROCKET,
    SHA,
    gitlab_deployment,
    gitlab_issue,
    gitlab_job,
    gitlab_labels,
    gitlab_merge_request,
    gitlab_pipeline,
    gitlab_push,
    gitlab_release,
)

UPDATED = parse_instant("2026-11-22T09:30:00Z")


def relabelled(*titles, **more):
    return {"labels": {"previous": gitlab_labels("workflow::todo"), "current": gitlab_labels(*titles)}, **more}


def at(previous, current):
    return {"previous": previous, "current": current}


class TestIssues:
    def test_an_issue_is_told_whole(self):
        fact = only("gitlab", gitlab_issue())
        assert fact == ItemFact(
            id=fact.id,
            source="gitlab",
            item="acme/shop#12",
            at=UPDATED,
            seq=1,
            status="opened",
            blocked=False,
            labels=("bug", "workflow::doing"),
            project="acme/shop",
            type="bug",
            title="Pay by invoice",
            url="https://gitlab.example/acme/shop/-/issues/12",
            size=3.0,
        )

    def test_pitfall_boards_are_labels_and_the_change_holds_those_of_that_moment(self):
        changes = relabelled("workflow::review", updated_at=at(None, "2026-11-22 09:31:00 UTC"))
        fact = only("gitlab", gitlab_issue(changes=changes))
        assert (fact.labels, fact.at) == (("workflow::review",), parse_instant("2026-11-22T09:31:00Z"))

    def test_pitfall_a_label_change_that_touches_no_time_stands_at_its_arrival(self):
        fact = only("gitlab", gitlab_issue(changes=relabelled("workflow::review")))
        assert fact.at == ARRIVED != UPDATED

    @pytest.mark.parametrize("header", ["x-gitlab-event-uuid", "idempotency-key", "webhook-id"])
    def test_such_a_change_is_one_fact_however_late_it_is_sent_again(self, header):
        body = gitlab_issue(changes=relabelled("workflow::review"))
        first, again = (only("gitlab", body, {header: "e-1"}, arrived=ARRIVED + wait) for wait in (0, 60_000))
        other = only("gitlab", body, {header: "e-2"})
        assert first.id == again.id != other.id

    def test_pitfall_two_hooks_of_one_event_share_its_uuid_and_tell_one_fact(self):
        body = gitlab_issue(changes=relabelled("workflow::review"))
        ids = {
            only(
                "gitlab", body, {"x-gitlab-event-uuid": "e-1", "idempotency-key": key, "x-gitlab-webhook-uuid": key}
            ).id
            for key in ("hook-a", "hook-b")
        }
        assert len(ids) == 1

    def test_without_such_a_header_the_body_names_it(self):
        body = gitlab_issue(changes=relabelled("workflow::review"))
        assert only("gitlab", body).id == only("gitlab", body, arrived=ARRIVED + 1).id

    @pytest.mark.parametrize("label", ["Blocked", "workflow::blocked"])
    def test_a_label_blocks_also_as_part_of_a_scope(self, label):
        assert only("gitlab", gitlab_issue() | {"labels": gitlab_labels(label)}).blocked is True

    @pytest.mark.parametrize(
        ("action", "moment"),
        [("open", "2026-11-20T08:00:00Z"), ("close", "2026-11-22T09:29:58Z"), ("reopen", "2026-11-22T09:30:00Z")],
    )
    def test_an_event_stands_at_its_own_time(self, action, moment):
        body = gitlab_issue(action, closed_at="2026-11-22 09:29:58 UTC")
        assert only("gitlab", body).at == parse_instant(moment)

    def test_pitfall_an_old_server_closes_without_saying_when_and_without_labels(self):
        body = gitlab_issue("close", state="closed")
        del body["labels"], body["changes"]
        fact = only("gitlab", body)
        assert (fact.status, fact.at, fact.labels, fact.blocked) == ("closed", UPDATED, None, None)

    def test_pitfall_a_test_from_gitlabs_own_page_has_no_action(self):
        assert only("gitlab", gitlab_issue(None)).status == "opened"

    @pytest.mark.parametrize("changes", [{}, None, {"weight": {"previous": 1, "current": 2}}])
    def test_pitfall_changes_may_be_empty_or_missing(self, changes):
        assert only("gitlab", gitlab_issue() | {"changes": changes}).at == UPDATED

    def test_pitfall_confidential_issues_and_work_items_are_read_alike(self):
        confidential = gitlab_issue() | {"event_type": "confidential_issue"}
        item = gitlab_issue(type="Task") | {"object_kind": "work_item", "labels": []}
        assert only("gitlab", confidential, {"x-gitlab-event": "Confidential Issue Hook"}).item == "acme/shop#12"
        assert only("gitlab", item).type == "Task"

    @pytest.mark.parametrize("kind", ["epics", "work_items"])
    def test_an_epic_belongs_to_a_group_and_is_named_as_gitlab_writes_it(self, kind):
        body = gitlab_issue(type="Epic", url=f"https://gitlab.example/groups/acme/web/-/{kind}/12")
        del body["project"]
        fact = only("gitlab", body | {"object_kind": "work_item", "labels": []})
        assert (fact.item, fact.project, fact.type) == ("acme/web&12", "acme/web", "Epic")

    def test_a_work_item_that_names_neither_project_nor_group_is_ignored(self):
        assert "group" in ignored("gitlab", gitlab_issue(url=None) | {"project": None})

    def test_an_issue_that_was_closed_because_it_moved_is_gone_from_here(self):
        assert only("gitlab", gitlab_issue("close", moved_to_id=44)).deleted is True
        assert only("gitlab", gitlab_issue("update", moved_to_id=44)).deleted is None

    def test_events_of_one_second_keep_their_order(self):
        order = [only("gitlab", gitlab_issue(action)).seq for action in ("open", "update", "close")]
        assert order == sorted(set(order))

    @pytest.mark.parametrize(("action", "state"), [("open", "opened"), ("close", "resolved")])
    def test_an_incident_is_an_item_and_an_incident(self, action, state):
        item, incident = told("gitlab", gitlab_issue(action, type="Incident")).facts
        assert isinstance(item, ItemFact)
        assert incident == IncidentFact(
            id=incident.id,
            source="gitlab",
            service="acme/shop",
            environment="production",
            incident="issue-12",
            at=item.at,
            state=state,
        )


class TestMergeRequests:
    def test_an_opened_one_names_the_issues_that_it_closes_and_the_keys_in_its_title_and_branch(self):
        fact = only("gitlab", gitlab_merge_request())
        assert fact == ChangeFact(
            id=fact.id,
            source="gitlab",
            service="acme/shop",
            change="mr-7",
            at=parse_instant("2026-11-21T08:00:00Z"),
            state="opened",
            items=("SHP-1", "SHP-2", "acme/shop#12", "acme/shop#13", "acme/till#4"),
        )

    @pytest.mark.parametrize(
        ("text", "items"),
        [
            ("Related to #9, see #10", ()),
            ("fixes: #9 and #10", ("acme/shop#9", "acme/shop#10")),
            ("Implements https://gitlab.example/acme/web/till/-/issues/4", ("acme/web/till#4",)),
            ("Closing issues #9", ("acme/shop#9",)),
            ("resolves SHP-7", ("SHP-7",)),
            ("unfixes #9", ()),
        ],
    )
    def test_closing_words_are_those_of_gitlab(self, text, items):
        body = gitlab_merge_request(title="Pay", source_branch="pay", description=text)
        assert only("gitlab", body).items == items

    def test_a_merged_one_has_its_commit_and_when_its_last_commit_was_made(self):
        fact = only("gitlab", gitlab_merge_request("merge", merge_commit_sha=SHA))
        assert (fact.state, fact.at, fact.commit, fact.seq) == ("merged", UPDATED, SHA, 1)
        assert fact.committed_at == parse_instant("2026-11-21T19:31:34Z")

    def test_a_fast_forward_has_no_commit_of_its_own(self):
        assert only("gitlab", gitlab_merge_request("merge")).commit == ROCKET

    @pytest.mark.parametrize(("action", "state"), [("close", "abandoned"), ("reopen", "opened")])
    def test_it_may_be_closed_and_reopened(self, action, state):
        fact = only("gitlab", gitlab_merge_request(action))
        assert (fact.state, fact.at, fact.commit) == (state, UPDATED, None)

    def test_a_draft_that_is_ready_is_opened_then(self):
        ready = {"draft": {"previous": True, "current": False}}
        assert only("gitlab", gitlab_merge_request("update", ready)).state == "opened"
        assert "update" in ignored("gitlab", gitlab_merge_request("update", {"draft": {"current": True}}))

    @pytest.mark.parametrize("action", ["approved", "unapproved", "update", None])
    def test_pitfall_other_actions_and_tests_end_nothing(self, action):
        assert ignored("gitlab", gitlab_merge_request(action))


class TestPushes:
    def test_commits_on_the_default_branch_are_merged_changes_at_the_time_of_the_newest(self):
        first, merge = told("gitlab", gitlab_push()).facts
        assert (first.change, first.at, first.committed_at, first.items) == (
            f"commit-{SHA}",
            UPDATED,
            parse_instant("2026-11-21T08:00:00Z"),
            ("SHP-1",),
        )
        assert (merge.commit, merge.items) == (ROCKET, ("acme/shop#12",))

    @pytest.mark.parametrize(
        ("push", "reason"),
        [
            (gitlab_push("refs/heads/topic"), "default branch"),
            (gitlab_push(commits=[]), "without commits"),
            (gitlab_push(project=GITLAB_PROJECT | {"default_branch": None}), "default branch"),
        ],
    )
    def test_other_pushes_are_ignored(self, push, reason):
        assert reason in ignored("gitlab", push)


class TestDeployments:
    def test_a_job_with_an_environment_is_a_deployment(self):
        fact = only("gitlab", gitlab_job())
        assert fact == DeploymentFact(
            id=fact.id,
            source="gitlab",
            service="acme/shop",
            environment="production",
            deployment="job-3580",
            at=parse_instant("2026-11-22T09:05:00Z"),
            state="succeeded",
            seq=1,
            commit=SHA,
            items=("SHP-3", "SHP-4"),
        )

    def test_pitfall_job_pipeline_and_deployment_hooks_tell_of_one_deployment(self):
        bodies = (gitlab_job(), gitlab_pipeline(), gitlab_deployment())
        told_of = {
            (fact.service, fact.environment, fact.deployment, fact.state, fact.commit, fact.at)
            for fact in (only("gitlab", body) for body in bodies)
        }
        assert len(told_of) == 1

    @pytest.mark.parametrize(("status", "state"), [("running", "started"), ("failed", "failed")])
    def test_pitfall_the_deployment_event_has_no_start_so_running_tells_it(self, status, state):
        facts = [only("gitlab", make(status)) for make in (gitlab_job, gitlab_pipeline, gitlab_deployment)]
        assert [fact.state for fact in facts] == [state] * 3

    @pytest.mark.parametrize("status", ["created", "pending", "canceled", "skipped", "manual", "blocked"])
    def test_what_has_not_come_to_an_end_is_ignored(self, status):
        for make in (gitlab_job, gitlab_pipeline, gitlab_deployment):
            assert ignored("gitlab", make(status))

    def test_a_deployment_without_a_job_goes_by_its_own_number(self):
        assert only("gitlab", gitlab_deployment(deployable_id=None)).deployment == "deployment-15"

    def test_pitfall_the_whole_commit_stands_at_the_end_of_an_address(self):
        assert only("gitlab", gitlab_deployment()).commit == SHA
        assert only("gitlab", gitlab_deployment(commit_url=None)).commit is None

    def test_pitfall_the_time_of_a_deployment_has_a_local_offset(self):
        assert only("gitlab", gitlab_deployment()).at == parse_instant("2026-11-22T09:05:00Z")

    @pytest.mark.parametrize("action", ["stop", "prepare", "verify", "access"])
    def test_a_job_that_only_touches_an_environment_deploys_nothing(self, action):
        assert ignored("gitlab", gitlab_job(environment={"name": "production", "action": action}))

    def test_a_job_without_an_environment_is_ignored_whatever_else_it_lacks(self):
        assert "no environment" in ignored("gitlab", {"object_kind": "job", "job_id": 1, "job_status": "success"})

    def test_pitfall_an_old_job_names_its_project_only_by_its_address(self):
        body = gitlab_job()
        del body["project"]
        assert only("gitlab", body).service == "acme/shop"
        assert "project" in refused("gitlab", body | {"repository": None}).message

    def test_review_apps_are_one_environment(self):
        assert only("gitlab", gitlab_deployment(environment="review/SHP-3-cards")).environment == "review"

    def test_a_release_is_a_deployment_to_the_environment_release(self):
        fact = only("gitlab", gitlab_release())
        assert (fact.environment, fact.deployment, fact.state) == ("release", "v1.1", "succeeded")
        assert (fact.at, fact.commit, fact.items) == (UPDATED, SHA, ("SHP-1", "SHP-2"))

    @pytest.mark.parametrize("action", ["update", "delete"])
    def test_a_release_that_changes_is_ignored(self, action):
        assert action in ignored("gitlab", gitlab_release(action))


@pytest.mark.parametrize("kind", ["note", "feature_flag", "tag_push", "wiki_page", "emoji"])
def test_other_events_are_ignored(kind):
    assert kind in ignored("gitlab", {"object_kind": kind})


def test_pitfall_a_system_hook_without_a_kind_is_ignored():
    assert "system" in ignored("gitlab", {"event_name": "project_create"})


def test_pitfall_a_custom_payload_template_is_not_understood():
    assert "object_attributes" in refused("gitlab", {"object_kind": "issue", "title": "mine"}).message
