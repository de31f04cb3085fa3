import json
import re
from time import perf_counter
from urllib.parse import quote

import pytest

from flow.adapters.delivery import Delivery
from flow.adapters.github import translate
from flow.errors import Reason, Rejected
from flow.facts import ChangeFact, DeploymentFact, ItemFact, decode_fact, encode_fact
from flow.instants import parse_instant
from tests.unit.flow.adapters.github_payloads import (
    EVERY_KIND,
    REPOSITORY,
    SHA,
    commit,
    deployment_status,
    issues,
    pull_request,
    push,
    workflow_run,
)


def names_in(texts):
    return tuple(key for text in texts for key in re.findall(r"SHP-\d+", text))


def delivery(event, payload, **headers):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Delivery("github", {"x-github-event": event, "content-type": "application/json", **headers}, body, 0)


def told(event, payload):
    translation = translate(delivery(event, payload), names_in)
    assert (translation.ignored is None) == bool(translation.facts)
    return translation


def only(event, payload):
    (fact,) = told(event, payload).facts
    assert decode_fact(encode_fact(fact)) == fact
    return fact


def ignored(event, payload):
    return told(event, payload).ignored


def refused(event, payload, **headers):
    with pytest.raises(Rejected) as error:
        translate(delivery(event, payload, **headers), names_in)
    return error.value.reason


class TestIssues:
    def test_an_issue_is_told_whole(self):
        fact = only("issues", issues())
        assert fact == ItemFact(
            id=fact.id,
            source="github",
            item="acme/shop#12",
            at=parse_instant("2026-11-22T09:30:00Z"),
            seq=1,
            status="open",
            blocked=False,
            deleted=False,
            labels=("bug", "web"),
            project="acme/shop",
            type="bug",
            title="Pay by invoice",
            url="https://github.com/acme/shop/issues/12",
        )

    @pytest.mark.parametrize(
        ("action", "at"),
        [("opened", "2026-11-20T08:00:00Z"), ("closed", "2026-11-22T09:29:58Z"), ("labeled", "2026-11-22T09:30:00Z")],
    )
    def test_an_event_stands_at_its_own_time(self, action, at):
        assert only("issues", issues(action, closed_at="2026-11-22T09:29:58Z")).at == parse_instant(at)

    def test_a_closed_issue_is_closed(self):
        assert only("issues", issues("closed", state="closed")).status == "closed"

    @pytest.mark.parametrize("action", ["deleted", "transferred"])
    def test_an_issue_that_is_gone_is_deleted(self, action):
        assert only("issues", issues(action)).deleted is True

    def test_events_of_one_second_keep_the_order_in_which_they_can_only_have_happened(self):
        actions = ("opened", "labeled", "closed", "deleted")
        order = [only("issues", issues(action)).seq for action in actions]
        assert order == sorted(set(order))

    @pytest.mark.parametrize(
        ("issue", "expected"),
        [
            ({"type": {"id": 1, "name": "Feature"}, "labels": [{"name": "bug"}]}, "Feature"),
            ({"labels": [{"name": "Type: Bug"}]}, "bug"),
            ({"labels": [{"name": "kind/Enhancement"}]}, "enhancement"),
            ({"labels": [{"name": "area/security"}]}, None),
            ({"type": None, "labels": []}, None),
        ],
    )
    def test_the_type_is_the_issue_type_or_a_known_label(self, issue, expected):
        assert only("issues", issues(**issue)).type == expected

    def test_the_label_blocked_blocks(self):
        assert only("issues", issues(labels=[{"name": "Blocked"}])).blocked is True

    def test_an_address_that_could_run_a_script_is_left_out(self):
        assert only("issues", issues(html_url="javascript:alert(1)")).url is None

    def test_a_long_title_is_cut(self):
        assert only("issues", issues(title="x" * 600)).title == "x" * 500

    @pytest.mark.parametrize("action", ["pinned", "locked"])
    def test_what_says_nothing_of_the_work_is_ignored(self, action):
        assert action in ignored("issues", issues(action))

    def test_an_unknown_action_still_carries_the_issue(self):
        assert only("issues", issues("sparkled")).status == "open"

    def test_the_issue_behind_a_pull_request_is_no_work_item(self):
        assert "pull request" in ignored("issues", issues(pull_request={"url": "https://api.github.com/x"}))

    @pytest.mark.parametrize(
        "issue",
        [
            {"number": "12"},
            {"number": 2**63},
            {"state": None},
            {"updated_at": "soon"},
            {"updated_at": None},
            {"labels": [{"name": "x" * 256}]},
            {"labels": [{"name": str(number)} for number in range(101)]},
        ],
    )
    def test_an_issue_that_lacks_what_it_promises_is_not_understood(self, issue):
        assert refused("issues", issues(**issue)) is Reason.NOT_UNDERSTOOD


class TestPullRequests:
    def test_an_opened_pull_request_is_an_opened_change(self):
        fact = only("pull_request", pull_request(title="SHP-1: pay by invoice"))
        assert fact == ChangeFact(
            id=fact.id,
            source="github",
            service="acme/shop",
            change="pr-77",
            at=parse_instant("2026-11-21T08:00:00Z"),
            state="opened",
            items=("SHP-1",),
        )

    @pytest.mark.parametrize("action", ["reopened", "ready_for_review"])
    def test_opening_it_again_stands_at_the_time_of_doing_so(self, action):
        fact = only("pull_request", pull_request(action))
        assert (fact.state, fact.at) == ("opened", parse_instant("2026-11-22T09:30:00Z"))

    def test_a_draft_counts_as_opened(self):
        assert only("pull_request", pull_request(draft=True)).state == "opened"

    def test_closed_and_merged_is_merged_with_its_commit(self):
        pull = {"merged": True, "merged_at": "2026-11-22T09:29:59Z", "merge_commit_sha": SHA, "state": "closed"}
        fact = only("pull_request", pull_request("closed", **pull))
        assert (fact.state, fact.at, fact.commit) == ("merged", parse_instant("2026-11-22T09:29:59Z"), SHA)

    def test_closed_without_merging_is_abandoned(self):
        pull = {"closed_at": "2026-11-22T09:29:57Z", "merge_commit_sha": SHA}
        fact = only("pull_request", pull_request("closed", **pull))
        assert (fact.state, fact.at, fact.commit) == ("abandoned", parse_instant("2026-11-22T09:29:57Z"), None)

    @pytest.mark.parametrize("action", ["labeled", "synchronize", "review_requested"])
    def test_other_actions_are_ignored(self, action):
        assert action in ignored("pull_request", pull_request(action))

    def test_it_names_items_in_title_and_branch_and_in_what_its_body_closes(self):
        body = "Follows SHP-8.\r\nCloses: SHP-3 and SHP-4\r\nresolves #12, fixes other/place#5\n"
        pull = pull_request(title="SHP-1 invoice (fixes #9)", body=body, head={"ref": "SHP-2-invoice"})
        assert only("pull_request", pull).items == (
            "SHP-1", "SHP-2", "SHP-3", "SHP-4", "acme/shop#9", "acme/shop#12", "other/place#5",
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("body", "items"),
        [
            ("Fixes https://github.com/acme/shop/issues/3", ("acme/shop#3",)),
            ("FIXED: Acme/Shop#4", ("acme/shop#4",)),
            ("see #5, prefixes #6, fixes#7, unresolved #8", ()),
        ],
    )
    def test_closing_keywords_are_githubs(self, body, items):
        assert only("pull_request", pull_request(body=body)).items == items

    def test_a_hostile_body_costs_no_more_than_its_length(self):
        body = "fixes " * 10_000 + "a/" * 20_000
        started = perf_counter()
        only("pull_request", pull_request(body=body))
        assert perf_counter() - started < 5


class TestDeployments:
    def test_a_successful_status_is_a_deployment_that_succeeded(self):
        fact = only("deployment_status", deployment_status())
        assert fact == DeploymentFact(
            id=fact.id,
            source="github",
            service="acme/shop",
            environment="production",
            deployment="145988746",
            at=parse_instant("2026-11-22T09:05:00Z"),
            state="succeeded",
            seq=1,
            commit=SHA,
            items=("SHP-3",),
        )

    @pytest.mark.parametrize(
        ("state", "expected"), [("in_progress", "started"), ("failure", "failed"), ("error", "failed")]
    )
    def test_states_are_those_of_a_deployment(self, state, expected):
        assert only("deployment_status", deployment_status(state)).state == expected

    def test_the_end_comes_after_the_start_of_the_same_second(self):
        started, succeeded = (
            only("deployment_status", deployment_status(state)) for state in ("in_progress", "success")
        )
        assert (started.at, started.seq) < (succeeded.at, succeeded.seq)

    @pytest.mark.parametrize("state", ["queued", "pending", "inactive", "waiting"])
    def test_a_state_between_is_ignored(self, state):
        assert state in ignored("deployment_status", deployment_status(state))

    def test_the_environment_of_the_status_comes_first_where_there_is_one(self):
        payload = deployment_status(environment="staging")
        assert only("deployment_status", payload).environment == "production"
        del payload["deployment_status"]["environment"]
        assert only("deployment_status", payload).environment == "staging"


class TestPushes:
    def test_each_commit_that_reaches_the_default_branch_is_a_merged_change(self):
        first, second = told("push", push(commit(1, "SHP-1 invoice"), commit(2, "Fixes #12"))).facts
        assert first == ChangeFact(
            id=first.id,
            source="github",
            service="acme/shop",
            change=f"commit-{1:040x}",
            at=1795340000000,
            state="merged",
            committed_at=parse_instant("2026-11-21T08:00:00Z"),
            commit=f"{1:040x}",
            items=("SHP-1",),
        )
        assert second.items == ("acme/shop#12",)
        assert first.id != second.id

    def test_without_a_push_time_the_newest_commit_tells_it(self):
        payload = push(commit(), repository={"full_name": "acme/shop", "default_branch": "main"})
        assert only("push", payload).at == parse_instant("2026-11-21T08:00:00Z")

    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            (push(commit(), ref="refs/heads/invoice"), "default branch"),
            (push(commit(), ref="refs/tags/main"), "default branch"),
            (push(deleted=True), "deletes"),
            (push(), "without commits"),
        ],
    )
    def test_other_pushes_are_ignored(self, payload, reason):
        assert reason in ignored("push", payload)

    def test_a_push_that_does_not_say_the_default_branch_is_not_understood(self):
        assert refused("push", push(commit(), repository={"full_name": "acme/shop"})) is Reason.NOT_UNDERSTOOD


class TestWorkflowRuns:
    def test_a_run_called_deploy_to_somewhere_is_a_deployment(self):
        fact = only("workflow_run", workflow_run())
        assert fact == DeploymentFact(
            id=fact.id,
            source="github",
            service="acme/shop",
            environment="production",
            deployment="run-99-2",
            at=parse_instant("2026-11-22T09:09:00Z"),
            state="succeeded",
            seq=1,
            commit=SHA,
            items=("SHP-4",),
        )

    @pytest.mark.parametrize("name", ["deploy production", "Deploy To production", " DEPLOY  production "])
    def test_the_name_may_be_written_in_these_ways(self, name):
        assert only("workflow_run", workflow_run(name=name)).environment == "production"

    @pytest.mark.parametrize(
        "name", ["CI", "", None, "deploy", "deploy to", "Deploy to the moon", "redeploy production"]
    )
    def test_any_other_name_says_nothing_of_a_deployment(self, name):
        assert "deployment_status" in ignored("workflow_run", workflow_run(name=name))

    @pytest.mark.parametrize("conclusion", ["failure", "timed_out", "startup_failure"])
    def test_a_run_that_did_not_succeed_failed(self, conclusion):
        assert only("workflow_run", workflow_run(conclusion=conclusion)).state == "failed"

    def test_a_running_one_started_when_it_says(self):
        fact = only("workflow_run", workflow_run("in_progress", None))
        assert (fact.state, fact.at) == ("started", parse_instant("2026-11-22T09:01:00Z"))

    def test_the_status_is_believed_not_the_action(self):
        payload = workflow_run() | {"action": "in_progress"}
        assert only("workflow_run", payload).state == "succeeded"

    @pytest.mark.parametrize(
        ("status", "conclusion"), [("queued", None), ("completed", "cancelled"), ("completed", "skipped")]
    )
    def test_a_run_that_deploys_nothing_is_ignored(self, status, conclusion):
        assert (conclusion or status) in ignored("workflow_run", workflow_run(status, conclusion))


class TestDeliveries:
    @pytest.mark.parametrize("event", ["ping", "star", "deployment", "pull_request_review", "invented_next_year"])
    def test_an_event_of_no_interest_is_ignored_unread(self, event):
        assert ignored(event, b"not even JSON")

    @pytest.mark.parametrize("event", ["", "Issues!", "x" * 65])
    def test_without_an_event_name_nothing_is_understood(self, event):
        assert refused(event, issues()) is Reason.NOT_UNDERSTOOD

    @pytest.mark.parametrize(("event", "payload"), EVERY_KIND)
    def test_a_form_says_the_same_as_json(self, event, payload):
        form = b"payload=" + quote(json.dumps(payload)).encode()
        sent = delivery(event, form, **{"content-type": "application/x-www-form-urlencoded"})
        assert translate(sent, names_in) == told(event, payload)

    @pytest.mark.parametrize(("event", "payload"), EVERY_KIND)
    def test_a_redelivery_tells_the_same_facts(self, event, payload):
        first = translate(delivery(event, payload, **{"x-github-delivery": "a"}), names_in)
        again = translate(delivery(event, payload, **{"x-github-delivery": "b"}), names_in)
        assert first == again

    @pytest.mark.parametrize(("event", "payload"), EVERY_KIND)
    def test_broken_json_is_malformed(self, event, payload):
        assert refused(event, json.dumps(payload).encode()[:-1]) is Reason.MALFORMED_JSON

    def test_two_events_of_one_second_have_two_ids(self):
        before, after = issues("labeled", labels=[]), issues("labeled")
        assert only("issues", before).id != only("issues", after).id

    def test_names_and_ids_stay_within_bounds(self):
        repository = REPOSITORY | {"full_name": "o" * 99 + "/" + "r" * 100}
        for event, payload in EVERY_KIND:
            payload = payload | {"repository": repository}  # noqa: PLW2901
            for fact in told(event, payload).facts:
                assert max(len(fact.id), len(getattr(fact, "item", ""))) <= 255


def test_a_payload_of_15_kilobytes_costs_little():
    """The budget is 150 µs; three times that is allowed here, for busy machines."""
    payload = issues()
    payload["issue"]["body"] = "word " * 1_400
    payload["issue"]["reactions"] = {f"reaction_{number}": {"url": "https://api.github.com/x"} for number in range(150)}
    sent = delivery("issues", payload)
    assert len(sent.body) > 14_000

    def one_run():
        started = perf_counter()
        for _ in range(100):
            translate(sent, names_in)
        return (perf_counter() - started) / 100

    assert min(one_run() for _ in range(5)) < 450e-6
