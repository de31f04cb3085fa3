"""Signed deliveries, from the request to the log: what is taken, what is kept, and through which way in."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from flow.definitions import Definitions
from flow.matching import Router
from service.bounds import IngestBounds
from service.ingest import Intake
from service.self_metrics import SelfMetrics
from service.webhooks import WebhookRoute
from tests.unit.flow.adapters.github_payloads import issues
from tests.unit.service.spooling import AT, FakeLog

SECRET = "hush-hush-hush"
ROUTER = Router(Definitions({}))
NEVER_AGAIN, AGAIN = "github", "linear"


class Receiver:
    """The route of two sources, of which one never sends again, with a log for each way in."""

    def __init__(self) -> None:
        self.log, self.covered, self.metrics = FakeLog(), FakeLog(), SelfMetrics()
        self._route = WebhookRoute(
            Intake(self.log, ROUTER, self.metrics),
            covered=Intake(self.covered, ROUTER, self.metrics),
            item_names=ROUTER.items_named_in,
            secrets={NEVER_AGAIN: [SECRET], AGAIN: [SECRET]},
            bounds=IngestBounds(),
            clock=lambda: AT,
            metrics=self.metrics,
        )

    async def post(self, source: str, body: bytes, **headers: str) -> tuple[int, Any]:
        """The status, and what is answered."""
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        raw = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
        scope = {"type": "http", "method": "POST", "path": f"/webhooks/{source}", "headers": raw, "query_string": b""}
        status = await self._route.handle(source, scope, receive, send)
        assert status == sent[0]["status"]
        return status, json.loads(b"".join(message.get("body", b"") for message in sent[1:]))


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def signed(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


async def test_facts_of_a_sender_that_never_sends_again_take_the_covered_way(receiver: Receiver) -> None:
    body = json.dumps(issues()).encode()
    answered = await receiver.post(
        NEVER_AGAIN, body, x_github_event="issues", x_hub_signature_256=f"sha256={signed(body)}"
    )
    assert answered == (202, {"accepted": 1})
    assert [fact.source for fact in receiver.covered.facts] == [NEVER_AGAIN]
    assert receiver.log.asked == 0


async def test_what_is_not_understood_is_kept_whole_but_without_its_proof(receiver: Receiver) -> None:
    body = b'{"action": 5}'
    status, said = await receiver.post(
        NEVER_AGAIN, body, x_github_event="issues", x_hub_signature_256=f"sha256={signed(body)}", x_github_delivery="d"
    )
    assert (status, said["kept"], said["reason"]) == (202, 1, "not_understood")
    [letter] = receiver.covered.letters
    assert (letter.source, letter.body, letter.at) == (NEVER_AGAIN, body, AT)
    assert letter.headers == {"x-github-event": "issues", "x-github-delivery": "d"}


async def test_a_sender_that_sends_again_is_left_to_it(receiver: Receiver) -> None:
    body = json.dumps({"webhookTimestamp": AT, "type": "Nothing"}).encode()
    status, said = await receiver.post(AGAIN, body, linear_signature=signed(body))
    assert status in {200, 202}, said
    assert (receiver.log.asked, receiver.covered.asked) == (1, 0)


@pytest.mark.parametrize("proof", [f"sha256={signed(b'other')}", "sha256=", "hush-hush-hush"])
async def test_a_wrong_proof_is_refused_and_nothing_is_written(receiver: Receiver, proof: str) -> None:
    body = json.dumps(issues()).encode()
    status, said = await receiver.post(NEVER_AGAIN, body, x_github_event="issues", x_hub_signature_256=proof)
    assert (status, said["reason"]) == (401, "bad_signature")
    assert receiver.log.asked == receiver.covered.asked == 0


async def test_a_source_without_a_secret_is_not_there_and_neither_is_an_unknown_one(receiver: Receiver) -> None:
    for source in ("gitlab", "no-such-source"):
        status, said = await receiver.post(source, b"{}")
        assert (status, said["reason"]) == (404, "source_off")


async def test_a_log_that_is_away_is_answered_503_so_that_it_is_sent_again(receiver: Receiver) -> None:
    receiver.covered.mood = "down"
    body = json.dumps(issues()).encode()
    status, said = await receiver.post(
        NEVER_AGAIN, body, x_github_event="issues", x_hub_signature_256=f"sha256={signed(body)}"
    )
    assert (status, said["reason"]) == (503, "log_unavailable")
