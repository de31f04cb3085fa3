import pytest

from flow.errors import Reason
from flow.facts import DeploymentFact
from flow.instants import parse_instant
from tests.unit.flow.adapters.telling import ignored, is_the_same_when_sent_again, only, refused, survives_everything

STARTED, FINISHED = (parse_instant(f"2026-11-22T09:{minute}:00.500Z") for minute in (30, 34))


def event(kind="build.finished", state="passed", slug="deploy-production", job=None, meta_data=None, **build):
    return {
        "event": kind,
        "build": {
            "id": "b-1", "url": "https://api.ci.example/b-1", "number": 27, "state": state, "blocked": False,
            "message": "SHP-4: Pay with a card", "commit": "4f2a" * 10, "branch": "main", "tag": None,
            "source": "webhook", "meta_data": meta_data or {}, "created_at": "2026-11-22T09:29:00.000Z",
            "scheduled_at": "2026-11-22T09:29:00.000Z", "started_at": "2026-11-22 09:30:00.500 UTC",
            "finished_at": "2026-11-22 09:34:00.500 UTC", **build,
        },
        **({"job": job} if job else {}),
        "pipeline": {
            "id": "p-1", "name": slug, "slug": slug, "repository": "git@code.example:acme/shop.git",
        },
        "sender": {"id": "u-1", "name": "Robin"},
    }  # fmt: skip


def job(name, kind="script", state="passed"):
    return {
        "id": "j-1", "type": kind, "name": name, "state": state, "soft_failed": False,
        "started_at": "2026-11-22T09:30:00.500Z", "finished_at": "2026-11-22T09:34:00.500Z",
    }  # fmt: skip


def test_a_build_of_a_deploying_pipeline_is_a_deployment_of_its_repository():
    fact = only("buildkite", event())
    assert fact == DeploymentFact(
        id=fact.id,
        source="buildkite",
        service="acme/shop",
        environment="production",
        deployment="b-1",
        at=FINISHED,
        state="succeeded",
        seq=1,
        commit="4f2a" * 10,
        items=("SHP-4",),
    )


def test_meta_data_say_what_no_name_can():
    meta_data = {"deploy-environment": "staging", "deploy-service": "checkout", "deploy-remediates": "P-3", "x": 1}
    fact = only("buildkite", event(slug="release", meta_data=meta_data))
    assert (fact.environment, fact.service, fact.remediates) == ("staging", "checkout", "P-3")


def test_a_running_build_has_started():
    fact = only("buildkite", event("build.running", "running", finished_at=None))
    assert (fact.state, fact.at, fact.seq) == ("started", STARTED, 0)


def test_pitfall_the_body_may_show_a_later_state_than_the_event():
    assert only("buildkite", event("build.running", "passed")) == only("buildkite", event("build.finished", "passed"))


def test_pitfall_a_build_that_waits_at_a_block_step_is_said_to_be_finished():
    assert "block step" in ignored("buildkite", event(state="passed", blocked=True))
    assert "deploys nothing" in ignored("buildkite", event(state="blocked"))


@pytest.mark.parametrize("state", ["scheduled", "canceled", "canceling", "skipped", "not_run", None])
def test_what_did_not_run_to_its_end_deploys_nothing(state):
    assert "deploys nothing" in ignored("buildkite", event(state=state))


def test_a_failed_build_is_a_failed_deployment():
    assert only("buildkite", event(state="failed")).state == "failed"


def test_a_step_that_deploys_counts_when_its_pipeline_does_not():
    fact = only("buildkite", event("job.finished", slug="shop", job=job(":rocket: Deploy to production")))
    assert (fact.deployment, fact.environment, fact.state) == ("j-1", "production", "succeeded")


def test_a_step_of_a_pipeline_that_deploys_is_not_counted_twice():
    assert "the build tells" in ignored("buildkite", event("job.finished", job=job("Deploy to production")))


@pytest.mark.parametrize("kind", ["trigger", "waiter", "manual"])
def test_a_trigger_step_ends_before_what_it_triggers(kind):
    assert kind in ignored("buildkite", event("job.finished", slug="shop", job=job("Deploy to production", kind)))


def test_other_events_and_builds_are_ignored_with_the_reason():
    assert "Deploy to" in ignored("buildkite", event(slug="shop"))
    assert "ping" in ignored("buildkite", {"event": "ping", "service": {"id": "s"}, "sender": {"id": "u"}})
    assert "agent.connected" in ignored("buildkite", {"event": "agent.connected", "agent": {}})


def test_pitfall_events_of_eventbridge_have_another_shape_and_are_refused():
    body = {"detail-type": "Build Finished", "detail": {"build": {"uuid": "b-1", "state": "passed"}}}
    assert refused("buildkite", body).reason is Reason.NOT_UNDERSTOOD


def test_a_redelivery_adds_nothing_for_there_is_no_key_of_buildkite():
    assert is_the_same_when_sent_again("buildkite", event())


def test_nothing_that_is_sent_breaks_it():
    assert survives_everything("buildkite", event()) > 300
    assert survives_everything("buildkite", event("job.finished", slug="shop", job=job("Deploy to qa"))) > 400
