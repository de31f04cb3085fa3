"""`streamgauge status`: a live table in the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer
from rich.console import Console
from rich.live import Live

from flow.errors import Unavailable
from flow.instants import SECOND
from service.api_client import DEFAULT_URL, ApiClient
from service.command_line.api_token import ApiToken
from service.command_line.options import ServerUrl
from service.status_table import View, render

REFRESH: Final = 1.0
"""Seconds from one table to the next."""

_TIMEOUT: Final = 5 * SECOND


def status(
    stream: Annotated[str | None, typer.Argument(help="One stream; all of them if left out.")] = None,
    url: ServerUrl = DEFAULT_URL,
    token: ApiToken = None,
    window: Annotated[str, typer.Option(help="Length of the window, such as 15m, 4h or 7d.")] = "7d",
    once: Annotated[bool, typer.Option("--once", help="Print it once; so it is where there is no terminal.")] = False,
) -> None:
    """Show what is where now, and what happened in the window, until Ctrl-C."""
    console = Console()
    with ApiClient(url, token, timeout=_TIMEOUT) as client:
        watcher = Watcher(client, stream, window)
        watcher.read()
        if once or not console.is_terminal:
            console.print(render(watcher.view()))
            return
        try:
            with Live(render(watcher.view()), console=console, auto_refresh=False) as live:
                while True:
                    time.sleep(REFRESH)
                    watcher.try_to_read()
                    live.update(render(watcher.view()), refresh=True)
        except KeyboardInterrupt:
            pass


class Watcher:
    """Asks for the status over and over, and knows how old the last answer is. `clock` gives seconds, never back."""

    def __init__(
        self, client: ApiClient, stream: str | None, window: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._stream = stream
        self._window = window
        self._clock = clock
        self._statuses: list[Mapping[str, Any]] = []
        self._unmapped: dict[str, list[Mapping[str, Any]]] = {}
        self._read_at = clock()
        self._error: str | None = None
        self._behind: int | None = None
        self._caught_up_at = clock()

    def read(self) -> None:
        """Ask now. Raises what the client raises."""
        names = [self._stream] if self._stream is not None else self._names()
        paths = {name: f"/v1/streams/{quote(name, safe='')}" for name in names}
        self._statuses = [self._client.get(path, window=self._window) for path in paths.values()]
        self._unmapped = {
            name: self._client.get(f"{path}/unmapped-statuses")["statuses"] for name, path in paths.items()
        }
        behind = self._client.get("/readyz").get("lag_facts")
        now = self._clock()
        if not behind or (self._behind is not None and behind < self._behind):
            self._caught_up_at = now
        self._behind = behind
        self._read_at = now
        self._error = None

    def try_to_read(self) -> None:
        """Ask now; what goes wrong for a while is shown. Raises what no waiting will mend, such as a wrong token."""
        try:
            self.read()
        except Unavailable as error:
            self._error = error.message

    def view(self) -> View:
        """What is known now."""
        now = self._clock()
        return View(
            statuses=self._statuses,
            age=now - self._read_at,
            error=self._error,
            behind=self._behind,
            stuck=now - self._caught_up_at,
            unmapped=self._unmapped,
        )

    def _names(self) -> list[str]:
        return [entry["stream"] for entry in self._client.get("/v1/streams")["streams"]]
