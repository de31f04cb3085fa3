"""Payloads of real trackers, where they are at hand: what a person who reads each file would say that it tells.

Of an item: what it is called, its status, its time, and what else counts. Of a change or a deployment: its name, state
and time. Text stands for the reason why a file tells nothing (a part of it).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flow.adapters import ADAPTERS, Delivery
from flow.errors import Reason, Rejected
from flow.facts import ChangeFact, DeploymentFact, Fact, ItemFact, decode_fact, encode_fact
from flow.instants import format_instant, parse_instant

PAYLOADS = Path(__file__).parents[3] / "../shared/payloads"

if not PAYLOADS.exists():
    pytest.skip("shared data not present", allow_module_level=True)

MANIFEST = json.loads((PAYLOADS / "MANIFEST.json").read_bytes())
ARRIVED = parse_instant("2026-11-22T12:00:00Z")
TRACKERS = ("jira", "linear", "asana", "clickup", "plane", "azure-devops", "trello", "gitlab")

Told = tuple[Any, ...]
Expected = str | Told | list[Told]


def item(name: str, status: str | None, at: str, **more: Any) -> Told:
    return ("item", name, status, at, more)


def change(service: str, name: str, state: str, at: str, **more: Any) -> Told:
    return ("change", service, name, state, at, more)


def deployment(service: str, environment: str, name: str, state: str, at: str, **more: Any) -> Told:
    return ("deployment", service, environment, name, state, at, more)


_STORY = {"type": "Story", "project": "TES"}
_TRELLO_CARD = "53582e2da0fac5676a71428b"
_SHOP = "tomaszkolek0/my-awesome-project"

EXPECTED: dict[str, Expected] = {
    # Jira: the key, the status that it came to or stands in, the time of the webhook
    "jira/mm.cloud-comment-created.json": "comment_created",
    "jira/mm.cloud-issue-created-many-fields.json": item(
        "KT-22", "To Do", "2019-08-27T19:43:24.475Z", type="Task", project="KT", labels=("Label1", "Label2")
    ),
    "jira/mm.cloud-issue-updated-custom-field.json": item("TES-14", "To Do", "2019-08-12T01:49:13.414Z", seq=11479),
    "jira/mm.issue-assigned-empty-changelog.json": item("TEST-123", "To Do", "2024-08-20T18:47:42.935Z", seq=10500),
    "jira/mm.issue-created-no-description.json": item("TES-41", "To Do", "2019-02-16T03:01:53.023Z", **_STORY),
    "jira/mm.issue-created-no-relevant-fields.json": item("TES-41", "To Do", "2019-02-16T03:01:53.023Z", **_STORY),
    "jira/mm.issue-created-with-security-level.json": item("TES-41", "To Do", "2019-02-16T03:01:53.023Z", **_STORY),
    "jira/mm.issue-updated-assigned-nobody.json": item("TES-41", "To Do", "2019-02-16T21:10:32.604Z"),
    "jira/mm.issue-updated-assigned-on-server.json": item(
        "PRJA-37", "To Do", "2019-06-27T15:32:51.497Z", type="Improvement", project="PRJA"
    ),
    "jira/mm.issue-updated-assigned.json": item("TES-41", "To Do", "2019-02-16T03:18:01.752Z"),
    "jira/mm.issue-updated-attachments.json": item(
        "TES-41", "To Do", "2019-02-16T21:12:10.065Z", labels=("sad", "test-label")
    ),
    "jira/mm.issue-updated-components.json": item("TES-10", "To Do", "2019-12-05T14:38:23.833Z"),
    "jira/mm.issue-updated-edited.json": item("TES-41", "To Do", "2019-02-16T03:10:01.840Z"),
    "jira/mm.issue-updated-issue-type.json": item("TES-41", "To Do", "2019-02-16T03:07:51.789Z"),
    "jira/mm.issue-updated-multiple-custom-fields.json": item("TES-41", "To Do", "2019-02-16T21:12:10.065Z"),
    "jira/mm.issue-updated-raised-priority.json": item("TES-41", "To Do", "2019-02-16T21:15:16.080Z"),
    "jira/mm.issue-updated-rank.json": item("TES-41", "To Do", "2019-02-16T21:12:10.065Z"),
    "jira/mm.issue-updated-reopened-one-changelog.json": item("TES-41", "To Do", "2019-02-16T03:17:06.531Z"),
    "jira/mm.issue-updated-reopened.json": item("TES-41", "To Do", "2019-02-16T03:17:06.531Z", seq=10229),
    "jira/mm.issue-updated-resolved.json": item("TES-41", "Done", "2019-02-16T03:15:40.507Z", seq=10228, **_STORY),
    "jira/mm.issue-updated-sprint.json": item("TES-41", "To Do", "2019-02-16T21:12:10.065Z"),
    "jira/mm.issue-updated-started-working.json": item("TES-41", "In Progress", "2019-02-16T03:14:22.039Z", **_STORY),
    "jira/mm.server-issue-updated-in-progress.json": item(
        "TES-4", "In Progress", "2019-08-14T03:02:33.680Z", type="Bug", seq=10508
    ),
    "jira/mm.server-issue-updated-reopened.json": item("TES-4", "Reopened", "2019-08-14T03:01:43.657Z", type="Bug"),
    "jira/mm.server-old-issue-updated-no-event-type-assigned.json": item("TES-41", "To Do", "2019-02-16T03:18:01.752Z"),
    "jira/mm.server-old-issue-updated-no-event-type-edited.json": item("TES-41", "To Do", "2019-02-16T03:10:01.840Z"),
    "jira/mm.server-updated-custom-field.json": item("TES-8", "To Do", "2019-08-12T01:41:00.611Z"),
    "jira/zulip.change_status_v1.json": item("TEST-1", "In Progress", "2013-05-23T15:07:38.777Z", type="Bug"),
    "jira/zulip.change_status_v2.json": item("TEST-1", "In Progress", "2017-01-30T17:32:14.721Z", type="Task"),
    "jira/zulip.created_v1.json": item("BUG-15", "Open", "2013-03-27T16:53:58.369Z", type="Bug", project="BUG"),
    "jira/zulip.deleted_v2.json": item("BUG-15", "Open", "2013-03-27T17:06:09.102Z", deleted=True),
    "jira/zulip.example_anomalous_payload.json": "refused: it names no webhookEvent",
    "jira/zulip.reassigned_v2.json": item("BUG-15", "Open", "2013-03-27T16:57:45.325Z"),
    "jira/zulip.updated_priority_v2.json": item("TEST-1", "To Do", "2014-02-26T19:57:13.145Z", type="New Feature"),
    # Linear: team and number, the state, the time of the action
    "linear/issue_create_simple.json": item("WEB-43", "Todo", "2023-04-11T09:59:47.094Z", project="WEB", labels=()),
    "linear/issue_remove.json": item(
        "WEB-44", "In Progress", "2023-04-11T10:17:17.810Z", deleted=True, type="bug", url=None
    ),
    "linear/issue_sub_issue_create.json": item("WEB-46", "Todo", "2023-04-11T10:10:15.037Z"),
    "linear/issue_sub_issue_remove.json": item("WEB-46", "Todo", "2023-04-11T10:13:05.795Z", deleted=True),
    "linear/issue_sub_issue_update.json": item(
        "WEB-46", "Todo", "2023-04-11T10:12:11.141Z", title="Thorough Impact Analysis and Cost Realization"
    ),
    "linear/project_create.json": "Project events",
    # Asana: that something changed, and not to what
    "asana/heartbeat-or-handshake-body.json": "heartbeat",
    "asana/live.task.completed.signed.json": "completed changed, but not to what",
    # ClickUp: the task, the status of the history item, its date
    "clickup/list_deleted.json": "of no task",
    "clickup/list_updated.json": "of no task",
    "clickup/task_created.json": item("86cvyxabb", "to do", "2022-01-21T03:10:31.523Z", project="162641062"),
    "clickup/task_moved.json": item("86cvyxabb", None, "2022-01-21T03:47:59.339Z", project="162641285"),
    "clickup/task_updated_due_date.json": "due_date moves no task",
    "clickup/task_updated_priority.json": "priority moves no task",
    "clickup/task_updated_status.json": item("86cvyxabb", "in progress", "2022-01-21T03:34:33.330Z"),
    "clickup/task_updated_time_spent.json": "time_spent moves no task",
    # Azure DevOps
    "azure-devops/aspnet.build.complete.json": "a build names no environment",
    "azure-devops/aspnet.git.pullrequest.created.json": change(
        "Fabrikam/Fabrikam", "pr-1", "opened", "2014-06-17T16:55:46.590Z"
    ),
    "azure-devops/aspnet.git.pullrequest.merged.json": change(
        "Fabrikam/Fabrikam",
        "pr-1",
        "merged",
        "2014-06-30T18:59:12.366Z",
        commit="eef717f69257a6333f221566c1c987dc94cc0d72",
    ),
    "azure-devops/aspnet.git.pullrequest.updated.json": change(
        "Fabrikam/Fabrikam", "pr-1", "merged", "2014-06-30T18:59:12.366Z"
    ),
    "azure-devops/aspnet.git.push.json": change(
        "Project/Project",
        "commit-c8e823a60a85381732726d6a9b6a276e71e6ce12",
        "merged",
        "2016-06-26T18:10:30.066Z",
        committed_at=parse_instant("2016-06-26T18:10:21Z"),
    ),
    "azure-devops/aspnet.workitem.created.json": item(
        "AB#5", "New", "2014-07-15T17:42:44.663Z", type="Bug", project="GoodCompanyCloud"
    ),
    "azure-devops/aspnet.workitem.deleted.json": item("AB#5", "New", "2016-05-02T19:17:28.364Z", deleted=True),
    "azure-devops/aspnet.workitem.restored.json": item("AB#5", "New", "2016-05-02T19:18:15.571Z", deleted=False),
    "azure-devops/doc.release.deployment-approval-pending-event.json": "deployment-approval-pending-event",
    "azure-devops/doc.release.deployment-started-event.json": deployment(
        "Fabrikam", "Dev", "release-5-5", "started", "2016-09-19T13:03:28.454Z"
    ),
    "azure-devops/doc.release.release-abandoned-event.json": "release-abandoned-event",
    "azure-devops/doc.workitem.created.json": item("AB#5", "New", "2014-07-15T17:42:44.663Z", seq=1),
    "azure-devops/doc.workitem.updated.json": item("AB#5", "Approved", "2014-07-15T17:42:44.663Z", type="Bug", seq=2),
    "azure-devops/goscm.pr_created.json": change("Fabrikam/Fabrikam", "pr-1", "opened", "2014-06-17T16:55:46.590Z"),
    "azure-devops/goscm.pr_merged.json": change("Fabrikam/Fabrikam", "pr-1", "merged", "2014-06-30T18:59:12.366Z"),
    "azure-devops/goscm.pr_updated.json": change("Fabrikam/Fabrikam", "pr-1", "merged", "2014-06-30T18:59:12.366Z"),
    # Trello: the card, its list, the time of the action
    "trello/adding_label_to_card.json": item("53582e2da0fac5676a71427f", None, "2016-05-04T17:53:55.770Z"),
    "trello/adding_new_list_to_board.json": "createList",
    "trello/archiving_card.json": item(_TRELLO_CARD, "Intermediate", "2016-05-05T16:43:57.557Z", deleted=True),
    "trello/aspnet.Trello1.json": item(
        "5a5e5f73180a3a2e2df670fd", "To Do", "2018-01-18T00:33:19.751Z", title="This is a realz TODO item"
    ),
    "trello/aspnet.Trello2.json": item("5a5e5f88864a35655e139af1", "Done", "2018-01-20T22:08:39.787Z"),
    "trello/changing_due_date_on_card.json": item(_TRELLO_CARD, "Intermediate", "2016-05-05T16:16:24.684Z"),
    "trello/idobata.delete_card.json": item(
        "53bb7f02bc95e5f6e6afd16f", "Advanced", "2014-07-08T05:23:21.237Z", deleted=True
    ),
    "trello/moving_card_within_single_list.json": "within its list",
    "trello/renaming_card.json": item(
        "53582e2da0fac5676a71427f", "Intermediate", "2016-05-04T17:52:51.098Z", title="New name"
    ),
    "trello/reopening_card.json": item(_TRELLO_CARD, "Intermediate", "2016-05-05T16:53:31.423Z", deleted=False),
    # GitLab
    "gitlab/doc.deployment.json": deployment(
        "root/test-deployment-webhooks",
        "staging",
        "job-796",
        "succeeded",
        "2021-04-28T19:50:00Z",
        commit="279484c09fbe69ededfced8c1bb6e6d24616b468",
    ),
    "gitlab/doc.feature_flag.json": "feature_flag",
    "gitlab/doc.issue.json": item(
        "gitlabhq/gitlab-test#23", "opened", "2013-12-03T17:15:43Z", labels=("Platform",), size=10.0
    ),
    "gitlab/doc.job.json": deployment(
        "jsmithy2/release-tools-fake",
        "production",
        "job-3580121225",
        "succeeded",
        "2023-01-10T13:50:54Z",
        commit="95d49d1efbd941908580e79d65e4b5ecaf4a8305",
    ),
    "gitlab/doc.note_issue.json": "note events",
    "gitlab/doc.pipeline.json": "no job deploys",
    "gitlab/doc.push.json": [
        change(
            "mike/diaspora",
            "commit-b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327",
            "merged",
            "2012-01-03T21:36:29Z",
            committed_at=parse_instant("2011-12-12T12:27:31Z"),
        ),
        change("mike/diaspora", "commit-da1560886d4f094c3e6c9ef40349f7d38b5d27d7", "merged", "2012-01-03T21:36:29Z"),
    ],
    "gitlab/gitlab4j.deployment-event.json": deployment(
        "root/test-deployment-webhooks", "staging", "job-796", "succeeded", "2021-04-28T19:50:00Z"
    ),
    "gitlab/gitlab4j.issue-event.json": item("gitlabhq/gitlab-test#23", "opened", "2013-12-03T17:15:43Z"),
    "gitlab/gitlab4j.job-event.json": "no environment",
    "gitlab/gitlab4j.pipeline-event.json": "no job deploys",
    "gitlab/goscm.issue_create.json": item("gitlab-org/hello-world#1", "opened", "2017-12-10T16:37:38Z", labels=()),
    "gitlab/goscm.issue_edited.json": item("gitlab-org/hello-world#1", "opened", "2017-12-10T16:38:25Z"),
    "gitlab/goscm.issue_labeled.json": item(
        "gitlab-org/hello-world#1", "opened", "2026-11-22T12:00:00Z", labels=("critical",)
    ),
    "gitlab/goscm.pull_request_review_ready.json": "(update) neither opens",
    "gitlab/zulip.issue_hook__confidential_issue_closed.json": item(
        "joe.bloggs/testing#1", "closed", "2018-09-15T19:05:12Z"
    ),
    "gitlab/zulip.issue_hook__issue_closed.json": item(f"{_SHOP}#1", "closed", "2016-08-18T18:14:13Z", labels=None),
    "gitlab/zulip.issue_hook__issue_created_with_assignee.json": item(f"{_SHOP}#1", "opened", "2016-08-18T17:47:36Z"),
    "gitlab/zulip.issue_hook__issue_updated.json": item(f"{_SHOP}#1", "opened", "2016-08-18T17:56:30Z"),
    "gitlab/zulip.job_hook__build_created.json": "no environment",
    "gitlab/zulip.merge_request_hook__merge_request_approved.json": "(approved) neither opens",
    "gitlab/zulip.merge_request_hook__merge_request_closed.json": change(
        _SHOP, "mr-2", "abandoned", "2016-08-22T20:14:21Z", commit=None
    ),
    "gitlab/zulip.pipeline_hook__pipeline_pending.json": "no job deploys",
    "gitlab/zulip.push_hook.json": "default branch",
    "gitlab/zulip.release_hook__update.json": "(update) is out already",
    "gitlab/zulip.system_hook__merge_request_merged.json": change(
        _SHOP, "mr-3", "merged", "2016-08-22T20:41:06Z", commit="5bcfb805534d13224e8fa7698a2819bf0d055f29"
    ),
    "gitlab/zulip.test_hook__issue_test_payload.json": item(
        "eeshangarg/public-repo#1", "opened", "2017-11-15T02:46:32.196Z"
    ),
}

FILES = [entry for entry in MANIFEST if entry["source"] in TRACKERS and entry["file"].endswith(".json")]


def read(entry: dict[str, str]) -> tuple[list[Fact], str | None]:
    source = entry["source"]
    body = (PAYLOADS / source / entry["file"]).read_bytes()
    try:
        translation = ADAPTERS[source].translate(Delivery(source, {}, body, ARRIVED), lambda texts: ())
    except Rejected as error:
        assert error.reason is Reason.NOT_UNDERSTOOD  # noqa: PT017
        return [], f"refused: {error.message}"
    assert all(decode_fact(encode_fact(fact)) == fact for fact in translation.facts)
    return translation.facts, translation.ignored


def check_that_it_says(fact: Fact, expected: Told) -> None:
    *said, more = expected
    at = format_instant(fact.at)
    if isinstance(fact, ItemFact):
        assert said == ["item", fact.item, fact.status, at]
    elif isinstance(fact, ChangeFact):
        assert said == ["change", fact.service, fact.change, fact.state, at]
    else:
        assert isinstance(fact, DeploymentFact)
        assert said == ["deployment", fact.service, fact.environment, fact.deployment, fact.state, at]
    assert {name: getattr(fact, name) for name in more} == more


@pytest.mark.parametrize("entry", FILES, ids=lambda entry: f"{entry['source']}/{entry['file']}")
def test_a_payload_tells_what_a_person_reads_in_it(entry: dict[str, str]) -> None:
    expected = EXPECTED[f"{entry['source']}/{entry['file']}"]
    facts, reason = read(entry)
    if isinstance(expected, str):
        assert facts == []
        assert reason is not None
        assert expected.removeprefix("refused: ") in reason
        assert reason.startswith("refused: ") == expected.startswith("refused: ")
        return
    wanted = expected if isinstance(expected, list) else [expected]
    assert len(facts) == len(wanted)
    for fact, said in zip(facts, wanted, strict=True):
        check_that_it_says(fact, said)


def test_nothing_is_expected_of_a_file_that_is_not_there() -> None:
    assert set(EXPECTED) == {f"{entry['source']}/{entry['file']}" for entry in FILES}
