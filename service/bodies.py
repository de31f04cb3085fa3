"""Reading a request's body without ever holding more of it than allowed."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final

from flow.errors import Reason, Rejected, TooLarge

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_GZIP: Final = 16 + zlib.MAX_WBITS
_MOST_MEMBERS: Final = 100
"""Parts of one gzip body: each costs a copy of what follows it."""
_IN_PLACE: Final = 64 * 1024
"""Compressed bodies up to this size are unpacked on the event loop; the rest in a thread."""


class SenderLeft(Exception):
    """The sender closed the connection before its body was whole: there is nobody to answer."""


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Header names in lower case, values as Latin-1 text. Of a header that is sent twice, the last."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}


async def read_body(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    """The body as it was sent. Raises TooLarge as soon as it is known to be over `limit` bytes, SenderLeft."""
    length = headers.get("content-length")
    if length is not None and length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > limit):
        raise _too_large(limit)
    message = await receive()
    chunk = _chunk(message)
    if len(chunk) > limit:
        raise _too_large(limit)
    if not message.get("more_body", False):
        return chunk
    chunks, size = [chunk], len(chunk)
    while message.get("more_body", False):
        message = await receive()
        chunk = _chunk(message)
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _chunk(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise SenderLeft
    chunk: bytes = message.get("body", b"")
    return chunk


async def decoded_body(body: bytes, headers: Mapping[str, str], limit: int) -> bytes:
    """The body without its Content-Encoding: gzip or none.

    Raises TooLarge when more than `limit` bytes come out, Rejected: invalid_encoding when it is not gzip as it says,
    unsupported_media_type for another encoding.
    """
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "x-gzip"}:
        raise Rejected(Reason.UNSUPPORTED_MEDIA_TYPE, "Content-Encoding: send gzip, or no encoding")
    if len(body) <= _IN_PLACE:
        return unzipped(body, limit)
    return await asyncio.to_thread(unzipped, body, limit)


def unzipped(body: bytes, limit: int) -> bytes:
    """What gzip members hold, all of them. Never unpacks more than `limit` bytes and one. Raises as `decoded_body`."""
    parts: list[bytes] = []
    size = 0
    rest = body
    for _ in range(_MOST_MEMBERS):
        if not rest:
            return b"".join(parts)
        member = zlib.decompressobj(_GZIP)
        try:
            part = member.decompress(rest, limit - size + 1)
        except zlib.error:
            raise _not_gzip() from None
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        if not member.eof:
            raise _not_gzip()
        parts.append(part)
        rest = member.unused_data.lstrip(b"\0")  # zeros may pad the end of a gzip file
    raise TooLarge(f"the body is gzip in more than {_MOST_MEMBERS} parts: compress it as one")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is over the limit of {limit} bytes: send less at once")


def _not_gzip() -> Rejected:
    return Rejected(Reason.INVALID_ENCODING, "the body is not whole gzip, as its Content-Encoding says: send it anew")
