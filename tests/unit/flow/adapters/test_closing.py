import pytest

from flow.adapters.closing import CLOSE_FIX_RESOLVE, closed_texts, closing_words

CLOSING = closing_words(CLOSE_FIX_RESOLVE, "cfr")


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("Closes #1", ["#1"]),
        ("CLOSED: #1", ["#1"]),
        ("it fixes\t#1\nand resolves #2", ["#1", "#2"]),
        ("Fix #1, fix #2", ["#1, fix #2", "#2"]),
        ("(resolve #1)", ["#1)"]),
        ("fixes", []),
        ("fixes ", []),
        ("fixes\n#1", []),
        ("prefix #1 unfixes #2 closest #3 fixesx #4", []),
        ("f", []),
        ("", []),
        (None, []),
    ],
)
def test_the_rest_of_the_line_behind_each_closing_word_is_found(text, closed):
    assert list(closed_texts(CLOSING, text)) == closed


def test_a_rest_and_their_number_are_bounded():
    closed = list(closed_texts(CLOSING, "fixes " * 100_000))
    assert len(closed) == 100
    assert max(map(len, closed)) == 200
