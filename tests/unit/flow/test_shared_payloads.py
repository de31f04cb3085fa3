"""Payloads of real senders, where they are at hand: each is told, ignored or refused as a person would expect."""

import json
from collections import Counter
from pathlib import Path

import pytest

from flow.adapters import ADAPTERS, Delivery
from flow.adapters.cloudevents import read_cloudevents
from flow.errors import Reason, Rejected
from flow.facts import ChangeFact, DeploymentFact, IncidentFact, ItemFact, decode_fact, encode_fact

PAYLOADS = Path(__file__).parents[3] / "../shared/payloads"

if not PAYLOADS.exists():
    pytest.skip("shared data not present", allow_module_level=True)

MANIFEST = json.loads((PAYLOADS / "MANIFEST.json").read_bytes())


def files_of(source):
    return [entry for entry in MANIFEST if entry["source"] == source and entry["file"].endswith(".json")]


def named(entry):
    return entry["file"]


def translate(source, headers, body):
    translation = ADAPTERS[source].translate(Delivery(source, headers, body, 0), lambda texts: ())
    assert (translation.ignored is None) == bool(translation.facts)
    assert all(decode_fact(encode_fact(fact)) == fact for fact in translation.facts)
    return translation


def expected_of_github(event, payload):
    """The kind and state or status of each fact that a person would read out of the payload."""
    if event == "issues" and "pull_request" not in payload["issue"]:
        return [(ItemFact, payload["issue"]["state"])]
    if event == "pull_request":
        closed = "merged" if payload["pull_request"].get("merged") else "abandoned"
        states = {"opened": "opened", "reopened": "opened", "closed": closed}
        return [(ChangeFact, states[payload["action"]])] if payload["action"] in states else []
    if event == "deployment_status":
        states = {"success": "succeeded", "in_progress": "started"}
        return [(DeploymentFact, states[payload["deployment_status"]["state"]])]
    if event == "release" and payload["action"] in {"released", "prereleased"}:
        return [(DeploymentFact, "succeeded")]
    if event == "push" and payload["ref"] == f"refs/heads/{payload['repository']['default_branch']}":
        return [(ChangeFact, "merged")] * len(payload["commits"])
    return []


@pytest.mark.parametrize("entry", files_of("github"), ids=named)
def test_payloads_of_github_are_told_or_ignored_as_a_person_would(entry):
    headers = dict(pair.split(": ", 1) for pair in entry["headers"].lower().split("; "))
    body = (PAYLOADS / "github" / entry["file"]).read_bytes()
    event = headers["x-github-event"]
    told = [
        (type(fact), fact.status if isinstance(fact, ItemFact) else fact.state)
        for fact in translate("github", headers, body).facts
    ]
    assert told == expected_of_github(event, json.loads(body))


CDEVENTS = {
    "change_created": (ChangeFact, "opened"),
    "change_merged": (ChangeFact, "merged"),
    "change_abandoned": (ChangeFact, "abandoned"),
    "service_deployed": (DeploymentFact, "succeeded"),
    "service_upgraded": (DeploymentFact, "succeeded"),
    "service_published": (DeploymentFact, "succeeded"),
    "service_rolledback": (DeploymentFact, "rolled_back"),
    "incident_detected": (IncidentFact, "opened"),
    "incident_reported": (IncidentFact, "opened"),
    "incident_resolved": (IncidentFact, "resolved"),
    "ticket_created": (ItemFact, "open"),
    "ticket_updated": (ItemFact, None),
    "ticket_closed": (ItemFact, "closed"),
}


@pytest.mark.parametrize("entry", files_of("cdevents"), ids=named)
def test_payloads_of_cdevents_tell_the_same_bare_structured_and_binary(entry):
    body = (PAYLOADS / "cdevents" / entry["file"]).read_bytes()
    context = json.loads(body)["context"]
    attributes = {"specversion": "1.0", "id": context["id"], "source": context["source"], "type": context["type"]}
    binary = {f"ce-{name}": value for name, value in attributes.items()} | {"content-type": "application/json"}
    structured = json.dumps(attributes).encode()[:-1] + b', "data": ' + body + b"}"
    bare = translate("cdevents", {"content-type": "application/json"}, body)
    assert bare == translate("cdevents", binary, body)
    assert bare == translate("cdevents", {"content-type": "application/cloudevents+json"}, structured)
    told = [(type(fact), fact.status if isinstance(fact, ItemFact) else fact.state) for fact in bare.facts]
    expected = CDEVENTS.get("_".join(context["type"].split(".")[2:4]))
    assert told == ([expected] if expected else [])


@pytest.mark.parametrize("entry", files_of("cloudevents"), ids=named)
def test_payloads_of_cloudevents_are_read_but_their_types_are_not_known(entry):
    headers = dict(pair.split(": ", 1) for pair in entry["headers"].lower().split("; "))
    body = (PAYLOADS / "cloudevents" / entry["file"]).read_bytes()
    if b"... base64 encoded string ..." not in body:
        assert read_cloudevents(Delivery("cloudevents", headers, body, 0))
    with pytest.raises(Rejected) as error:
        translate("cdevents", headers, body)
    assert error.value.reason is Reason.NOT_UNDERSTOOD


def test_no_payload_of_any_sender_makes_an_adapter_fail_otherwise_than_by_refusing_it():
    seen: Counter[str] = Counter()
    for entry in MANIFEST:
        body = (PAYLOADS / entry["source"] / entry["file"]).read_bytes()
        for event in ("issues", "pull_request", "deployment_status", "push", "workflow_run"):
            for source in ADAPTERS:
                try:
                    translate(source, {"x-github-event": event}, body)
                    seen["read"] += 1
                except Rejected as error:
                    seen[error.reason] += 1
    assert set(seen) <= {"read", Reason.NOT_UNDERSTOOD, Reason.MALFORMED_JSON}
    assert seen["read"]
