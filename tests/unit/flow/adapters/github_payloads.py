"""Webhooks of GitHub in their documented shapes, with invented names."""

REPOSITORY = {"id": 7, "full_name": "acme/shop", "default_branch": "main", "pushed_at": 1795340000}
SHA = "4f2a" * 10


def issues(action="edited", **issue):
    return {
        "action": action,
        "repository": REPOSITORY,
        "sender": {"login": "robin"},
        "issue": {
            "node_id": "I_1",
            "number": 12,
            "state": "open",
            "title": "Pay by invoice",
            "html_url": "https://github.com/acme/shop/issues/12",
            "created_at": "2026-11-20T08:00:00Z",
            "updated_at": "2026-11-22T09:30:00Z",
            "closed_at": None,
            "labels": [{"id": 2, "name": "web"}, {"id": 1, "name": "bug"}],
            **issue,
        },
    }


def pull_request(action="opened", **pull):
    return {
        "action": action,
        "number": 77,
        "repository": REPOSITORY,
        "pull_request": {
            "number": 77,
            "state": "open",
            "title": "Pay by invoice",
            "body": None,
            "draft": False,
            "merged": False,
            "created_at": "2026-11-21T08:00:00Z",
            "updated_at": "2026-11-22T09:30:00Z",
            "closed_at": None,
            "merged_at": None,
            "merge_commit_sha": None,
            "head": {"ref": "invoice", "sha": SHA},
            **pull,
        },
    }


def deployment_status(state="success", **deployment):
    return {
        "action": "created",
        "repository": REPOSITORY,
        "deployment": {
            "id": 145988746,
            "sha": SHA,
            "ref": "release/SHP-3",
            "environment": "production",
            "description": None,
            "created_at": "2026-11-22T09:00:00Z",
            **deployment,
        },
        "deployment_status": {
            "id": 1,
            "state": state,
            "created_at": "2026-11-22T09:05:00Z",
            "description": "",
            "environment": "production",
        },
    }


def commit(number=1, message="Pay by invoice"):
    return {"id": f"{number:040x}", "message": message, "timestamp": "2026-11-21T10:00:00+02:00", "distinct": True}


def push(*commits, ref="refs/heads/main", **more):
    return {"ref": ref, "deleted": False, "repository": REPOSITORY, "commits": list(commits), **more}


def workflow_run(status="completed", conclusion="success", name="Deploy to production", **run):
    return {
        "action": "completed",
        "repository": REPOSITORY,
        "workflow_run": {
            "id": 99,
            "name": name,
            "status": status,
            "conclusion": conclusion,
            "run_attempt": 2,
            "head_sha": SHA,
            "head_branch": "main",
            "display_title": "SHP-4 pay by invoice",
            "created_at": "2026-11-22T09:00:00Z",
            "run_started_at": "2026-11-22T09:01:00Z",
            "updated_at": "2026-11-22T09:09:00Z",
            **run,
        },
    }


EVERY_KIND = [
    ("issues", issues("opened")),
    ("issues", issues("labeled")),
    ("pull_request", pull_request()),
    ("deployment_status", deployment_status()),
    ("push", push(commit())),
    ("workflow_run", workflow_run()),
]
"""By the name of the event."""

SAMPLES = [("github", {"x-github-event": event}, payload) for event, payload in EVERY_KIND]
"""The same as source, headers, body."""
