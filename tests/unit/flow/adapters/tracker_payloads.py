"""Payloads of trackers in their documented shapes, written by hand, with invented names."""

from __future__ import annotations

from typing import Any

SHA = "4f2a" * 10
ROCKET = "9b3c" * 10

Json = dict[str, Any]


# --- Jira ------------------------------------------------------------------------------------------------------------


def jira_change(name: str, before: str | None, after: str | None, **more: Any) -> Json:
    return {"field": name, "fieldtype": "jira", "from": "1", "fromString": before, "to": "3", "toString": after, **more}


def jira(event: str = "jira:issue_updated", *changes: Json, **fields: Any) -> Json:
    """Cloud, with a changelog when something changed."""
    body: Json = {
        "timestamp": 1795340862039,
        "webhookEvent": event,
        "issue_event_type_name": "issue_generic",
        "user": {"accountId": "5b:robin", "displayName": "Robin Vale"},
        "issue": {
            "id": "10040",
            "self": "https://acme.example/rest/api/2/issue/10040",
            "key": "CHK-12",
            "fields": {
                "issuetype": {"id": "10001", "name": "Story", "subtask": False},
                "project": {"id": "10000", "key": "CHK", "name": "Checkout"},
                "status": {"id": "3", "name": "In Progress", "statusCategory": {"key": "indeterminate"}},
                "labels": ["web", "mobile"],
                "summary": "Pay by invoice",
                "created": "2026-11-20T19:01:52.971-0800",
                "updated": "2026-11-22T19:14:22.002-0800",
                "customfield_10021": None,
                **fields,
            },
        },
    }
    if changes:
        body["changelog"] = {"id": "10227", "items": list(changes)}
    return body


# --- Linear ----------------------------------------------------------------------------------------------------------


def linear(action: str = "update", before: Json | None = None, **data: Any) -> Json:
    body: Json = {
        "action": action,
        "type": "Issue",
        "createdAt": "2026-11-22T09:30:00.464Z",
        "organizationId": "7a66",
        "webhookTimestamp": 1795340930330,
        "url": "https://linear.example/acme/issue/ENG-4/pay-by-invoice",
        "data": {
            "id": "70030c07",
            "createdAt": "2026-11-20T22:39:11.986Z",
            "updatedAt": "2026-11-22T09:30:00.464Z",
            "number": 4,
            "title": "Pay by invoice",
            "priority": 3,
            "estimate": 5,
            "stateId": "d1b2",
            "labelIds": ["l1"],
            "state": {"id": "d1b2", "name": "In Review", "type": "started"},
            "team": {"id": "ba9e", "key": "ENG", "name": "Engineering"},
            "labels": [{"id": "l1", "name": "Bug", "color": "#EB5757"}],
            **data,
        },
    }
    if before is not None:
        body["updatedFrom"] = {"updatedAt": "2026-11-22T09:08:20.229Z"} | before
    return body


# --- Asana -----------------------------------------------------------------------------------------------------------


def asana(*events: Json) -> Json:
    return {"events": list(events)}


def asana_event(action: str = "changed", kind: str = "task", **more: Any) -> Json:
    return {
        "action": action,
        "created_at": "2026-11-22T02:44:21.987Z",
        "user": None,
        "parent": None,
        "resource": {"gid": "119917", "resource_type": kind, "resource_subtype": "default_task"},
        **more,
    }


def asana_parent(kind: str, gid: str = "771") -> Json:
    return {"gid": gid, "resource_type": kind}


# --- ClickUp ---------------------------------------------------------------------------------------------------------


def clickup(event: str = "taskStatusUpdated", *items: Json) -> Json:
    return {"event": event, "history_items": list(items), "task_id": "86cvyx", "webhook_id": "7fa3ec74"}


def clickup_item(name: str = "status", before: Any = None, after: Any = None, **more: Any) -> Json:
    return {
        "id": "2800787326392370170",
        "type": 1,
        "date": "1795340862039",
        "field": name,
        "parent_id": "162641",
        "data": {"status_type": "custom"},
        "user": {"id": 183, "username": "Robin"},
        "before": before,
        "after": after,
        **more,
    }


def clickup_status(name: str, kind: str = "custom") -> Json:
    return {"status": name, "color": "#7C4DFF", "orderindex": 1, "type": kind}


# --- Plane -----------------------------------------------------------------------------------------------------------


def plane(action: str = "updated", field: str | None = "state", new: Any = "In Review", **data: Any) -> Json:
    """v1: one delivery a changed field."""
    return {
        "event": "issue",
        "action": action,
        "webhook_id": "5e1a",
        "workspace_id": "77aa",
        "data": {
            "id": "0c5e-12",
            "name": "Pay by invoice",
            "sequence_id": 12,
            "project": "f00d",
            "state": {"id": "5a5a", "name": "In Review", "color": "#fff", "group": "started"},
            "labels": [{"id": "11", "name": "bug", "color": "#f00"}],
            "created_at": "2026-11-20T08:00:00.123456Z",
            "updated_at": "2026-11-22T09:30:00.123456Z",
            **data,
        },
        "activity": {
            "field": field,
            "old_value": "Todo",
            "new_value": new,
            "old_identifier": "4b4b",
            "new_identifier": "5a5a",
            "actor": {"id": "9", "display_name": "robin"},
        },
    }


def plane_v2(event: str = "workitem.updated", **data: Any) -> Json:
    return {
        "version": "v2",
        "entity_id": "0c5e-12",
        "entity_type": "issue",
        "event": event,
        "event_id": "e-1",
        "delivery_id": "d-1",
        "webhook_id": "5e1a",
        "data": {
            "id": "0c5e-12",
            "name": "Pay by invoice",
            "project_id": "f00d",
            "state_id": "5a5a",
            "type_id": None,
            "label_ids": [],
            "created_at": "2026-11-20T08:00:00.249292+00:00",
            "updated_at": "2026-11-22T09:30:00.249304+00:00",
            **data,
        },
        "previous_attributes": {"state_id": "4b4b", "last_activity_at": "2026-11-22 09:29:41.242868+00"},
    }


# --- Azure DevOps ----------------------------------------------------------------------------------------------------


def azure(kind: str, resource: Any, **more: Any) -> Json:
    return {
        "subscriptionId": "00000000-0000-0000-0000-0000000000ff",
        "notificationId": 5,
        "id": "d2d46fb1",
        "eventType": kind,
        "publisherId": "tfs",
        "message": {"text": "something happened"},
        "resource": resource,
        "resourceVersion": "1.0",
        "createdDate": "2026-11-22T09:30:06.5943909Z",
        **more,
    }


def azure_fields(**more: Any) -> Json:
    return {
        "System.AreaPath": "Shop\\Payments",
        "System.TeamProject": "Shop",
        "System.WorkItemType": "User Story",
        "System.State": "New",
        "System.CreatedDate": "2026-11-20T17:42:44.663Z",
        "System.ChangedDate": "2026-11-22T09:30:00.1234567Z",
        "System.Title": "Pay by invoice",
        "System.Tags": "web; mobile",
        "WEF_EB32_Kanban.Column": "Ready",
        "Microsoft.VSTS.Common.BusinessValue": 8,
        "Microsoft.VSTS.Scheduling.StoryPoints": 3.0,
        **more,
    }


def azure_created(kind: str = "workitem.created", /, **fields: Any) -> Json:
    html = {"html": {"href": "https://azure.example/acme/Shop/_workitems/edit/12"}}
    return azure(kind, {"id": 12, "rev": 1, "fields": azure_fields(**fields), "_links": html})


def azure_updated(item: int = 12, /, **changed: Any) -> Json:
    changes = {"System.State": {"oldValue": "New", "newValue": "Active"}, **changed}
    changes.setdefault(
        "System.ChangedDate", {"oldValue": "2026-11-20T17:42:44.663Z", "newValue": "2026-11-22T09:30:00Z"}
    )
    resource = {
        "id": 4,
        "workItemId": item,
        "rev": 4,
        "revisedDate": "9999-01-01T00:00:00Z",
        "fields": changes,
        "revision": {"id": 12, "rev": 4, "fields": azure_fields()},
    }
    return azure("workitem.updated", resource)


def azure_repository() -> Json:
    return {"id": "4bc1", "name": "web", "defaultBranch": "refs/heads/main", "project": {"id": "6ce9", "name": "Shop"}}


def azure_pull(kind: str = "git.pullrequest.created", **more: Any) -> Json:
    resource = {
        "repository": azure_repository(),
        "pullRequestId": 7,
        "status": "active",
        "creationDate": "2026-11-21T08:00:00.589889Z",
        "title": "Pay by invoice #12",
        "description": "Brings SHP-3",
        "sourceRefName": "refs/heads/SHP-4-invoice",
        "targetRefName": "refs/heads/main",
        "lastMergeCommit": {"commitId": SHA},
        **more,
    }
    return azure(kind, resource)


def azure_push(branch: str = "refs/heads/main") -> Json:
    commit = {
        "commitId": SHA,
        "author": {"name": "Robin", "date": "2026-11-21T10:00:00Z"},
        "committer": {"name": "Robin", "date": "2026-11-21T10:01:00Z"},
        "comment": "SHP-1: fixes AB#12",
    }
    resource = {
        "commits": [commit],
        "refUpdates": [{"name": branch, "oldObjectId": ROCKET, "newObjectId": SHA}],
        "repository": azure_repository(),
        "pushId": 9,
        "date": "2026-11-22T09:30:00.065511Z",
    }
    return azure("git.push", resource)


def azure_release(kind: str = "completed", status: str = "succeeded", **more: Any) -> Json:
    environment = {
        "id": 5,
        "releaseId": 0,
        "name": "production",
        "status": status,
        "modifiedOn": "2026-11-22T09:29:17.26Z",
        "release": {"id": 31, "name": "Release-31"},
        "releaseDefinition": {"id": 1, "name": "web"},
    }
    resource = {"environment": environment, "project": {"id": "00", "name": "Shop"}, **more}
    return azure(f"ms.vss-release.deployment-{kind}-event", resource)


def azure_stage(state: str = "completed", result: str | None = "succeeded", name: str = "Deploy to production") -> Json:
    source = {
        "type": "Git",
        "change": {"message": "SHP-2 invoice", "version": SHA},
        "url": "https://acme@azure.example/acme/Shop/_git/web",
    }
    resource = {
        "stage": {"id": "c2c2", "name": "prod", "displayName": name, "state": state, "result": result},
        "run": {"id": 31, "name": "20261122.1", "state": "inProgress"},
        "pipeline": {"id": 2, "name": "web-ci"},
        "repositories": [source],
    }
    return azure("ms.vss-pipelines.stage-state-changed-event", resource)


def azure_build(name: str = "Deploy to staging", **more: Any) -> Json:
    resource = {
        "id": 27,
        "buildNumber": "20261122.1",
        "status": "completed",
        "result": "succeeded",
        "finishTime": "2026-11-22T09:29:10.69Z",
        "definition": {"id": 2, "name": name},
        "project": {"id": "65e4", "name": "Shop"},
        "repository": {"id": "4bc1", "type": "TfsGit", "name": "web"},
        "sourceBranch": "refs/heads/SHP-5",
        "sourceVersion": SHA,
        **more,
    }
    return azure("build.complete", resource)


# --- Trello ----------------------------------------------------------------------------------------------------------


def trello(kind: str = "updateCard", **data: Any) -> Json:
    return {
        "model": {"id": "b0a4d", "name": "Shop"},
        "action": {
            "id": "572a3733",
            "idMemberCreator": "m1",
            "type": kind,
            "date": "2026-11-22T09:30:00.770Z",
            "data": {
                "board": {"shortLink": "iqXX", "name": "Shop", "id": "b0a4d"},
                "card": {"shortLink": "r33y", "idShort": 2, "name": "Pay by invoice", "id": "ca4d"},
                **data,
            },
        },
    }


def trello_move(before: str = "To Do", after: str = "Doing") -> Json:
    return trello(listBefore={"name": before, "id": "l1"}, listAfter={"name": after, "id": "l2"}, old={"idList": "l1"})


# --- GitLab ----------------------------------------------------------------------------------------------------------

GITLAB_PROJECT: Json = {
    "id": 5,
    "name": "Shop",
    "web_url": "https://gitlab.example/acme/shop",
    "path_with_namespace": "acme/shop",
    "default_branch": "main",
}


def gitlab_labels(*titles: str) -> list[Json]:
    return [{"id": number, "title": title, "color": "#fff"} for number, title in enumerate(titles)]


def gitlab_issue(action: str | None = "update", changes: Json | None = None, **issue: Any) -> Json:
    attributes: Json = {
        "id": 8131350,
        "iid": 12,
        "title": "Pay by invoice",
        "state": "opened",
        "weight": 3,
        "created_at": "2026-11-20 08:00:00 UTC",
        "updated_at": "2026-11-22 09:30:00 UTC",
        "closed_at": None,
        "url": "https://gitlab.example/acme/shop/-/issues/12",
        **issue,
    }
    if action is not None:
        attributes["action"] = action
    return {
        "object_kind": "issue",
        "event_type": "issue",
        "user": {"id": 1, "name": "Robin"},
        "project": GITLAB_PROJECT,
        "object_attributes": attributes,
        "labels": gitlab_labels("workflow::doing", "bug"),
        "changes": changes or {},
    }


def gitlab_merge_request(action: str | None = "open", changes: Json | None = None, **request: Any) -> Json:
    attributes: Json = {
        "id": 99,
        "iid": 7,
        "title": "SHP-1: pay by invoice",
        "description": "Closes #12, #13 and acme/till#4",
        "source_branch": "SHP-2-invoice",
        "target_branch": "main",
        "state": "opened",
        "created_at": "2026-11-21 08:00:00 UTC",
        "updated_at": "2026-11-22 09:30:00 UTC",
        "merge_commit_sha": None,
        "last_commit": {"id": ROCKET, "message": "invoice", "timestamp": "2026-11-21T21:31:34+02:00"},
        **request,
    }
    if action is not None:
        attributes["action"] = action
    return {
        "object_kind": "merge_request",
        "project": GITLAB_PROJECT,
        "object_attributes": attributes,
        "changes": changes or {},
    }


def gitlab_push(ref: str = "refs/heads/main", **more: Any) -> Json:
    commits = [
        {"id": SHA, "message": "SHP-1 invoice", "timestamp": "2026-11-21T10:00:00+02:00"},
        {"id": ROCKET, "message": "Merge\n\nCloses #12", "timestamp": "2026-11-22T09:30:00Z"},
    ]
    return {"object_kind": "push", "ref": ref, "after": ROCKET, "project": GITLAB_PROJECT, "commits": commits, **more}


def gitlab_job(status: str = "success", **more: Any) -> Json:
    return {
        "object_kind": "build",
        "ref": "SHP-3",
        "sha": SHA,
        "build_id": 3580,
        "build_name": "deploy",
        "build_status": status,
        "build_created_at": "2026-11-22 09:00:00 UTC",
        "build_started_at": "2026-11-22 09:01:00 UTC",
        "build_finished_at": "2026-11-22 09:05:00 UTC",
        "project_name": "Acme / Shop",
        "project": GITLAB_PROJECT,
        "repository": {"name": "shop", "homepage": "https://gitlab.example/acme/shop"},
        "commit": {"id": 743, "sha": SHA, "message": "SHP-4 invoice"},
        "environment": {"name": "production", "action": "start", "deployment_tier": "production"},
        **more,
    }


def gitlab_pipeline(status: str = "success") -> Json:
    job = {
        "id": 3580,
        "stage": "deploy",
        "name": "deploy",
        "status": status,
        "started_at": "2026-11-22 09:01:00 UTC",
        "finished_at": "2026-11-22 09:05:00 UTC",
        "environment": {"name": "production", "action": "start", "deployment_tier": "production"},
    }
    test = {"id": 3579, "stage": "test", "name": "unit", "status": "success", "environment": None}
    return {
        "object_kind": "pipeline",
        "object_attributes": {"id": 31, "ref": "SHP-3", "sha": SHA, "status": status},
        "merge_request": {"iid": 7, "title": "SHP-1", "source_branch": "SHP-2-invoice"},
        "project": GITLAB_PROJECT,
        "commit": {"id": SHA, "message": "SHP-4 invoice"},
        "builds": [test, job],
    }


def gitlab_deployment(status: str = "success", **more: Any) -> Json:
    return {
        "object_kind": "deployment",
        "status": status,
        "status_changed_at": "2026-11-22 11:05:00 +0200",
        "deployment_id": 15,
        "deployable_id": 3580,
        "environment": "production",
        "project": GITLAB_PROJECT,
        "short_sha": SHA[:8],
        "commit_url": f"https://gitlab.example/acme/shop/-/commit/{SHA}",
        "commit_title": "SHP-4 invoice",
        "ref": "SHP-3",
        **more,
    }


def gitlab_release(action: str = "create") -> Json:
    return {
        "object_kind": "release",
        "action": action,
        "id": 1,
        "tag": "v1.1",
        "name": "v1.1: SHP-1",
        "description": "With SHP-2",
        "released_at": "2026-11-22 09:30:00 UTC",
        "created_at": "2026-11-22 09:29:00 UTC",
        "project": GITLAB_PROJECT,
        "commit": {"id": SHA, "message": "Release", "timestamp": "2026-11-22T09:00:00Z"},
    }


# --- GitHub ----------------------------------------------------------------------------------------------------------


def github_release(action: str = "published", **release: Any) -> Json:
    return {
        "action": action,
        "release": {
            "id": 17,
            "tag_name": "v1.1",
            "target_commitish": "main",
            "name": "v1.1: SHP-1",
            "body": "With SHP-2",
            "draft": False,
            "prerelease": False,
            "created_at": "2026-11-20T15:19:25Z",
            "published_at": "2026-11-22T09:30:00Z",
            **release,
        },
        "repository": {"id": 7, "full_name": "acme/shop"},
    }


def github_project_item(action: str = "edited", changes: Json | None = None) -> Json:
    body: Json = {
        "action": action,
        "projects_v2_item": {
            "id": 66,
            "node_id": "PVTI_1",
            "project_node_id": "PVT_shop",
            "content_node_id": "I_12",
            "content_type": "Issue",
            "created_at": "2026-11-20T08:00:00Z",
            "updated_at": "2026-11-22T09:30:00Z",
            "archived_at": None,
        },
        "organization": {"login": "acme", "id": 169},
    }
    if changes is not None:
        body["changes"] = changes
    return body


def github_field(name: str | None = "Status", to: Any = None, kind: str = "single_select") -> Json:
    value: Json = {"field_node_id": "PVTSSF_1", "field_type": kind}
    if name is not None:
        value |= {"field_name": name, "from": {"id": "1", "name": "Todo"}, "to": to}
    return {"field_value": value}


SAMPLES: list[tuple[str, dict[str, str], Json]] = [
    ("jira", {}, jira("jira:issue_created", jira_change("Status", None, "To Do", fieldId="status"))),
    (
        "jira",
        {},
        jira("jira:issue_updated", jira_change("status", "To Do", "Done"), jira_change("Flagged", "", "Impediment")),
    ),
    ("jira", {}, jira("jira:issue_updated", jira_change("Key", "CHK-12", "PAY-3"))),
    ("jira", {}, jira("jira:issue_deleted")),
    ("linear", {"linear-event": "Issue"}, linear("update", {"stateId": "2644"})),
    ("linear", {"linear-event": "Issue"}, linear("remove")),
    ("linear", {"linear-event": "Issue"}, linear("update", {"teamId": "t1"}, previousIdentifiers=["OPS-9"])),
    ("asana", {}, asana(asana_event("added", parent=asana_parent("section")), asana_event("deleted"))),
    ("clickup", {}, clickup("taskStatusUpdated", clickup_item("status", None, clickup_status("review")))),
    ("clickup", {}, clickup("taskTagUpdated", clickup_item("tag", None, [{"name": "blocked"}]))),
    ("clickup", {}, clickup("taskDeleted")),
    ("plane", {}, plane()),
    ("plane", {}, plane_v2()),
    ("plane", {}, plane_v2("workitem.deleted") | {"data": {}, "previous_attributes": {"project_id": "f00d"}}),
    ("azure-devops", {}, azure_created()),
    ("azure-devops", {}, azure_updated()),
    ("azure-devops", {}, azure_created("workitem.deleted")),
    ("azure-devops", {}, azure_pull()),
    ("azure-devops", {}, azure_pull("git.pullrequest.merged", status="completed", closedDate="2026-11-22T09:30:00Z")),
    ("azure-devops", {}, azure_push()),
    ("azure-devops", {}, azure_release()),
    ("azure-devops", {}, azure_stage()),
    ("azure-devops", {}, azure_build()),
    ("trello", {}, trello_move()),
    ("trello", {}, trello("addLabelToCard", label={"name": "blocked", "color": "red"})),
    ("trello", {}, trello("deleteCard")),
    ("gitlab", {}, gitlab_issue("update", {"labels": {"previous": [], "current": gitlab_labels("blocked")}})),
    ("gitlab", {}, gitlab_issue("close", type="Incident", closed_at="2026-11-22 09:29:59 UTC")),
    ("gitlab", {}, gitlab_merge_request("merge", merge_commit_sha=SHA)),
    ("gitlab", {}, gitlab_push()),
    ("gitlab", {}, gitlab_job()),
    ("gitlab", {}, gitlab_pipeline()),
    ("gitlab", {}, gitlab_deployment()),
    ("gitlab", {}, gitlab_release()),
    ("github", {"x-github-event": "release"}, github_release()),
    (
        "github",
        {"x-github-event": "projects_v2_item"},
        github_project_item("edited", github_field(to={"id": "2", "name": "Doing"})),
    ),
]
"""One payload of each shape that tells something: source, headers, body."""
