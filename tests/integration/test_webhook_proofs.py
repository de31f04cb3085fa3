"""Every way in which a sender proves itself, from its request to the log: nothing fails open, nothing is lost."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import jwt
import pytest
from redis.asyncio import Redis

from flow import keys
from flow.adapters import ADAPTERS
from flow.facts import ChangeFact, DeploymentFact, IncidentFact, ItemFact
from flow.signatures import SCHEMES, secret_in_header
from service.handshakes import MOST_SECRETS, Handshakes
from service.settings import Settings
from service.webhook_requests import webhook_headers
from tests.integration.taking_in import NOW, taking

SECRET = "a shared secret that is long enough for every hash, also for the longest"
WHSEC = "whsec_" + b64encode(SECRET.encode()).decode()
BASIC = f"streamgauge:{SECRET}"
CALLBACK = "https://gauge.example/webhooks/trello"
TOKEN = "t0ken-of-the-address"
SECONDS = str(NOW // 1000)


def hexed(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def basic(credential: str = BASIC) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(credential.encode()).decode()}


def bearer(secret: str = SECRET) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def standard(body: bytes) -> dict[str, str]:
    digest = hmac.new(SECRET.encode(), f"msg_1.{SECONDS}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{b64encode(digest).decode()}"
    return {"webhook-id": "msg_1", "webhook-timestamp": SECONDS, "webhook-signature": signature}


def trello(body: bytes) -> dict[str, str]:
    digest = hmac.new(SECRET.encode(), body + CALLBACK.encode(), hashlib.sha1).digest()
    return {"x-trello-webhook": b64encode(digest).decode()}


def buildkite(body: bytes) -> dict[str, str]:
    signature = hexed(f"{SECONDS}.".encode() + body)
    return {"x-buildkite-signature": f"timestamp={SECONDS},signature={signature}"}


def prefixed(header: str, prefix: str = "") -> Any:
    return lambda body: {header: prefix + hexed(body)}


PROOFS: dict[str, Any] = {
    "alertmanager": lambda body: bearer(),
    "argocd": lambda body: bearer(),
    "asana": prefixed("x-hook-signature"),
    "azure-devops": lambda body: basic(),
    "bitbucket-cloud": prefixed("x-hub-signature", "sha256="),
    "bitbucket-datacenter": prefixed("x-hub-signature", "sha256="),
    "buildkite": buildkite,
    "cdevents": lambda body: bearer(),
    "circleci": prefixed("circleci-signature", "v1="),
    "clickup": prefixed("x-signature"),
    "devlake": lambda body: bearer(),
    "github": prefixed("x-hub-signature-256", "sha256="),
    "gitlab": standard,
    "jenkins": lambda body: basic(),
    "jira": prefixed("x-hub-signature", "sha256="),
    "linear": prefixed("linear-signature"),
    "opsgenie": lambda body: bearer(),
    "pagerduty": prefixed("x-pagerduty-signature", "v1="),
    "pelorus": prefixed("x-hub-signature-256", "sha256="),
    "plane": prefixed("x-plane-signature"),
    "trello": trello,
}
SECRETS = dict.fromkeys(ADAPTERS, (SECRET, BASIC, WHSEC))


@pytest.fixture
async def world(redis: Redis) -> Any:
    """Every source is on. Asana may shake hands, Opsgenie sends the secret in a header of the user's choice."""

    def changed(parts: Any) -> Any:
        schemes = {"trello": SCHEMES["trello"].calling(CALLBACK), "opsgenie": secret_in_header("x-gauge")}
        handshakes = Handshakes(redis, {"asana": TOKEN}, parts.clock)
        return dataclasses.replace(parts, secrets=SECRETS, schemes=schemes, handshakes=handshakes)

    async with taking(redis, changed=changed) as world:
        yield world


async def post(world: Any, path: str, body: object, headers: dict[str, str]) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"authorization": "", "content-type": "application/json"} | headers
    answer: httpx.Response = await world.client.post(path, content=content, headers=sent)
    return answer


def refused_as(answer: httpx.Response, reason: str) -> bool:
    assert answer.status_code == 401, answer.text
    assert answer.json()["reason"] == reason
    assert SECRET not in answer.text
    return True


# --- all senders -----------------------------------------------------------------------------------------------------


def test_every_source_has_its_proof_here() -> None:
    assert set(PROOFS) == set(ADAPTERS)


@pytest.mark.parametrize("name", sorted(set(ADAPTERS) - {"opsgenie"}))
async def test_what_is_authentic_and_not_understood_is_2xx_and_kept_or_ignored(world: Any, name: str) -> None:
    bodies = [b"{}", b"[1, 2]", b"null", b"not json", b"\xff\xfe", b""]
    if name == "linear":  # a body that does not say when it was sent proves nothing
        bodies = [json.dumps({"webhookTimestamp": NOW}).encode()]
    kept = 0
    for body in bodies:
        answer = await post(world, f"/webhooks/{name}", body, PROOFS[name](body))
        assert answer.status_code in {200, 202}, answer.text
        kept += answer.json().get("kept", 0)
        assert answer.json().get("ignored") or answer.json()["kept"] == 1
    assert await world.facts() == []
    assert len(await world.letters()) == kept


@pytest.mark.parametrize("name", sorted(ADAPTERS))
async def test_without_a_proof_or_with_another_nothing_is_kept(world: Any, name: str) -> None:
    body = json.dumps({"webhookTimestamp": NOW}).encode()
    assert refused_as(await post(world, f"/webhooks/{name}", body, {}), "missing_signature")
    for header in PROOFS[name](body):
        for value in (
            "sha256=",
            "sha1=",
            "v1=",
            "v1,",
            "Bearer",
            "Basic ",
            "Bearer x",
            "0" * 64,
            "timestamp=1,signature=",
        ):
            answer = await post(world, f"/webhooks/{name}", body, PROOFS[name](body) | {header: value})
            assert answer.status_code == 401, (name, header, value, answer.text)
    assert await world.letters() == []


async def test_an_address_is_there_before_anything_is_sent(world: Any) -> None:
    for name in ADAPTERS:
        answer = await world.client.head(f"/webhooks/{name}")
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ('{\n  "title": "Zahlung über 5 €"\n}\n'.encode(), {}),
        (b'\xef\xbb\xbf{"title": "behind a byte order mark"}', {"content-type": "application/json; charset=utf-8"}),
        (b'{"title": "without any content type"}', {"content-type": ""}),
    ],
)
async def test_bytes_are_verified_as_they_came(world: Any, body: bytes, headers: dict[str, str]) -> None:
    proof = PROOFS["github"](body) | {"x-github-event": "watch"} | headers
    assert (await post(world, "/webhooks/github", body, proof)).status_code == 200
    assert refused_as(await post(world, "/webhooks/github", body.strip() + b" ", proof), "bad_signature")


# --- one by one ------------------------------------------------------------------------------------------------------


async def test_github_may_send_a_form_whose_bytes_are_signed(world: Any) -> None:
    repository = {"full_name": "acme/shop"}
    pull = {
        "number": 7, "created_at": "2026-11-22T09:00:00Z", "updated_at": "2026-11-22T09:00:00Z", "title": "CHK-1 + ü",
        "head": {"ref": "x"},
    }  # fmt: skip
    payload = json.dumps({"action": "opened", "pull_request": pull, "repository": repository})
    body = urlencode({"payload": payload}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded", "x-github-event": "pull_request"}
    answer = await post(world, "/webhooks/github", body, headers | PROOFS["github"](body))
    assert answer.status_code == 202
    assert any(isinstance(fact, ChangeFact) and fact.items == ("CHK-1",) for fact in await world.facts())
    forged = headers | PROOFS["github"](payload.encode())
    assert refused_as(await post(world, "/webhooks/github", body, forged), "bad_signature")


async def test_pitfall_trello_signs_the_address_as_registered_and_not_the_one_that_a_proxy_called(world: Any) -> None:
    body = b'{"action": {"type": "updateBoard"}}'
    assert (await post(world, "/webhooks/trello", body, trello(body))).status_code in {200, 202}
    digest = hmac.new(SECRET.encode(), body + b"http://test/webhooks/trello", hashlib.sha1).digest()
    forged = {"x-trello-webhook": b64encode(digest).decode()}
    assert refused_as(await post(world, "/webhooks/trello", body, forged), "bad_signature")


async def test_trello_without_its_address_is_off(redis: Redis) -> None:
    async with taking(redis, changed=lambda parts: dataclasses.replace(parts, secrets=SECRETS)) as world:
        assert (await post(world, "/webhooks/trello", b"{}", trello(b"{}"))).status_code == 404


@pytest.mark.parametrize(("age", "accepted"), [(0, True), (6 * 3_600_000, True), (25 * 3_600_000, False)])
async def test_linear_is_refused_when_its_body_is_old(world: Any, age: int, accepted: bool) -> None:
    body = json.dumps({"type": "Reaction", "action": "create", "webhookTimestamp": NOW - age}).encode()
    answer = await post(world, "/webhooks/linear", body, PROOFS["linear"](body))
    assert answer.status_code in {200, 202} if accepted else refused_as(answer, "old_timestamp")


async def test_jira_may_prove_itself_by_a_token(world: Any) -> None:
    claims = {"iss": "client-1", "iat": NOW // 1000, "exp": NOW // 1000 + 60}
    good = {"authorization": f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"}
    assert (await post(world, "/webhooks/jira", b"{}", good)).status_code == 202
    forged = {"authorization": f"Bearer {jwt.encode(claims, SECRET[::-1], 'HS256')}"}
    assert refused_as(await post(world, "/webhooks/jira", b"{}", forged), "bad_signature")


async def test_a_header_of_the_users_choice_is_compared_and_never_kept(world: Any) -> None:
    for headers in ({"x-gauge": "wrong"}, {"x-gauge": f"Bearer {SECRET}"}, bearer()):
        answer = await post(world, "/webhooks/opsgenie", b"{}", headers)
        assert refused_as(answer, "bad_signature" if "x-gauge" in headers else "missing_signature")
    assert (await post(world, "/webhooks/opsgenie", b"{}", {"x-gauge": SECRET})).status_code == 202
    (letter,) = await world.letters()
    assert b"x-gauge" not in letter.headers
    assert SECRET.encode() not in letter.headers


async def test_a_token_in_the_address_is_compared_and_never_kept(redis: Redis) -> None:
    jira = {"STREAMGAUGE_SOURCES__JIRA__SECRET": TOKEN, "STREAMGAUGE_SOURCES__JIRA__TOKEN_IN_URL": "true"}
    settings = Settings.load(jira)
    parts: dict[str, Any] = {"secrets": settings.source_secrets(), "schemes": settings.source_schemes()}
    wrong = ("", "token=", "token=wrong", f"token={TOKEN}&token=x", f"other={TOKEN}", "token=%ff", "a" * 9_000)
    async with taking(redis, changed=lambda before: dataclasses.replace(before, **parts)) as world:
        for query in wrong:
            answer = await post(world, f"/webhooks/jira?{query}", b"{}", PROOFS["jira"](b"{}"))
            assert answer.status_code == 401, query
        assert (await post(world, f"/webhooks/jira?token={quote(TOKEN)}", b"{}", {})).status_code == 202
        (letter,) = await world.letters()
        assert TOKEN.encode() not in letter.headers


async def test_cloudevents_ask_before_they_deliver_to_a_source(world: Any) -> None:
    answer = await world.client.options("/webhooks/cdevents", headers={"webhook-request-origin": "events.example"})
    assert answer.status_code == 200
    assert answer.headers["webhook-allowed-origin"] == "events.example"
    assert (await world.client.options("/webhooks/github")).status_code == 405


def test_no_header_can_pass_for_the_token_of_the_address_or_for_the_path() -> None:
    sent = [(b":token", TOKEN.encode()), (b"x-devlake-path", b"/api/rest/plugins/webhook/1/issues"), (b"x-other", b"1")]
    assert webhook_headers("jira", {"headers": sent, "query_string": b"", "path": "/"}) == {"x-other": "1"}
    assert webhook_headers("devlake", {"headers": sent, "path": "/x"}) == {"x-other": "1", "x-devlake-path": "/x"}


# --- DevLake's paths -------------------------------------------------------------------------------------------------

DEVLAKE = "/api/rest/plugins/webhook/connections/by-name/shop"


async def test_devlakes_senders_bring_their_own_paths(world: Any) -> None:
    deployment = {
        "id": "d-9", "startedDate": "2026-11-22T09:00:00Z", "finishedDate": "2026-11-22T09:30:00Z",
        "deploymentCommits": [{"repoUrl": "https://code.example/acme/shop", "commitSha": "4f2a", "commitMsg": "CHK-4"}],
    }  # fmt: skip
    issue = {
        "issueKey": "CHK-9",
        "title": "x",
        "status": "TODO",
        "originalStatus": "New",
        "createdDate": "2026-11-22T09:00:00Z",
    }
    assert (await post(world, f"{DEVLAKE}/deployments", deployment, bearer())).status_code == 202
    assert (await post(world, f"{DEVLAKE}/issues", issue, bearer())).status_code == 202
    assert (await post(world, f"{DEVLAKE}/issue/CHK-9/close", b"", bearer())).status_code == 202
    facts = await world.facts()
    items = [(fact.project, fact.status) for fact in facts if isinstance(fact, ItemFact)]
    assert [fact.deployment for fact in facts if isinstance(fact, DeploymentFact)] == ["d-9"]
    assert items == [("shop", "New"), ("shop", "DONE")]
    assert [fact.state for fact in facts if isinstance(fact, IncidentFact)] == ["resolved"]


async def test_devlakes_paths_are_as_closed_as_any_webhook(world: Any) -> None:
    assert refused_as(await post(world, f"{DEVLAKE}/issues", {}, {}), "missing_signature")
    assert refused_as(await post(world, f"{DEVLAKE}/issues", {}, bearer("wrong")), "bad_signature")
    assert (await post(world, "/api/rest/plugins/webhook/1/other", {}, bearer())).status_code == 404
    assert (await world.client.get(f"{DEVLAKE}/issues")).status_code == 405
    assert await world.letters() == []


async def test_a_sender_can_not_claim_another_path_and_a_letter_keeps_the_true_one(world: Any) -> None:
    claimed = bearer() | {"x-devlake-path": f"{DEVLAKE}/issue/CHK-1/close"}
    assert (await post(world, "/webhooks/devlake", {"id": 1}, claimed)).json()["kept"] == 1
    assert (await post(world, f"{DEVLAKE}/issues", {"id": 1}, claimed)).json()["kept"] == 1
    first, second = [json.loads(letter.headers) for letter in await world.letters()]
    assert (first["x-devlake-path"], second["x-devlake-path"]) == ("/webhooks/devlake", f"{DEVLAKE}/issues")


# --- Asana's handshake -----------------------------------------------------------------------------------------------

TOLD = "the secret that Asana made up"


async def shake(world: Any, secret: str = TOLD, token: str = TOKEN) -> httpx.Response:
    return await post(world, f"/webhooks/asana?token={token}", {}, {"x-hook-secret": secret})


def signed(body: bytes, secret: str = TOLD) -> dict[str, str]:
    return {"x-hook-signature": hexed(body, secret)}


async def test_asanas_first_post_is_answered_with_its_secret_which_then_proves_it(world: Any, redis: Redis) -> None:
    body = b'{"events": []}'
    assert refused_as(await post(world, "/webhooks/asana", body, signed(body)), "bad_signature")
    answer = await shake(world)
    assert (answer.status_code, answer.headers["x-hook-secret"], answer.content) == (200, TOLD, b"")
    again = Handshakes(redis, {"asana": TOKEN}, lambda: NOW)  # another process, or this one after a restart
    assert await again.secrets("asana") == (TOLD,)
    async with taking(redis, changed=lambda parts: dataclasses.replace(parts, secrets={}, handshakes=again)) as other:
        assert (await post(other, "/webhooks/asana", body, signed(body))).status_code == 200
        assert refused_as(await post(other, "/webhooks/asana", body, signed(body, "another")), "bad_signature")


async def test_each_webhook_of_asana_has_a_secret_of_its_own(world: Any) -> None:
    for secret in ("one", "two", "one"):
        assert (await shake(world, secret)).status_code == 200
    for secret in ("one", "two"):
        assert (
            await post(world, "/webhooks/asana", b'{"events": []}', signed(b'{"events": []}', secret))
        ).status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", TOKEN.upper(), TOKEN + "x"])
async def test_a_handshake_that_nobody_asked_for_is_refused_and_not_kept(world: Any, redis: Redis, token: str) -> None:
    assert refused_as(await shake(world, token=token), "bad_signature")
    assert await redis.exists(keys.webhook_secrets("asana")) == 0


@pytest.mark.parametrize("secret", [" ", "x" * 300])
async def test_a_handshake_without_a_secret_is_refused(world: Any, redis: Redis, secret: str) -> None:
    assert refused_as(await shake(world, secret), "missing_signature")
    assert await redis.exists(keys.webhook_secrets("asana")) == 0


async def test_another_source_shakes_no_hands(world: Any) -> None:
    answer = await post(world, f"/webhooks/github?token={TOKEN}", {}, {"x-hook-secret": TOLD})
    assert refused_as(answer, "missing_signature")


async def test_without_a_token_for_it_asana_makes_no_handshake(redis: Redis) -> None:
    async with taking(redis, changed=lambda parts: dataclasses.replace(parts, secrets=SECRETS)) as world:
        assert refused_as(await shake(world), "missing_signature")


async def test_the_secrets_that_are_kept_are_bounded(world: Any, redis: Redis) -> None:
    for number in range(MOST_SECRETS + 5):
        await shake(world, f"secret {number}")
    assert await redis.llen(keys.webhook_secrets("asana")) == MOST_SECRETS


async def test_a_secret_that_can_not_be_kept_or_read_is_503_and_never_accepted(redis: Redis) -> None:
    nowhere = Redis(host="127.0.0.1", port=1, socket_connect_timeout=1)
    handshakes = Handshakes(nowhere, {"asana": TOKEN}, lambda: NOW)
    async with taking(
        redis, changed=lambda parts: dataclasses.replace(parts, secrets={}, handshakes=handshakes)
    ) as world:
        assert (await shake(world)).status_code == 503
        body = b'{"events": []}'
        assert (await post(world, "/webhooks/asana", body, signed(body))).status_code == 503
    await nowhere.aclose()
