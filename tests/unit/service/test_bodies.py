"""Bodies are read whole only when they are small enough, compressed ones too."""

from __future__ import annotations

import gzip
import zlib

import pytest

from flow.errors import Reason, Rejected, TooLarge
from service.bodies import SenderLeft, decoded_body, headers_of, read_body, unzipped

GZIPPED = gzip.compress(b"abc", mtime=0)


class Sender:
    """Gives the chunks of a body, and counts how many were taken."""

    def __init__(self, *chunks, left=False):
        self.messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        self.messages[-1]["more_body"] = left
        if left:
            self.messages.append({"type": "http.disconnect"})
        self.taken = 0

    async def __call__(self):
        self.taken += 1
        return self.messages[self.taken - 1]


async def test_a_body_is_read_in_one_piece_or_in_many():
    assert await read_body(Sender(b"abc"), {}, 10) == b"abc"
    assert await read_body(Sender(b"ab", b"", b"c"), {}, 10) == b"abc"
    assert await read_body(Sender(b""), {"content-length": "0"}, 10) == b""


async def test_a_body_as_long_as_the_limit_is_taken():
    assert await read_body(Sender(b"x" * 10), {"content-length": "10"}, 10) == b"x" * 10
    assert await read_body(Sender(b"x" * 5, b"x" * 5), {}, 10) == b"x" * 10


@pytest.mark.parametrize("length", ["11", "9" * 18, "9" * 5000])
async def test_a_body_that_says_it_is_too_long_is_refused_unread(length):
    sender = Sender(b"x")
    with pytest.raises(TooLarge):
        await read_body(sender, {"content-length": length}, 10)
    assert sender.taken == 0


@pytest.mark.parametrize("length", [{}, {"content-length": "1"}, {"content-length": "-1"}, {"content-length": "x"}])
async def test_a_body_that_grows_too_long_is_refused_there(length):
    sender = Sender(*[b"x" * 4] * 100)
    with pytest.raises(TooLarge):
        await read_body(sender, length, 10)
    assert sender.taken == 3
    sender = Sender(b"x" * 11, b"x")
    with pytest.raises(TooLarge):
        await read_body(sender, length, 10)
    assert sender.taken == 1
    with pytest.raises(TooLarge):
        await read_body(Sender(b"x" * 11), length, 10)


async def test_a_sender_that_leaves_has_sent_nothing():
    with pytest.raises(SenderLeft):
        await read_body(Sender(b"ab", left=True), {}, 10)


async def test_gzip_is_unpacked_and_its_absence_too():
    packed = gzip.compress(b"abc")
    for name in ("gzip", " GZIP ", "x-gzip"):
        assert await decoded_body(packed, {"content-encoding": name}, 10) == b"abc"
    assert await decoded_body(b"abc", {}, 10) == b"abc"
    assert await decoded_body(b"abc", {"content-encoding": "identity"}, 10) == b"abc"


async def test_a_large_compressed_body_comes_out_the_same():
    body = bytes(range(256)) * 4000
    packed = gzip.compress(body, 0)
    assert len(packed) > 64 * 1024
    assert await decoded_body(packed, {"content-encoding": "gzip"}, len(body)) == body


@pytest.mark.parametrize("name", ["br", "deflate", "zstd", "gzip, gzip", "gzip,identity", "\x00"])
async def test_another_encoding_is_refused(name):
    with pytest.raises(Rejected) as caught:
        await decoded_body(b"abc", {"content-encoding": name}, 10)
    assert caught.value.reason == Reason.UNSUPPORTED_MEDIA_TYPE


def test_parts_of_gzip_are_put_together_and_padding_is_none():
    assert unzipped(gzip.compress(b"abc") + gzip.compress(b"def") + b"\0" * 9, 6) == b"abcdef"
    assert unzipped(gzip.compress(b""), 0) == b""
    assert unzipped(b"", 10) == b""


@pytest.mark.parametrize(
    "body",
    [
        b"abc", b"\x1f\x8b", GZIPPED[:-1], GZIPPED + b"rest", zlib.compress(b"abc"),
        GZIPPED[:-8] + b"\0" * 8,
    ],
)  # fmt: skip
def test_what_is_not_whole_gzip_is_refused(body):
    with pytest.raises(Rejected) as caught:
        unzipped(body, 100)
    assert caught.value.reason == Reason.INVALID_ENCODING


def test_a_bomb_is_refused_after_the_limit():
    bomb = gzip.compress(b"\0" * 100_000_000, 9)
    assert len(bomb) < 100_000
    with pytest.raises(TooLarge):
        unzipped(bomb, 1_000_000)
    with pytest.raises(TooLarge):
        unzipped(gzip.compress(b"abc") * 2, 5)
    assert unzipped(gzip.compress(b"abc"), 3) == b"abc"


def test_a_bomb_of_many_parts_is_refused():
    with pytest.raises(TooLarge):
        unzipped(gzip.compress(b"") * 10_000, 100)


def test_headers_are_latin_1():
    assert headers_of([(b"x-name", b"caf\xe9"), (b"a", b"1"), (b"a", b"2")]) == {"x-name": "café", "a": "2"}
