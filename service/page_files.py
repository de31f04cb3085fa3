"""The live page's files, as routes: `/` and what it loads from `/page/`. They hold no data and need no token.

All of them are read once. The policy that goes with them allows nothing from another host and no script that is not one
of these files, so that text out of a tracker can never run as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER: Final = "/page"
INDEX: Final = "index.html"

MEDIA_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class PageFile:
    """One file. A browser that has it already is told so."""

    def __init__(self, content: bytes, media_type: str) -> None:
        self._content = content
        self._media_type = media_type
        self._tag = f'"{sha256(content).hexdigest()[:24]}"'

    def answer(self, request: Request) -> Response:
        """The file, or 304."""
        headers = _HEADERS | {"ETag": self._tag}
        if self._tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(self._content, headers=headers, media_type=self._media_type)


def page_routes() -> list[Route]:
    """The routes of the page and of all its files."""
    routes = []
    for path, file in _files(files("service") / "page", FOLDER):
        media_type = MEDIA_TYPES.get(path.rpartition(".")[2])
        if media_type is not None:
            place = "/" if path == f"{FOLDER}/{INDEX}" else path
            answer = PageFile(file.read_bytes(), media_type).answer
            routes.append(Route(place, answer, methods=["GET"], include_in_schema=False))
    return routes


def _files(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        place = f"{path}/{entry.name}"
        if entry.is_dir():
            yield from _files(entry, place)
        else:
            yield place, entry
