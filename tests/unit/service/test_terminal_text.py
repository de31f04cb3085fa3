from __future__ import annotations

import pytest

from service.terminal_text import shown


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("In Review", "In Review"),
        ("Wartet auf Prüfung ✓ 進行中", "Wartet auf Prüfung ✓ 進行中"),
        ("[bold]C:\\x[/]", "[bold]C:\\x[/]"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("a\r\nb\tc\x07", "a\\r\\nb\\tc\\x07"),
        ("\u202eback", "\\u202eback"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_a_terminal_would_act_on_is_written_as_an_escape(text, written):
    assert shown(text) == written
    assert shown(text).isprintable()


def test_a_long_text_is_cut_and_says_so():
    assert shown("a" * 41, 40) == "a" * 39 + "…"
    assert shown("a" * 40, 40) == "a" * 40
