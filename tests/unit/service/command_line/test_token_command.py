from __future__ import annotations

import re

import pytest

from flow.errors import Rejected
from service.authorisation import TokenCheck
from service.command_line.token_command import token
from service.settings import Settings


def made_of(capsys):
    """The token and the setting that the command printed."""
    said = capsys.readouterr().out
    found = re.search(r"^  (\S{43})$", said, re.MULTILINE)
    setting = re.search(r"^  (STREAMGAUGE_API__TOKENS)=(\S+)$", said, re.MULTILINE)
    assert found
    assert setting
    return found[1], {setting[1]: setting[2]}


def test_the_setting_that_is_printed_lets_the_token_in_and_does_not_hold_it(capsys):
    token("grafana")
    made, environ = made_of(capsys)
    hashes = Settings.load(environ).api.tokens
    assert list(hashes) == ["grafana"]
    TokenCheck(hashes, open_access=False).check({"authorization": f"Bearer {made}"})
    assert made not in str(environ)


def test_every_token_is_another(capsys):
    token("grafana")
    first, _ = made_of(capsys)
    token("grafana")
    assert made_of(capsys)[0] != first


@pytest.mark.parametrize("name", ["", "two words", "a:b", "a,b", "-a", "a" * 64])
def test_a_name_that_the_setting_could_not_hold_is_refused(name):
    with pytest.raises(Rejected, match="name for a token"):
        token(name)
