"""What of a webhook's request an adapter or a signature needs, beside its body."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from flow.adapters.devlake import PATH_HEADER, SOURCE, is_devlake_path
from service.bodies import Scope, headers_of

WEBHOOKS: Final = "/webhooks/"

IN_ADDRESS: Final = ":token"
"""Where the token of the address is put, among the headers: no header that is sent can have this name."""

_LONGEST_QUERY: Final = 4_096


def webhook_name(scope: Scope) -> str | None:
    """The source that is posted to, or None when the path is no webhook's. DevLake's senders bring their own paths."""
    path: str = scope["path"]
    if path.startswith(WEBHOOKS):
        return path[len(WEBHOOKS) :]
    return SOURCE if is_devlake_path(_path_as_sent(scope)) else None


def webhook_headers(name: str, scope: Scope) -> dict[str, str]:
    """The headers in lower case, the token of the address, and for DevLake the path that was posted to."""
    headers = headers_of(scope["headers"])
    headers.pop(PATH_HEADER, None)
    headers.pop(IN_ADDRESS, None)
    query: bytes = scope.get("query_string", b"")
    if query and len(query) <= _LONGEST_QUERY:
        headers |= _token_in(query)
    if name == SOURCE:
        headers[PATH_HEADER] = _path_as_sent(scope)
    return headers


def _path_as_sent(scope: Scope) -> str:
    """With its escapes, where the server keeps them: an issue's key may hold a slash."""
    raw: bytes | None = scope.get("raw_path")
    path: str = scope["path"]
    return path if raw is None else raw.decode("latin-1").partition("?")[0]


def _token_in(query: bytes) -> dict[str, str]:
    try:
        tokens = parse_qs(query.decode("ascii"), max_num_fields=20).get("token", [])
    except ValueError:
        return {}
    # As a web server would hand a header over: its bytes, read as Latin-1.
    return {IN_ADDRESS: tokens[0].encode().decode("latin-1")} if len(tokens) == 1 else {}
