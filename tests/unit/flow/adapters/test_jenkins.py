import json

import pytest

from flow.facts import DeploymentFact
from flow.instants import parse_instant
from tests.unit.flow.adapters.telling import (
    ARRIVED,
    ignored,
    is_the_same_when_sent_again,
    only,
    refused,
    survives_everything,
    told,
)

ENDED = parse_instant("2026-11-22T09:30:00.250Z")


def build(phase="FINALIZED", status="SUCCESS", job="job/retail/job/deploy-production/", **more):
    return {
        "name": job.rstrip("/").rpartition("/")[2],
        "display_name": "whatever",
        "url": job,
        "build": {
            "full_url": f"https://ci.example/{job}12/",
            "number": 12,
            "queue_id": 77,
            "timestamp": ENDED,
            "duration": 61_000,
            "phase": phase,
            "status": status,
            "url": f"{job}12/",
            "scm": {"url": "git@code.example:acme/shop.git", "branch": "origin/SHP-3-cards", "commit": "4f2a" * 10},
            "parameters": {"note": "brings SHP-9"},
            "log": "",
            "artifacts": {},
            **more,
        },
    }


def test_a_job_named_deploy_production_deploys_the_repository_that_it_built():
    fact = only("jenkins", build())
    assert fact.id.startswith("jenkins:retail/deploy-production#12:succeeded:")
    assert fact == DeploymentFact(
        id=fact.id,
        source="jenkins",
        service="acme/shop",
        environment="production",
        deployment="retail/deploy-production#12",
        at=ENDED,
        state="succeeded",
        seq=1,
        commit="4f2a" * 10,
        items=("SHP-3", "SHP-9"),
    )


def test_parameters_say_what_no_name_can():
    parameters = {
        "DEPLOY_ENVIRONMENT": "staging",
        "DEPLOY_SERVICE": "checkout",
        "DEPLOY_REMEDIATES": "P-3",
        "DRY": False,
    }
    fact = only("jenkins", build(job="job/release/", parameters=parameters))
    assert (fact.environment, fact.service, fact.remediates) == ("staging", "checkout", "P-3")


def test_without_scm_the_service_is_the_path_of_the_job():
    fact = only("jenkins", build(scm={}))
    assert (fact.service, fact.commit) == ("retail/deploy-production", None)


def test_pitfall_completed_and_finalized_tell_of_one_end():
    completed, finalized = (
        only("jenkins", build("COMPLETED")),
        only("jenkins", build("FINALIZED", timestamp=ENDED + 900)),
    )
    assert completed.id == finalized.id
    assert only("jenkins", build("FINISHED")).id == completed.id


def test_a_start_is_told_apart_from_its_end():
    start = only("jenkins", build("STARTED", status=None))
    assert (start.state, start.seq) == ("started", 0)
    assert start.deployment == only("jenkins", build()).deployment


def test_pitfall_old_plugins_send_no_timestamp_and_no_scm():
    body = {
        "name": "deploy-qa",
        "url": "job/deploy-qa/",
        "build": {"number": 4, "phase": "FINISHED", "status": "FAILURE"},
    }
    fact = only("jenkins", body)
    assert (fact.at, fact.state, fact.service, fact.environment) == (ARRIVED, "failed", "deploy-qa", "qa")
    assert is_the_same_when_sent_again("jenkins", body)


@pytest.mark.parametrize(
    ("phase", "status", "state"),
    [("FINALIZED", "UNSTABLE", "succeeded"), ("FINALIZED", "FAILURE", "failed"), ("COMPLETED", "SUCCESS", "succeeded")],
)
def test_results_are_read(phase, status, state):
    assert only("jenkins", build(phase, status)).state == state


@pytest.mark.parametrize(
    ("phase", "status"), [("QUEUED", None), ("FINALIZED", "ABORTED"), ("FINALIZED", "NOT_BUILT"), ("FINALIZED", None)]
)
def test_what_did_not_run_to_its_end_deploys_nothing(phase, status):
    assert "deploys nothing" in ignored("jenkins", build(phase, status))


def test_a_job_that_names_no_environment_is_ignored_and_says_how_to_name_one():
    assert "Deploy to" in ignored("jenkins", build(job="job/retail/job/main/"))


def test_jobs_of_two_folders_or_servers_are_not_one():
    other = build(job="job/books/job/deploy-production/")
    elsewhere = build(full_url="https://ci2.example/job/retail/job/deploy-production/12/")
    assert len({only("jenkins", body).id for body in (build(), other, elsewhere)}) == 3


def test_a_repeated_notification_adds_nothing():
    assert is_the_same_when_sent_again("jenkins", build())


def test_nothing_that_is_sent_breaks_it():
    assert survives_everything("jenkins", build()) > 200
    refused(
        "jenkins",
        {"name": "x", "url": "job/" + "x" * 240, "build": build(parameters={"deploy-environment": "p"})["build"]},
    )


def test_the_charset_of_the_content_type_and_a_byte_order_mark_do_not_matter():
    body = b"\xef\xbb\xbf" + json.dumps(build()).encode()
    assert told("jenkins", body, {"content-type": "application/json;charset=UTF-8"}).facts
