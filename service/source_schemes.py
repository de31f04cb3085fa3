"""How each source proves itself here: its own scheme, or what its settings make of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from flow.adapters import ADAPTERS
from flow.signatures import SignatureScheme, secret_in_header
from service.provider_access import access_problems
from service.setting_sections import SourceSettings
from service.settings_environment import environment_name
from service.webhook_requests import IN_ADDRESS

HANDSHAKING: Final = frozenset({"asana"})
"""Sources that make up the secret themselves, and tell it once."""


def source_schemes(sources: Mapping[str, SourceSettings]) -> dict[str, SignatureScheme]:
    """The scheme of each source that has settings, by its name."""
    return {name: _scheme_of(name, source) for name, source in sources.items()}


def source_problems(sources: Mapping[str, SourceSettings]) -> Iterator[str]:
    """What can't be meant, one line each, with the variable and the fix."""
    for name, source in sorted(sources.items()):
        yield from access_problems(name, source)
        if source.only_asks:
            continue
        if source.secret is None and source.handshake_token is None:
            yield f"{_variable(name, 'secret')}: is missing: set it, or unset the other settings of this source"
        if source.handshake_token is not None and name not in HANDSHAKING:
            yield f"{_variable(name, 'handshake_token')}: {name} makes no handshake: unset it"
        if source.header is not None and source.token_in_url:
            yield f"{_variable(name, 'header')}: token_in_url is set too: set one of the two"
        signs_address = "{url}" in ADAPTERS[name].signature.signed
        if signs_address and source.callback_url is None and source.header is None and not source.token_in_url:
            fix = "set it to the address that the webhook was made with, letter for letter"
            yield f"{_variable(name, 'callback_url')}: is missing, and {name} signs it: {fix}"
        if source.callback_url is not None and not signs_address:
            yield f"{_variable(name, 'callback_url')}: {name} does not sign its address: unset it"


def _scheme_of(name: str, source: SourceSettings) -> SignatureScheme:
    if source.header is not None:
        return secret_in_header(source.header.lower())
    if source.token_in_url:
        return secret_in_header(IN_ADDRESS)
    scheme = ADAPTERS[name].signature
    return scheme if source.callback_url is None else scheme.calling(source.callback_url)


def _variable(name: str, field: str) -> str:
    return environment_name(("sources", name, field))
