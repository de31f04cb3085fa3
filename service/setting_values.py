"""The kinds of values that settings have: how each is read from text, and how it is shown."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, SecretStr

from flow.instants import format_duration, parse_duration
from service.redis_address import parse_address

HIDDEN: Final = "set, not shown"

_SIZES: Final = {"": 1, "b": 1, "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000}
_SIZE: Final = re.compile(r"(\d{1,12}) ?([kmg]?b|)", re.IGNORECASE)
_TOKEN: Final = re.compile(r"([\w.-]{1,64}):([0-9a-fA-F]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shown:
    """How a value is shown to people."""

    text: Callable[[Any], str]


def parse_size(text: str) -> int:
    """A number of bytes, such as `500000`, `64kB` or `10MB`, in powers of ten. Raises ValueError with the fix.

    >>> parse_size("10MB"), parse_size("4096")
    (10000000, 4096)
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("is not a size: write a number of bytes, or one with kB, MB or GB, such as 10MB")
    return int(found[1]) * _SIZES[found[2].lower()]


def format_size(size: int) -> str:
    """The shortest text that `parse_size` reads back.

    >>> format_size(10_000_000), format_size(4096)
    ('10MB', '4096')
    """
    for unit, factor in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def parse_tokens(text: str) -> Mapping[str, str]:
    """Names and SHA-256 of tokens, as `name:hash,name:hash`. Raises ValueError, which quotes nothing of the text."""
    found: dict[str, str] = {}
    for number, entry in enumerate(text.split(","), 1):
        token = _TOKEN.fullmatch(entry.strip())
        if token is None:
            raise ValueError(
                f"entry {number} is not name:hash: write the token's name and its SHA-256 in 64 hex digits, "
                "as `printf %s TOKEN | sha256sum` gives it"
            )
        if token[1] in found:
            raise ValueError(f"entry {number} has a name that is there already: give each token a name of its own")
        found[token[1]] = token[2].lower()
    return MappingProxyType(found)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


def _size(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


def _tokens(value: object) -> object:
    return parse_tokens(value) if isinstance(value, str) else value


def _redis_url(value: SecretStr) -> SecretStr:
    parse_address(value.get_secret_value())
    return value


def _secret(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().strip():
        raise ValueError("is blank: write the secret that the sender signs with")
    return value


Duration = Annotated[int, BeforeValidator(_duration), Shown(format_duration)]
"""In milliseconds; as text `90s`, `4h` or `2d`."""

Size = Annotated[int, BeforeValidator(_size), Shown(format_size)]
"""In bytes; as text `10MB`."""

TokenHashes = Annotated[Mapping[str, str], BeforeValidator(_tokens), Shown(lambda hashes: ", ".join(hashes) or "none")]
"""SHA-256 by name; only the names are shown."""

RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url), Shown(lambda _: HIDDEN)]
"""May hold a password, so it is a secret."""

Secret = Annotated[SecretStr, AfterValidator(_secret), Shown(lambda _: HIDDEN)]
