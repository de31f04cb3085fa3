"""What is written in one turn of the event loop is sent together, in order, and nothing is held back."""

from __future__ import annotations

import asyncio
from typing import Any

from service.http_protocol import GatheringTransport


class Real:
    """Notes what it is given."""

    def __init__(self):
        self.sent = []
        self.closed = False
        self.aborted = False
        self.not_taken = 0

    def writelines(self, parts):
        assert not self.closed
        self.sent.append(b"".join(parts))

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True

    def get_write_buffer_size(self):
        return self.not_taken

    def get_extra_info(self, name):
        return name


def gathering(real):
    return GatheringTransport(real, asyncio.get_running_loop())


async def test_head_and_body_go_together_and_the_next_turn_apart():
    real = Real()
    transport = gathering(real)
    transport.write(b"head")
    transport.write(b"")
    transport.write(b"body")
    assert real.sent == []
    await asyncio.sleep(0)
    assert real.sent == [b"headbody"]
    transport.write(b"event")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert real.sent == [b"headbody", b"event"]


async def test_much_is_sent_at_once_behind_what_waits():
    real = Real()
    transport = gathering(real)
    transport.write(b"head")
    transport.write(b"x" * 100_000)
    assert real.sent == [b"head" + b"x" * 100_000]
    transport.write(b"tail")
    await asyncio.sleep(0)
    assert real.sent[1:] == [b"tail"]


async def test_closing_sends_what_waits_and_a_lost_connection_is_left_alone():
    real = Real()
    transport = gathering(real)
    transport.write(b"last words")
    transport.close()
    assert (real.sent, real.closed) == ([b"last words"], True)
    transport.write(b"too late")
    await asyncio.sleep(0)
    assert real.sent == [b"last words"]
    assert transport.get_extra_info("peername") == "peername"


class Loop:
    """Keeps what is to be done later."""

    def __init__(self):
        self.later = []

    def call_soon(self, callback):
        pass

    def call_later(self, seconds, callback):
        self.later.append((seconds, callback))


def test_a_peer_that_takes_nothing_can_not_keep_a_closed_connection():
    real: Any = Real()
    loop: Any = Loop()
    GatheringTransport(real, loop).close()
    assert loop.later == []
    real.not_taken = 4_000
    GatheringTransport(real, loop).close()
    [(seconds, give_up)] = loop.later
    assert 1 <= seconds <= 60
    assert not real.aborted
    give_up()
    assert real.aborted
