import jwt
import pytest

from flow.errors import Reason, Unauthorised
from flow.signatures import SCHEMES, verify
from flow.web_tokens import verify_token

NOW = 1_795_340_000_000
SECONDS = NOW // 1000
SECRET = "a client secret that is long enough for every hash of the family, HS512 too"
JIRA = SCHEMES["jira"]


def token(secret=SECRET, algorithm="HS256", **claims):
    return jwt.encode({"iss": "client-1", "iat": SECONDS - 10, "exp": SECONDS + 180, **claims}, secret, algorithm)


def refusal(authorization, secrets=(SECRET,), now=NOW):
    with pytest.raises(Unauthorised) as error:
        verify(JIRA, secrets, {"authorization": authorization}, b"{}", now)
    assert SECRET not in error.value.message
    return error.value.reason


@pytest.mark.parametrize("word", ["Bearer", "bearer", "JWT"])
def test_a_token_that_our_secret_signed_proves_jira(word):
    verify(JIRA, ["an older secret", SECRET], {"authorization": f"{word} {token()}"}, b"any body", NOW)


def test_a_signature_of_the_body_is_the_one_that_counts_when_it_is_there():
    headers = {"authorization": f"Bearer {token()}", "x-hub-signature": "sha256=" + "0" * 64}
    with pytest.raises(Unauthorised) as error:
        verify(JIRA, [SECRET], headers, b"{}", NOW)
    assert error.value.reason is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    "authorization",
    [
        f"Bearer {token('another secret that is long enough too')}",
        f"Bearer {token(algorithm='HS512')}",
        f"Bearer {jwt.encode({'iss': 'client-1', 'exp': SECONDS + 180}, None, 'none')}",
        f"Bearer {token()[:-4]}",
        f"Bearer {token()}x",
        f"Basic {token()}",
        f"Bearer {jwt.encode({'exp': SECONDS + 180}, SECRET, 'HS256')}",
        f"Bearer {SECRET}",
        "Bearer ",
        "Bearer ..",
        "Bearer \u00e9.\u00e9.\u00e9",
        "Bearer " + "x" * 10_000,
        token(),
    ],
)
def test_a_token_that_proves_nothing_is_refused(authorization):
    assert refusal(authorization) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": SECONDS - 61},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": -1},
        {"exp": 1e300},
        {"iat": SECONDS + 61},
        {"nbf": SECONDS + 61},
    ],
)
def test_a_token_of_another_time_is_refused(claims):
    assert refusal(f"Bearer {token(**claims)}") is Reason.OLD_TIMESTAMP


def test_a_token_without_an_end_is_refused():
    endless = jwt.encode({"iss": "client-1", "iat": SECONDS}, SECRET, "HS256")
    assert refusal(f"Bearer {endless}") is Reason.OLD_TIMESTAMP


@pytest.mark.parametrize("seconds", [-60, 60])
def test_clocks_may_differ_by_a_minute(seconds):
    times = {"iat": SECONDS - seconds - 120, "exp": SECONDS - seconds}
    verify_token(f"Bearer {token(**times)}", [SECRET.encode()], NOW)


def test_a_secret_that_is_too_short_for_its_hash_proves_nothing():
    short = "thirty-one bytes are not enough"
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        weak = token(short)
    assert refusal(f"Bearer {weak}", secrets=[short]) is Reason.BAD_SIGNATURE


def test_without_a_header_or_a_secret_nothing_is_proved():
    assert refusal("") is Reason.MISSING_SIGNATURE
    assert refusal(f"Bearer {token()}", secrets=[""]) is Reason.SOURCE_OFF
