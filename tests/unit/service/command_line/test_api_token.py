from __future__ import annotations

import pytest

from flow.errors import SettingsError
from service.command_line.api_token import or_from_file
from service.settings import Settings


def test_a_token_can_stand_in_a_file(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("pretend-token\n")
    monkeypatch.setenv("STREAMGAUGE_TOKEN_FILE", str(tmp_path / "token"))
    assert or_from_file(None) == "pretend-token"
    assert or_from_file("given") == "given"


def test_without_a_file_there_is_no_token(monkeypatch):
    monkeypatch.delenv("STREAMGAUGE_TOKEN_FILE", raising=False)
    assert or_from_file(None) is None


@pytest.mark.parametrize(("content", "why"), [(None, "can't be read"), (b"\n", "is empty"), (b"\xff", "can't be read")])
def test_a_file_without_a_token_is_refused(tmp_path, monkeypatch, content, why):
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    monkeypatch.setenv("STREAMGAUGE_TOKEN_FILE", str(tmp_path / "token"))
    with pytest.raises(SettingsError, match=why):
        or_from_file(None)


def test_the_variable_is_no_mistake_among_the_settings():
    Settings.load({"STREAMGAUGE_TOKEN_FILE": "/run/secrets/token"})
