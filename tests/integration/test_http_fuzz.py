"""Whatever is posted: never a 5xx, always problem details for a 4xx, and in the log is exactly what got a 2xx."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import hmac
import json
from collections import Counter

import httpx
import redis as redis_library
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from starlette.applications import Starlette

from flow import keys
from flow.adapters import ADAPTERS, Delivery
from flow.definition_file import read_definitions
from flow.errors import Reason
from flow.facts import SignalFact, encode_fact
from flow.instants import DAY
from flow.matching import Router
from flow.native import BodyKind, decode_native
from service.app import App
from service.log import RedisLogWriter
from service.self_metrics import SelfMetrics
from tests.integration.taking_in import BOUNDS, NOW, PARTITIONS, SECRET, STREAMS, TOKEN, Taking, parts_of

ITEM = {"subject": "item", "id": "1", "source": "acme", "item": "CHK-1", "at": "2026-11-22T09:30:00Z"}
CHANGE = {
    "subject": "change",
    "id": "2",
    "source": "acme",
    "change": "7",
    "at": "2026-11-22T09:30:00Z",
    "items": ["CHK-1"],
}
ISSUE = {
    "action": "opened",
    "issue": {"number": 7, "title": "T", "state": "open", "labels": [], "updated_at": "2026-11-22T09:00:00Z"},
    "repository": {"full_name": "acme/shop", "default_branch": "main"},
}
EVENT = {"specversion": "1.0", "id": "1", "source": "/acme", "type": "com.example.moved", "data": ITEM}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
INSTANTS = st.sampled_from(
    ["0001-01-01T00:00:00Z", "3000-01-01T00:00:00Z", "2026-11-22T09:30:00+01:00", "x", "9999-12-31T23:59:59-23:59"]
)


def mutated(base):
    """The value with one of its fields, at the top or below, replaced, removed or added."""
    names = st.sampled_from(sorted(base)) | st.text(max_size=8)
    changed = st.builds(lambda name, value: base | {name: value}, names, JSON | INSTANTS)
    removed = st.builds(lambda name: {key: value for key, value in base.items() if key != name}, names)
    return st.just(base) | changed | removed


PAYLOADS = st.sampled_from([ITEM, CHANGE, ISSUE, ISSUE["issue"], EVENT]).flatmap(mutated)
DOCUMENTS = PAYLOADS | st.lists(PAYLOADS, max_size=3) | JSON | PAYLOADS.map(lambda payload: ISSUE | {"issue": payload})
TEXTS = DOCUMENTS.map(json.dumps) | st.lists(DOCUMENTS.map(json.dumps), max_size=3).map("\n".join)
BYTES = (
    TEXTS.map(str.encode)
    | st.binary(max_size=200)
    | st.just(b"[" * 20_000)
    | st.just(b" " * (BOUNDS.most_webhook_body + 1))
)
BODIES = BYTES | BYTES.map(gzip.compress) | TEXTS.map(lambda text: text.encode()[: len(text) // 2])

VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).map(str.encode) | st.binary(
    max_size=20
).map(lambda value: bytes(byte for byte in value if byte >= 32))
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from([
            b"application/json", b"application/x-ndjson", b"application/cloudevents+json", b"application/jsonl",
            b"application/cloudevents-batch+json", b"application/x-www-form-urlencoded",
        ]) | VALUES,
        "content-encoding": st.sampled_from([b"gzip", b"identity"]) | VALUES,
        "content-length": st.sampled_from([b"0", b"-1", b"9" * 30, b"x", "٣".encode()]),
        "authorization": VALUES,
        "x-github-event": st.sampled_from([b"issues", b"push", b"pull_request", b"workflow_run"]) | VALUES,
        "x-hub-signature-256": VALUES,
        "ce-id": VALUES, "ce-source": VALUES, "ce-type": VALUES, "ce-specversion": st.just(b"1.0") | VALUES,
        "webhook-request-origin": VALUES,
    },
)  # fmt: skip
METHODS = st.sampled_from(["POST"] * 12 + ["GET", "HEAD", "OPTIONS", "PUT", "BREW"])
PATHS = st.sampled_from(
    ["/v1/facts", "/v1/cloudevents", "/webhooks/github", "/webhooks/cdevents", "/webhooks/", "/webhooks/a/b"]
)
ANYTHING = st.tuples(METHODS, PATHS, HEADERS, BODIES, st.booleans())


def likely(path, payloads, kinds):
    """What may well be accepted: the right kind of payload on its own route, from an honest sender."""
    documents = payloads | st.lists(payloads, min_size=1, max_size=4)
    bodies = documents.map(json.dumps) | st.lists(payloads.map(json.dumps), min_size=1).map("\n".join)
    headers = st.sampled_from(kinds).map(lambda kind: {"content-type": kind})
    return st.tuples(st.just("POST"), st.just(path), headers, bodies.map(str.encode), st.just(True))


REQUESTS = st.one_of(
    ANYTHING,
    likely("/v1/facts", mutated(ITEM) | mutated(CHANGE), [b"application/json", b"application/x-ndjson"]),
    likely("/v1/facts", st.sampled_from([ITEM, CHANGE]), [b"application/json", b"application/jsonl"]),
    likely("/v1/cloudevents", mutated(EVENT), [b"application/cloudevents+json", b"application/cloudevents-batch+json"]),
    likely("/webhooks/github", mutated(ISSUE), [b"application/json"]),
)


def prepared(headers, body, honest):
    """With the token and the right signature, unless it's to be refused."""
    defaults = {"content-type": b"application/json", "x-github-event": b"issues"}
    if honest:
        headers = headers | {"authorization": f"Bearer {TOKEN}".encode()}
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers |= {"x-hub-signature-256": f"sha256={signature}".encode()}
    return [(name.encode(), value) for name, value in (defaults | headers).items()]


async def send_all(url, requests):
    """Every answer with its request, what is in the log, and the letters."""
    async with Redis.from_url(url) as redis:
        metrics = SelfMetrics()
        async with RedisLogWriter(redis, PARTITIONS, lambda: NOW) as writer:
            app = App(Starlette(), parts_of(writer, metrics))
            answers = []
            for method, path, headers, body, honest in requests:
                answers.append(await call(app, method, path, prepared(headers, body, honest), body))
            world = Taking(httpx.AsyncClient(), redis, CollectorRegistry(), app)
            return answers, await world.facts(), await redis.xlen(keys.LETTERS)


async def call(app, method, path, headers, body):
    """Status, headers and body of the answer: straight through ASGI, since clients refuse to send such headers."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    await app({"type": "http", "method": method, "path": path, "headers": headers, "root_path": ""}, receive, send)
    start, *rest = sent
    return start["status"], dict(start["headers"]), b"".join(part.get("body", b"") for part in rest)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(requests=st.lists(REQUESTS, min_size=1, max_size=6))
def test_whatever_is_sent_the_answer_is_true(redis_url, requests):
    with redis_library.Redis.from_url(redis_url) as client:
        client.flushall()
    answers, facts, letters = asyncio.run(send_all(redis_url, requests))
    wanted: Counter[bytes] = Counter()
    kept = events = 0
    for (method, path, headers, body, _), (status, answer_headers, content) in zip(requests, answers, strict=True):
        event(f"{path} {status}")
        assert status in {200, 202, 400, 401, 404, 405, 413, 415}
        if status >= 400:
            assert answer_headers[b"content-type"] == b"application/problem+json"
            problem = json.loads(content)
            assert problem["status"] == status
            assert status == 405 or problem["reason"] in set(Reason)
        elif method == "POST":
            answer = json.loads(content)
            told = facts_in(path, headers, body) if answer["accepted"] else []
            if path == "/v1/cloudevents":
                events += answer["accepted"]
            else:
                assert len(told) == answer["accepted"]
            wanted.update(map(encode_fact, told))
            kept += answer.get("kept", 0) > 0
    in_log = Counter(encode_fact(fact) for fact in facts if not isinstance(fact, SignalFact))
    assert wanted <= in_log
    extra = in_log - wanted
    assert extra.total() == events
    assert letters == kept


def facts_in(path, headers, body):
    """What this accepted request told, read apart from the application's own way through it."""
    if path == "/v1/facts":
        if headers.get("content-encoding", b"").strip().lower() in {b"gzip", b"x-gzip"}:
            body = gzip.decompress(body)
        kind: BodyKind = "ndjson" if headers.get("content-type", b"").endswith((b"ndjson", b"jsonl")) else "json"
        return decode_native(body, kind, NOW, DAY)
    if path == "/webhooks/github":
        texts = {"content-type": "application/json", "x-github-event": "issues"}
        texts |= {name: value.decode("latin-1") for name, value in headers.items()}
        item_names = Router(read_definitions(STREAMS)).items_named_in
        return ADAPTERS["github"].translate(Delivery("github", texts, body, NOW), item_names).facts
    return []
