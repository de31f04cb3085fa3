from __future__ import annotations

from hashlib import sha256

import pytest
from starlette.datastructures import Headers

from flow.errors import Reason, SettingsError, Unauthorised
from service.authorisation import TokenCheck

HASHES = {"ops": sha256(b"first").hexdigest(), "dashboards": sha256(b"second").hexdigest().upper()}


@pytest.mark.parametrize("value", ["Bearer first", "bearer second", "BEARER  second "])
def test_every_configured_token_passes(value):
    TokenCheck(HASHES, open_access=False).check({"authorization": value})


def test_headers_may_be_blind_to_case():
    TokenCheck(HASHES, open_access=False).check(Headers({"Authorization": "Bearer first"}))


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": ""}, {"authorization": "Bearer"}, {"authorization": "Basic Zmlyc3Q="}]
)
def test_without_a_token_the_reason_is_missing_token(headers):
    with pytest.raises(Unauthorised) as caught:
        TokenCheck(HASHES, open_access=False).check(headers)
    assert caught.value.reason == Reason.MISSING_TOKEN


@pytest.mark.parametrize(
    "token", ["third", "firs", "first first", HASHES["ops"], "é\udcff".encode("utf-8", "replace").decode()]
)
def test_an_unknown_token_is_refused_and_not_repeated(token):
    with pytest.raises(Unauthorised) as caught:
        TokenCheck(HASHES, open_access=False).check({"authorization": f"Bearer {token}"})
    assert caught.value.reason == Reason.BAD_TOKEN
    assert token not in caught.value.message.split()


def test_open_access_opens_only_while_no_token_is_configured():
    TokenCheck({}, open_access=True).check({})
    with pytest.raises(Unauthorised):
        TokenCheck(HASHES, open_access=True).check({})
    with pytest.raises(Unauthorised):
        TokenCheck({}, open_access=False).check({"authorization": "Bearer first"})


@pytest.mark.parametrize("text", ["", "first", "g" * 64, "a" * 63])
def test_what_is_no_hash_is_refused_at_start_without_showing_it(text):
    with pytest.raises(SettingsError) as caught:
        TokenCheck({"ops": text}, open_access=False)
    assert "'ops'" in caught.value.problems[0]
    assert not text or text not in caught.value.problems[0].split()
