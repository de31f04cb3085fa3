"""What goes to Redis is what its protocol says."""

from __future__ import annotations

from hiredis import pack_command
from hypothesis import given
from hypothesis import strategies as st

from consumers.wire import packed

WORDS = st.lists(st.text(max_size=40) | st.binary(max_size=40) | st.integers(), min_size=1, max_size=20)


def test_a_command_is_an_array_of_strings() -> None:
    assert packed(["SET", "key", 12, b"\r\n"]) == b"*4\r\n$3\r\nSET\r\n$3\r\nkey\r\n$2\r\n12\r\n$2\r\n\r\n\r\n"


@given(WORDS)
def test_it_equals_what_the_client_packs(words: list[str | bytes | int]) -> None:
    assert packed(words) == pack_command(tuple(words))  # type: ignore[arg-type]  # its stub is wrong


def test_arguments_of_any_length_have_their_length_before_them() -> None:
    for size in (0, 1, 4094, 4095, 4096, 4097, 1_000_000):
        assert packed([b"x" * size]) == pack_command((b"x" * size,))
