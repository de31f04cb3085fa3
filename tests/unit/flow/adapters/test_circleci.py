import pytest

from flow.facts import DeploymentFact
from flow.instants import parse_instant
from tests.unit.flow.adapters.telling import ignored, is_the_same_when_sent_again, only, survives_everything

HEADERS = {"circleci-event-type": "workflow-completed", "circleci-signature": "v1=00"}
STOPPED = parse_instant("2026-11-22T09:30:10.250Z")


def event(kind="workflow-completed", workflow="deploy-production", status="success", pipeline=None, job=None, **more):
    return {
        "type": kind,
        "id": "9d2f5f0e-0000-4000-8000-000000000001",
        "happened_at": "2026-11-22T09:30:11.000000Z",
        "webhook": {"id": "w-1", "name": "gauge"},
        "workflow": {
            "id": "wf-1", "name": workflow, "status": status, "created_at": "2026-11-22T09:29:00Z",
            "stopped_at": "2026-11-22T09:30:10.250Z", "url": "https://ci.example/wf-1",
        },
        **({"job": job} if job else {}),
        "pipeline": pipeline or {
            "id": "p-1", "number": 7, "trigger": {"type": "webhook"},
            "vcs": {
                "provider_name": "github", "origin_repository_url": "https://code.example/robin/shop",
                "target_repository_url": "https://code.example/acme/shop", "revision": "4f2a" * 10, "branch": "main",
                "commit": {"subject": "SHP-4 Pay with a card", "body": None, "committed_at": None},
            },
        },
        "project": {"id": "pr-1", "name": "shop", "slug": "gh/acme/shop"},
        "organization": {"id": "o-1", "name": "acme"},
        **more,
    }  # fmt: skip


def job(name, status="success"):
    stopped = "2026-11-22T09:30:10.250Z"
    return {"id": "job-1", "name": name, "number": 9, "status": status, "started_at": None, "stopped_at": stopped}


def test_a_workflow_that_deploys_is_a_deployment_of_its_repository():
    fact = only("circleci", event(), HEADERS)
    assert fact.id.startswith("deployment:wf-1:")
    assert fact == DeploymentFact(
        id=fact.id,
        source="circleci",
        service="acme/shop",
        environment="production",
        deployment="wf-1",
        at=STOPPED,
        state="succeeded",
        seq=1,
        commit="4f2a" * 10,
        items=("SHP-4",),
    )


@pytest.mark.parametrize("status", ["failed", "error", "timedout", "infrastructure_fail"])
def test_a_failed_workflow_is_a_failed_deployment(status):
    assert only("circleci", event(status=status)).state == "failed"


@pytest.mark.parametrize("status", ["canceled", "unauthorized", "not_run", None])
def test_what_is_canceled_deploys_nothing(status):
    assert "deploys nothing" in ignored("circleci", event(status=status))


def test_a_job_that_deploys_counts_when_its_workflow_does_not():
    fact = only("circleci", event("job-completed", "build-test", job=job("deploy-staging")))
    assert (fact.deployment, fact.environment) == ("job-1", "staging")


def test_a_job_of_a_workflow_that_deploys_is_not_counted_twice():
    assert "the workflow tells" in ignored("circleci", event("job-completed", job=job("deploy-production")))


def test_a_workflow_without_an_environment_in_its_name_is_ignored_and_says_how_to_name_one():
    assert "Deploy to" in ignored("circleci", event(workflow="build-and-test"))
    assert "Deploy to" in ignored("circleci", event("job-completed", "main", job=job("test")))


def test_pitfall_gitlab_and_github_app_projects_have_no_vcs_but_trigger_parameters():
    pipeline = {
        "id": "p-1",
        "trigger_parameters": {
            "circleci": {"trigger_type": "gitlab", "event_type": "push"},
            "git": {"checkout_sha": "9c1d" * 10, "branch": "SHP-8-cards", "commit_title": "Cards"},
            "gitlab": {"web_url": "https://code.example/acme/retail/shop", "commit_message": "SHP-9"},
        },
    }
    fact = only("circleci", event(pipeline=pipeline, project={"slug": "circleci/Ab1/Cd2", "id": "x", "name": "shop"}))
    assert (fact.service, fact.commit, fact.items) == ("acme/retail/shop", "9c1d" * 10, ("SHP-8", "SHP-9"))


@pytest.mark.parametrize("parameters", [None, {}, {"git": None, "gitlab": None}])
def test_without_any_address_the_project_names_the_service(parameters):
    fact = only("circleci", event(pipeline={"trigger_parameters": parameters, "vcs": None}))
    assert (fact.service, fact.commit) == ("acme/shop", None)


def test_a_ping_is_abbreviated_and_ignored():
    body = {"type": "ping", "id": "1", "happened_at": "2026-11-22T09:30:11Z", "webhook": {"id": "w", "name": "n"}}
    assert "ping" in ignored("circleci", body)


def test_pitfall_duplicates_have_the_same_ids_whatever_webhook_sent_them():
    assert is_the_same_when_sent_again("circleci", event())
    assert only("circleci", event()).id == only("circleci", event(id="another-webhook's")).id


def test_nothing_that_is_sent_breaks_it():
    assert survives_everything("circleci", event("job-completed", "main", job=job("deploy-qa"))) > 500
    assert survives_everything("circleci", event()) > 400
