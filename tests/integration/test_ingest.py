"""Facts in over HTTP, against a real log: 202 means that it is there, and anything else means that it is not."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest

from flow.adapters import Source
from flow.errors import Reason, Unavailable
from flow.facts import DeploymentFact, IncidentFact, ItemFact, SignalFact
from flow.signatures import SCHEMES
from service.app import App
from service.self_metrics import SelfMetrics
from service.webhooks import WebhookRoute
from tests.integration.taking_in import BOUNDS, NOW, PREVIOUS, SECRET, parts_of, taking

ITEM = {
    "subject": "item", "id": "evt-1", "source": "acme", "project": "CHK", "item": "CHK-12",
    "at": "2026-11-22T09:30:00Z", "status": "In Review",
}  # fmt: skip
DEPLOYMENT = {
    "subject": "deployment", "id": "evt-2", "source": "acme", "service": "checkout", "deployment": "d-9",
    "at": "2026-11-22T10:00:00Z", "state": "succeeded", "items": ["CHK-12", "XYZ-1"],
}  # fmt: skip
ISSUE = {
    "action": "opened",
    "issue": {
        "number": 7, "node_id": "I_1", "title": "Pay with a card", "state": "open", "labels": [],
        "created_at": "2026-11-22T09:00:00Z", "updated_at": "2026-11-22T09:00:00Z",
        "html_url": "https://code.example.org/acme/shop/issues/7",
    },
    "repository": {"full_name": "acme/shop", "default_branch": "main"},
}  # fmt: skip
CDEVENT = {
    "context": {
        "specversion": "0.5.0", "id": "ce-1", "source": "/acme/ci", "type": "dev.cdevents.incident.detected.0.3.0",
        "timestamp": "2026-11-22T09:00:00Z",
    },
    "subject": {"id": "P-3", "content": {"environment": {"id": "production"}, "service": {"id": "checkout"}}},
}  # fmt: skip


class Broken:
    """A log that can't be written."""

    def __init__(self, reason):
        self.reason = reason

    async def append(self, facts):
        raise Unavailable(self.reason, "not now", 7)

    async def append_letter(self, letter):
        raise Unavailable(self.reason, "not now", 7)


@pytest.fixture
async def world(redis):
    async with taking(redis) as world:
        yield world


def is_problem(response, status, reason):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["reason"] == reason
    return True


# --- native facts ----------------------------------------------------------------------------------------------------


async def test_a_fact_that_got_202_is_in_the_log(world):
    response = await world.post_facts(ITEM)
    assert (response.status_code, response.json()) == (202, {"accepted": 1})
    [fact] = await world.facts()
    assert fact == ItemFact(
        id="evt-1", source="acme", item="CHK-12", at=1_795_339_800_000, status="In Review", project="CHK"
    )


async def test_a_deployment_brings_signals_of_the_items_that_a_stream_knows(world):
    response = await world.post_facts([ITEM, DEPLOYMENT])
    assert response.json() == {"accepted": 2}
    facts = await world.facts()
    assert sorted(type(fact).__name__ for fact in facts) == ["DeploymentFact", "ItemFact", "SignalFact"]
    [signal] = [fact for fact in facts if isinstance(fact, SignalFact)]
    assert (signal.item, signal.signal, signal.environment) == ("CHK-12", "deployment.succeeded", "production")


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/jsonl; charset=utf-8", "application/json"])
async def test_facts_may_come_one_a_line_and_gzipped(world, kind):
    lines = "\n".join(json.dumps(ITEM | {"id": f"evt-{number}"}) for number in range(500)).encode()
    response = await world.post_facts(gzip.compress(lines), content_type=kind, content_encoding="gzip")
    assert response.json() == {"accepted": 500}
    assert {fact.id for fact in await world.facts()} == {f"evt-{number}" for number in range(500)}


async def test_one_bad_fact_refuses_all_and_says_which(world):
    response = await world.post_facts([ITEM, ITEM | {"statuss": "x"}])
    assert is_problem(response, 400, "invalid_fact")
    assert response.json()["problems"] == [
        {"where": "fact 2", "what": "`statuss` is not a field of facts about an item: did you mean `status`?"}
    ]
    assert await world.facts() == []


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"", {}, 400, "malformed_json"),
        (b"[]", {}, 400, "invalid_fact"),
        (b"{", {}, 400, "malformed_json"),
        (b"\xff", {}, 400, "malformed_json"),
        (b"[" * 50_000, {}, 400, "malformed_json"),
        (json.dumps(ITEM | {"at": "0001-01-01T00:00:00Z"}).encode(), {}, 400, "at_too_old"),
        (json.dumps(ITEM | {"at": "3000-01-01T00:00:00Z"}).encode(), {}, 400, "at_in_future"),
        (json.dumps(ITEM | {"id": "x" * 10_000}).encode(), {}, 400, "invalid_fact"),
        (b"{}", {"content_type": "text/plain"}, 415, "unsupported_media_type"),
        (b"{}", {"content_type": ""}, 415, "unsupported_media_type"),
        (b"{}", {"content_encoding": "br"}, 415, "unsupported_media_type"),
        (b"{}", {"content_encoding": "gzip"}, 400, "invalid_encoding"),
        (b" " * (BOUNDS.most_body + 1), {}, 413, "too_large"),
        (gzip.compress(b" " * 10**8), {"content_encoding": "gzip"}, 413, "too_large"),
        (b"{}", {"authorization": ""}, 401, "missing_token"),
        (b"{}", {"authorization": "Bearer other"}, 401, "bad_token"),
        (b"{}", {"authorization": "Basic dDpv"}, 401, "missing_token"),
    ],
)
async def test_what_is_wrong_is_refused_and_leaves_nothing(world, body, headers, status, reason):
    assert is_problem(await world.post_facts(body, **headers), status, reason)
    assert await world.facts() == []
    assert await world.letters() == []


async def test_a_body_that_never_ends_is_refused_where_the_limit_is(world):
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 10_000
            yield b" " * 10_000

    headers = {"content-type": "application/json"}
    assert is_problem(await world.client.post("/v1/facts", content=endless(), headers=headers), 413, "too_large")
    assert sent <= BOUNDS.most_body + 20_000


@pytest.mark.parametrize("reason", [Reason.OVERLOADED, Reason.LOG_UNAVAILABLE])
@pytest.mark.parametrize("route", ["facts", "webhook", "letter", "cloudevents"])
async def test_what_is_not_durable_is_answered_503(redis, reason, route):
    async with taking(redis, Broken(reason)) as world:
        if route == "facts":
            response = await world.post_facts(ITEM)
        elif route == "cloudevents":
            response = await post_event(world, ITEM)
        else:
            response = await world.post_webhook(json.dumps(ISSUE if route == "webhook" else {}).encode())
        assert is_problem(response, 503, reason)
        assert response.headers["retry-after"] == "7"


# --- webhooks --------------------------------------------------------------------------------------------------------


async def test_a_signed_delivery_is_in_the_log(world):
    response = await world.post_webhook(json.dumps(ISSUE).encode())
    assert (response.status_code, response.json()) == (202, {"accepted": 1})
    [fact] = await world.facts()
    assert (fact.source, fact.item, fact.status) == ("github", "acme/shop#7", "open")
    assert await world.letters() == []


async def test_the_previous_secret_is_taken_while_they_are_changed(world):
    assert (await world.post_webhook(json.dumps(ISSUE).encode(), PREVIOUS)).status_code == 202


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"x_hub_signature_256": ""}, "missing_signature"),
        ({"x_hub_signature_256": "sha256=" + "0" * 64}, "bad_signature"),
        ({"x_hub_signature_256": b"caf\xe9"}, "bad_signature"),
        ({"x_hub_signature_256": "sha1=00"}, "bad_signature"),
    ],
)
async def test_what_is_not_signed_rightly_is_refused_and_not_kept(world, headers, reason):
    assert is_problem(await world.post_webhook(json.dumps(ISSUE).encode(), **headers), 401, reason)
    assert is_problem(await world.post_webhook(b"\xff\xfe no json", **headers), 401, reason)
    assert await world.facts() == []
    assert await world.letters() == []
    assert world.counted("streamgauge_webhook_rejections_total", source="github", reason=reason) == 2


async def test_the_bytes_are_verified_as_they_came(world):
    body = json.dumps(ISSUE, indent=3).encode() + b"\n "
    assert (await world.post_webhook(body)).status_code == 202
    signature = (await world.post_webhook(body)).request.headers["x-hub-signature-256"]
    again = json.dumps(ISSUE).encode()
    assert is_problem(await world.post_webhook(again, x_hub_signature_256=signature), 401, "bad_signature")


async def test_a_source_that_is_off_looks_like_one_that_nobody_knows(world):
    body = json.dumps(ISSUE).encode()
    off = [await world.client.post(f"/webhooks/{name}", content=body) for name in ("cdevents", "nobody", "a/b", "")]
    assert [is_problem(response, 404, "source_off") for response in off] == [True] * 4
    assert len({response.text for response in off}) == 1


async def test_an_authentic_delivery_that_is_not_understood_is_kept_whole(world):
    body = b'{"action": "opened"}\n'
    response = await world.post_webhook(body, x_github_delivery="g-1", cookie="secret=1")
    assert (response.status_code, response.json()["accepted"], response.json()["kept"]) == (202, 0, 1)
    [letter] = await world.letters()
    assert (letter.kind, letter.source, letter.reason, letter.at) == ("delivery", "github", "not_understood", NOW)
    assert letter.body == body
    headers = json.loads(letter.headers)
    assert (headers["x-github-event"], headers["x-github-delivery"]) == ("issues", "g-1")
    assert not {"authorization", "cookie", "x-hub-signature-256"} & set(headers)
    assert SECRET.encode() not in letter.headers


async def test_malformed_json_of_an_authentic_sender_is_kept_too(world):
    assert (await world.post_webhook(b"\xff{")).status_code == 202
    assert [(letter.reason, letter.body) for letter in await world.letters()] == [("malformed_json", b"\xff{")]


async def test_an_event_that_says_nothing_of_work_is_ignored(world):
    response = await world.post_webhook(b"{}", x_github_event="ping")
    assert (response.status_code, response.json()) == (200, {"accepted": 0, "ignored": "ping"})
    assert await world.letters() == []


async def test_a_fault_of_an_adapter_loses_no_delivery(world, caplog):
    def breaks(delivery, item_names):
        raise KeyError("s3cret payload text")

    metrics = SelfMetrics()
    parts = parts_of(world.app._facts._intake.writer, metrics)
    world.app._webhooks = WebhookRoute(
        world.app._facts._intake,
        item_names=lambda texts: (),
        secrets=parts.secrets,
        bounds=BOUNDS,
        clock=parts.clock,
        metrics=metrics,
        sources={"github": Source("github", breaks, SCHEMES["github"], "")},
    )
    response = await world.post_webhook(b'{"a": 1}')
    assert (response.status_code, response.json()["kept"]) == (202, 1)
    [letter] = await world.letters()
    assert (letter.reason, letter.body) == ("not_understood", b'{"a": 1}')
    assert "adapter_broke source=github error=KeyError" in caplog.text
    assert "payload text" not in caplog.text


async def test_senders_may_try_an_address_and_other_methods_are_refused(world):
    assert (await world.client.head("/webhooks/github")).status_code == 200
    for method, path, allowed in (
        ("GET", "/webhooks/github", "POST, HEAD"),
        ("PUT", "/v1/facts", "POST"),
        ("DELETE", "/v1/cloudevents", "POST, OPTIONS"),
    ):
        response = await world.client.request(method, path)
        assert (response.status_code, response.headers["allow"]) == (405, allowed)


async def test_a_webhook_may_be_larger_than_facts_but_not_any_size(world):
    big = json.dumps(ISSUE | {"padding": "x" * BOUNDS.most_body}).encode()
    assert (await world.post_webhook(big)).status_code == 202
    assert is_problem(await world.post_webhook(b" " * (BOUNDS.most_webhook_body + 1)), 413, "too_large")


# --- CloudEvents -----------------------------------------------------------------------------------------------------


def event_of(data, kind="com.example.item.moved", number=1):
    return {"specversion": "1.0", "id": str(number), "source": "/acme", "type": kind, "data": data}


async def post_event(world, data, kind="com.example.item.moved"):
    headers = {"content-type": "application/cloudevents+json"}
    return await world.client.post("/v1/cloudevents", json=event_of(data, kind), headers=headers)


async def test_a_native_fact_inside_a_cloudevent_is_taken(world):
    response = await post_event(world, ITEM)
    assert (response.status_code, response.json()) == (202, {"accepted": 1, "ignored": 0, "kept": 0})
    assert [type(fact) for fact in await world.facts()] == [ItemFact]


async def test_a_cdevent_inside_a_cloudevent_is_taken(world):
    assert (await post_event(world, CDEVENT, "dev.cdevents.incident.detected.0.3.0")).json()["accepted"] == 1
    assert [type(fact) for fact in await world.facts()] == [IncidentFact]


async def test_the_binary_mode_is_taken(world):
    headers = {f"ce-{name}": value for name, value in event_of(None).items() if value}
    response = await world.client.post(
        "/v1/cloudevents", content=json.dumps(ITEM), headers=headers | {"content-type": "application/json"}
    )
    assert response.json()["accepted"] == 1


async def test_of_a_batch_what_is_not_understood_is_kept_and_the_rest_is_taken(world):
    batch = [
        event_of(ITEM),
        event_of({"hello": 1}, "com.example.hello"),
        event_of({"subject": "item"}),
        event_of(DEPLOYMENT),
    ]
    body = json.dumps(batch).encode()
    headers = {"content-type": "application/cloudevents-batch+json"}
    response = await world.client.post("/v1/cloudevents", content=body, headers=headers)
    assert response.status_code == 202
    assert {name: response.json()[name] for name in ("accepted", "ignored", "kept")} == {
        "accepted": 2, "ignored": 0, "kept": 2,
    }  # fmt: skip
    assert "com.example.hello" in response.json()["problems"][0]
    [letter] = await world.letters()
    assert (letter.source, letter.body) == ("cloudevents", body)
    assert "authorization" not in json.loads(letter.headers)
    assert {type(fact) for fact in await world.facts()} == {ItemFact, DeploymentFact, SignalFact}


@pytest.mark.parametrize(
    ("body", "kind", "status", "reason"),
    [
        (b"{", "application/cloudevents+json", 400, "malformed_json"),
        (b"{}", "application/cloudevents+json", 400, "not_understood"),
        (b"[]", "application/cloudevents+json", 400, "not_understood"),
        (b"<a/>", "application/cloudevents+xml", 415, "unsupported_media_type"),
        (b"{}", "application/json", 415, "unsupported_media_type"),
        (b" " * (BOUNDS.most_body + 1), "application/cloudevents+json", 413, "too_large"),
    ],
)
async def test_what_is_no_cloudevent_is_refused(world, body, kind, status, reason):
    response = await world.client.post("/v1/cloudevents", content=body, headers={"content-type": kind})
    assert is_problem(response, status, reason)
    assert await world.letters() == []


async def test_cloudevents_need_a_token_but_the_handshake_does_not(world):
    response = await world.client.post("/v1/cloudevents", headers={"authorization": ""})
    assert is_problem(response, 401, "missing_token")
    asked = {"webhook-request-origin": "events.example.org", "authorization": ""}
    answer = await world.client.options("/v1/cloudevents", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["webhook-allowed-origin"] == "events.example.org"
    assert answer.headers["webhook-allowed-rate"] == "*"


# --- the whole -------------------------------------------------------------------------------------------------------


async def test_many_senders_at_once_lose_nothing(world):
    async def send(number):
        response = await world.post_facts(
            [ITEM | {"id": f"{number}-{part}", "item": f"CHK-{part}"} for part in range(3)]
        )
        return response.status_code

    assert await asyncio.gather(*[send(number) for number in range(100)]) == [202] * 100
    assert sorted(fact.id for fact in await world.facts()) == sorted(
        f"{number}-{part}" for number in range(100) for part in range(3)
    )


async def test_what_happens_is_counted(world):
    await world.post_facts([ITEM, ITEM | {"source": "unheard of"}])
    await world.post_facts(b"{")
    await world.post_webhook(json.dumps(ISSUE).encode())
    await world.client.get("/nowhere/secret-path")
    assert world.counted("streamgauge_ingest_facts_total", source="acme") == 1
    assert world.counted("streamgauge_ingest_facts_total", source="other") == 1
    assert world.counted("streamgauge_ingest_facts_total", source="github") == 1
    assert world.counted("streamgauge_webhook_requests_total", source="github") == 1
    requests = "streamgauge_http_requests_total"
    assert world.counted(requests, route="/v1/facts", method="POST", status="202") == 1
    assert world.counted(requests, route="/v1/facts", method="POST", status="400") == 1
    assert world.counted(requests, route="/webhooks/{source}", method="POST", status="202") == 1
    assert world.counted(requests, route="other", method="GET", status="404") == 1
    assert world.counted("streamgauge_append_seconds_count") == 2


async def test_requests_to_the_api_are_counted_by_their_template(world):
    await world.client.get("/v1/streams/secret-name")
    labels = {"route": "/v1/streams/{stream}", "method": "GET", "status": "404"}
    assert world.counted("streamgauge_http_requests_total", **labels) == 1


async def test_a_fault_of_ours_is_a_problem_without_what_was_sent(world, caplog):
    async def breaks(scope, receive, send):
        raise KeyError("payload text")

    world.app._facts.handle = breaks
    response = await world.post_facts(ITEM)
    assert (response.status_code, response.headers["content-type"]) == (500, "application/problem+json")
    assert "payload text" not in caplog.text + response.text
    assert "request_broke error=KeyError" in caplog.text


async def test_the_routes_are_in_the_openapi_document_with_their_shapes(world):
    document = (await world.client.get("/openapi.json")).json()
    assert document == (await world.client.get("/openapi.json")).json()
    for path, statuses in {
        "/v1/facts": {"202", "400", "401", "413", "415", "503"},
        "/v1/cloudevents": {"202", "400", "401", "413", "415", "503"},
        "/webhooks/{source}": {"200", "202", "401", "404", "413", "503"},
    }.items():
        operation = document["paths"][path]["post"]
        assert set(operation["responses"]) == statuses
        assert all(
            "examples" in content or "string" in str(content)
            for content in operation["requestBody"]["content"].values()
        )
    shapes = document["components"]["schemas"]
    assert shapes["NativeItem"]["required"] == ["subject", "id", "source", "item", "at"]
    assert shapes["NativeItem"]["additionalProperties"] is False
    references = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert references <= set(shapes)


async def test_the_examples_of_the_openapi_document_are_taken(world):
    document = (await world.client.get("/openapi.json")).json()
    for path in ("/v1/facts", "/v1/cloudevents"):
        for kind, content in document["paths"][path]["post"]["requestBody"]["content"].items():
            for example in content.get("examples", {}).values():
                body = json.dumps(example["value"]).encode()
                response = await world.client.post(path, content=body, headers={"content-type": kind})
                assert response.status_code == 202, response.text
                assert response.json()["accepted"] >= 1


async def test_a_sender_that_leaves_is_not_answered(world):
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    headers = [(b"authorization", b"Bearer t0ken"), (b"content-type", b"application/json")]
    app: App = world.app
    await app({"type": "http", "method": "POST", "path": "/v1/facts", "headers": headers}, receive, send)
    assert sent == []
