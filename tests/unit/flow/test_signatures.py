import hashlib
import hmac
import json
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.errors import Reason, Unauthorised
from flow.instants import DAY
from flow.signatures import BASIC, BEARER, SCHEMES, STANDARD_WEBHOOKS, secret_in_header, verify

SHARED = Path(__file__).parents[3] / "../shared"
VECTORS = SHARED / "payloads/signature-vectors.json"

NOW = 1_795_340_000_000
SECONDS = str(NOW // 1000)
BODY = b'{"action": "opened", "webhookTimestamp": 1795340000000}'
SECRET = "correct horse"
CALLBACK = "https://gauge.example/webhooks/trello"


def hexed(message=BODY, secret=SECRET):
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def standard(body=BODY, seconds=SECONDS, key=b"0123456789abcdef"):
    digest = hmac.new(key, f"msg_1.{seconds}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{b64encode(digest).decode()}",
    }


def buildkite(seconds=SECONDS):
    signature = hexed(f"{seconds}.".encode() + BODY)
    return {"x-buildkite-signature": f"timestamp={seconds},signature={signature}"}


def trello():
    digest = hmac.new(SECRET.encode(), BODY + CALLBACK.encode(), hashlib.sha1).digest()
    return {"x-trello-webhook": b64encode(digest).decode()}


WHSEC = "whsec_" + b64encode(b"0123456789abcdef").decode()
BASIC_SECRET = "robin:correct horse"
BASIC_HEADERS = {"authorization": "Basic " + b64encode(BASIC_SECRET.encode()).decode()}
TRELLO = SCHEMES["trello"].calling(CALLBACK)

SIGNED = [
    pytest.param(SCHEMES["github"], SECRET, {"x-hub-signature-256": f"sha256={hexed()}"}, id="github"),
    pytest.param(SCHEMES["jira"], SECRET, {"x-hub-signature": f"sha256={hexed()}"}, id="jira"),
    pytest.param(SCHEMES["bitbucket-cloud"], SECRET, {"x-hub-signature": f"sha256={hexed()}"}, id="bitbucket-cloud"),
    pytest.param(SCHEMES["linear"], SECRET, {"linear-signature": hexed()}, id="linear"),
    pytest.param(SCHEMES["asana"], SECRET, {"x-hook-signature": hexed()}, id="asana"),
    pytest.param(SCHEMES["clickup"], SECRET, {"x-signature": hexed()}, id="clickup"),
    pytest.param(SCHEMES["plane"], SECRET, {"x-plane-signature": hexed()}, id="plane"),
    pytest.param(SCHEMES["pagerduty"], SECRET, {"x-pagerduty-signature": f"v1={hexed()}"}, id="pagerduty"),
    pytest.param(SCHEMES["circleci"], SECRET, {"circleci-signature": f"v1={hexed()}"}, id="circleci"),
    pytest.param(SCHEMES["buildkite"], SECRET, buildkite(), id="buildkite"),
    pytest.param(STANDARD_WEBHOOKS, WHSEC, standard(), id="standard-webhooks"),
    pytest.param(SCHEMES["gitlab"], WHSEC, standard(), id="gitlab"),
    pytest.param(TRELLO, SECRET, trello(), id="trello"),
]
SENT = [
    pytest.param(SCHEMES["gitlab"], SECRET, {"x-gitlab-token": SECRET}, id="gitlab-token"),
    pytest.param(SCHEMES["buildkite"], SECRET, {"x-buildkite-token": SECRET}, id="buildkite-token"),
    pytest.param(SCHEMES["alertmanager"], SECRET, {"authorization": f"Bearer {SECRET}"}, id="bearer"),
    pytest.param(SCHEMES["azure-devops"], BASIC_SECRET, BASIC_HEADERS, id="basic"),
    pytest.param(SCHEMES["jenkins"], SECRET, {"authorization": f"Bearer {SECRET}"}, id="shared-as-bearer"),
    pytest.param(SCHEMES["argocd"], BASIC_SECRET, BASIC_HEADERS, id="shared-as-basic"),
    pytest.param(secret_in_header("x-gauge"), SECRET, {"x-gauge": SECRET}, id="header"),
    pytest.param(SCHEMES["bitbucket-datacenter"], BASIC_SECRET, BASIC_HEADERS, id="bitbucket-datacenter"),
]


def refusal(scheme, secrets, headers, body=BODY, now=NOW):
    with pytest.raises(Unauthorised) as error:
        verify(scheme, secrets, headers, body, now)
    for secret in filter(None, secrets):
        assert str(secret) not in error.value.message
    return error.value.reason


@pytest.mark.parametrize(("scheme", "secret", "headers"), SIGNED + SENT)
class TestEveryScheme:
    def test_a_good_proof_is_accepted(self, scheme, secret, headers):
        verify(scheme, [secret], headers, BODY, NOW)

    def test_secrets_can_be_bytes_and_can_be_several(self, scheme, secret, headers):
        verify(scheme, ["an older one", secret.encode(), "a newer one"], headers, BODY, NOW)

    def test_another_secret_is_refused(self, scheme, secret, headers):
        other = "whsec_" + b64encode(b"another key").decode()
        assert refusal(scheme, [other], headers) is Reason.BAD_SIGNATURE

    def test_without_a_header_nothing_is_proved(self, scheme, secret, headers):
        assert refusal(scheme, [secret], {}) is Reason.MISSING_SIGNATURE

    def test_an_empty_proof_is_refused(self, scheme, secret, headers):
        for name in headers:
            for empty in ("", " ", "sha256=", "sha1=", "v1=", "v1,", "Bearer ", "Basic ", "signature=", "=", ","):
                reason = refusal(scheme, [secret], {**headers, name: empty})
                assert reason in {Reason.BAD_SIGNATURE, Reason.MISSING_SIGNATURE}

    @pytest.mark.parametrize("none", [[], [""], [b""], ["  "], ["", b"\n"]])
    def test_an_empty_secret_never_verifies(self, scheme, secret, headers, none):
        assert refusal(scheme, none, headers) is Reason.SOURCE_OFF

    def test_a_proof_that_is_no_ascii_is_only_refused(self, scheme, secret, headers):
        for name in headers:
            for strange in ("é", "sha256=é", "v1=\ud800", "Basic \u20ac", "timestamp=²,signature=²", "\x00"):
                refusal(scheme, [secret], {**headers, name: strange})


@pytest.mark.parametrize(("scheme", "secret", "headers"), SIGNED)
def test_a_changed_body_is_refused(scheme, secret, headers):
    assert refusal(scheme, [secret], headers, BODY + b" ") is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(("scheme", "secret", "headers"), SIGNED)
def test_a_truncated_or_reserialised_body_is_refused(scheme, secret, headers):
    document = json.loads(BODY)
    for body in (
        b"",
        BODY[:-1],
        json.dumps(document, indent=1).encode(),
        json.dumps(document, sort_keys=True).encode() + b"\n",
    ):
        assert refusal(scheme, [secret], headers, body) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    "body",
    [
        '{\n    "title": "Zahlung über 5 €",\n    "webhookTimestamp": 1795340000000\n}\n'.encode(),
        b'{"title":"\\u00fcber","webhookTimestamp":1795340000000}',
        b'\xef\xbb\xbf{"title":"with a byte order mark"}',
        b"payload=%7B%22title%22%3A%22of+a+form%22%7D",
    ],
)
def test_the_bytes_are_signed_and_not_what_they_mean(body):
    verify(SCHEMES["github"], [SECRET], {"x-hub-signature-256": f"sha256={hexed(body)}"}, body, NOW)
    assert refusal(SCHEMES["github"], [SECRET], {"x-hub-signature-256": f"sha256={hexed(body)}"}, body + b"\n")


@pytest.mark.parametrize(("offset", "accepted"), [(0, True), (-DAY, True), (-DAY - 1, False), (DAY + 1, False)])
def test_pitfall_linears_retries_after_hours_pass_but_old_deliveries_do_not(offset, accepted):
    body = json.dumps({"webhookTimestamp": NOW + offset}).encode()
    headers = {"linear-signature": hexed(body)}
    if accepted:
        verify(SCHEMES["linear"], [SECRET], headers, body, NOW)
    else:
        assert refusal(SCHEMES["linear"], [SECRET], headers, body) is Reason.OLD_TIMESTAMP


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"", b"{", b'{"webhookTimestamp": null}', b'{"webhookTimestamp": "soon"}', b"[" * 100_000]
)
def test_a_body_that_does_not_say_when_it_was_sent_is_refused(body):
    assert refusal(SCHEMES["linear"], [SECRET], {"linear-signature": hexed(body)}, body) is Reason.OLD_TIMESTAMP


def test_an_empty_body_signed_with_an_empty_key_is_refused():
    forged = {"x-hub-signature-256": "sha256=" + hmac.new(b"", BODY, hashlib.sha256).hexdigest()}
    assert refusal(SCHEMES["github"], ["", SECRET], forged) is Reason.BAD_SIGNATURE
    assert refusal(SCHEMES["github"], [""], forged) is Reason.SOURCE_OFF


def test_hexadecimal_digits_may_be_in_capitals():
    verify(SCHEMES["github"], [SECRET], {"x-hub-signature-256": f"sha256={hexed().upper()}"}, BODY, NOW)


@pytest.mark.parametrize("prefix", ["", "sha1=", "md5=", "sha256"])
def test_another_method_is_refused(prefix):
    assert refusal(SCHEMES["github"], [SECRET], {"x-hub-signature-256": prefix + hexed()}) is Reason.BAD_SIGNATURE


def test_one_good_signature_of_a_list_is_enough():
    for value in (f"v1={'0' * 64}, v1={hexed()}", f"v1={hexed()},v2=later"):
        verify(SCHEMES["pagerduty"], [SECRET], {"x-pagerduty-signature": value}, BODY, NOW)
    assert refusal(SCHEMES["circleci"], [SECRET], {"circleci-signature": f"v2={hexed()}"}) is Reason.BAD_SIGNATURE
    good = standard()
    good["webhook-signature"] = f"v1a,x v1,AAAA {good['webhook-signature']}"
    verify(STANDARD_WEBHOOKS, [WHSEC], good, BODY, NOW)


@pytest.mark.parametrize(
    "scheme_and_signer", [(SCHEMES["buildkite"], buildkite, SECRET), (STANDARD_WEBHOOKS, None, WHSEC)]
)
@pytest.mark.parametrize(("seconds", "accepted"), [(-300, True), (-301, False), (300, True), (301, False)])
def test_a_signed_time_must_be_near(scheme_and_signer, seconds, accepted):
    scheme, signer, secret = scheme_and_signer
    at = str(NOW // 1000 + seconds)
    headers = signer(at) if signer else standard(seconds=at)
    if accepted:
        verify(scheme, [secret], headers, BODY, NOW)
    else:
        assert refusal(scheme, [secret], headers) is Reason.OLD_TIMESTAMP


@pytest.mark.parametrize("seconds", ["", "soon", "-5", "1e9", "9" * 30])
def test_a_signed_time_that_is_none_is_refused(seconds):
    assert refusal(STANDARD_WEBHOOKS, [WHSEC], standard(seconds=seconds)) is Reason.OLD_TIMESTAMP


def test_a_key_that_is_not_base64_is_no_key():
    assert refusal(STANDARD_WEBHOOKS, ["whsec_?", "whsec_"], standard()) is Reason.SOURCE_OFF


def test_a_wrong_signature_is_not_forgiven_for_a_right_token():
    headers = {"x-buildkite-signature": "timestamp=1,signature=00", "x-buildkite-token": SECRET}
    assert refusal(SCHEMES["buildkite"], [SECRET], headers) is Reason.BAD_SIGNATURE


def test_trello_needs_the_address_that_it_calls():
    assert refusal(SCHEMES["trello"], [SECRET], trello()) is Reason.SOURCE_OFF
    assert refusal(SCHEMES["trello"].calling("http://gauge.internal"), [SECRET], trello()) is Reason.BAD_SIGNATURE


def test_a_secret_may_hold_any_character_as_web_servers_hand_it_over():
    as_received = "Bearer pâté".encode().decode("latin-1")
    verify(BEARER, ["pâté"], {"authorization": as_received}, BODY, NOW)


def test_a_credential_may_lack_its_padding():
    credential = b64encode(b"robin:pass").decode().rstrip("=")
    verify(BASIC, ["robin:pass"], {"authorization": f"basic {credential}"}, BODY, NOW)


@given(st.sampled_from(sorted(SCHEMES)), st.text(), st.text(), st.binary())
def test_whatever_is_sent_only_unauthorised_escapes(name, value, other, body):
    scheme = SCHEMES[name].calling(CALLBACK)
    headers = {scheme.header: value, scheme.timestamp_header: other, "authorization": other}
    with pytest.raises(Unauthorised):
        verify(scheme, ["a secret that is not guessed", WHSEC], headers, body, NOW)


@pytest.mark.skipif(not VECTORS.exists(), reason="shared data not present")
def test_published_vectors_verify():
    vectors = json.loads(VECTORS.read_bytes())
    assert vectors
    for vector in vectors:
        body = vector["body"].encode() if vector["body"] else (VECTORS.parent / vector["body_file"]).read_bytes()
        extra = {name.lower(): value for name, value in vector["extra"].items()}
        headers = {vector["header"].lower(): vector["expected"], **extra}
        now = int(extra.get("webhook-timestamp", 0)) * 1000
        verify(SCHEMES[vector["source"]], [vector["secret"]], headers, body, now)
        with pytest.raises(Unauthorised, match="does not prove"):
            verify(SCHEMES[vector["source"]], [vector["secret"]], headers, body + b"x", now)
