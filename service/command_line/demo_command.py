"""`streamgauge demo`: everything on this machine, fed by a simulated organisation, with the live table."""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.live import Live

from flow.adapters import ItemNames
from flow.definition_file import read_definitions
from flow.errors import SettingsError
from flow.instants import DAY
from flow.matching import Router
from service.api_client import ApiClient
from service.command_line.api_token import ApiToken
from service.command_line.status_command import REFRESH, Watcher
from service.demo.poster import GITHUB, Poster
from service.demo.server import DEFAULT_PORT, Server, ended_by_signals, free_port, running
from service.demo.story import HISTORY, HOUR_OF_WORK, SLOW_SINCE, Story
from service.settings import Settings
from service.settings_environment import environment_name
from service.status_table import render

STREAM: Final = "product"
WINDOW: Final = "1d"

_logger = logging.getLogger("streamgauge.demo")

_TICK: Final = 0.1
_PRINT_EVERY: Final = 10.0


def demo(
    *,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Where to listen. Default: 8080, or the next.")
    ] = None,
    speed: Annotated[float, typer.Option(min=0.1, max=10.0, help="So many times as fast as usual.")] = 1.0,
    seconds: Annotated[float | None, typer.Option("--for", min=1.0, help="End after so many seconds.")] = None,
    url: Annotated[str | None, typer.Option(help="Start nothing: only post, to this Streamgauge.")] = None,
    story: Annotated[Path | None, typer.Option(help="With --url: file that a restart goes on from.")] = None,
    token: ApiToken = None,
) -> None:
    """Show everything at work, with an invented organisation, until Ctrl-C. Nothing of it stays behind."""
    if url is not None:
        tell(url, token, story, HOUR_OF_WORK / speed, seconds)
        return
    chosen = free_port(port)
    console = Console()
    if port is None and chosen != DEFAULT_PORT:
        console.print(f"Port {DEFAULT_PORT} is taken: listening on {chosen}.")
    secret = secrets.token_hex(32)
    try:
        with ended_by_signals(), running(chosen, secret) as server, ApiClient(server.url) as client:
            telling = Story(Poster(client, secret), item_names(), now, hour=HOUR_OF_WORK / speed)
            Demo(server, client, telling, console).run(seconds)
    except KeyboardInterrupt:
        pass
    console.print("The demo has ended and left nothing behind.")


def tell(url: str, token: str | None, file: Path | None, hour: float, seconds: float | None) -> None:
    """Post what the organisation does to a Streamgauge that runs already, until Ctrl-C or for so many seconds.

    Its stream definitions must be the demo's, and GitHub's secret is the setting. Raises SettingsError without one.
    """
    secrets_of_github = Settings.load(os.environ).source_secrets().get(GITHUB)
    if not secrets_of_github:
        raise SettingsError([f"{environment_name(('sources', GITHUB, 'secret'))}: set it as it is set there"])
    try:
        with ended_by_signals(), ApiClient(url, token) as client:
            teller = Story(Poster(client, secrets_of_github[0]), item_names(), now, hour=hour, file=file)
            while not client.is_ready():
                time.sleep(REFRESH)
            _logger.info("history_posted url=%s facts=%d", url, max(teller.catch_up()))
            deadline = None if seconds is None else time.monotonic() + seconds
            while deadline is None or time.monotonic() < deadline:
                teller.go_on()
                time.sleep(_TICK)
    except KeyboardInterrupt:
        pass


class Demo:
    """The simulated organisation at work, and the table that shows what is seen of it."""

    def __init__(self, server: Server, client: ApiClient, story: Story, console: Console) -> None:
        self._server = server
        self._client = client
        self._story = story
        self._console = console

    def run(self, seconds: float | None) -> None:
        """Until Ctrl-C, or for so many seconds from when the page can be opened."""
        with self._console.status("Starting"):
            self._server.wait_until_ready(self._client)
        self._introduce()
        history = self._story.catch_up()
        watcher = Watcher(self._client, STREAM, WINDOW)
        deadline = None if seconds is None else time.monotonic() + seconds
        with self._shown(watcher) as show:
            refresh_at = 0.0
            while deadline is None or time.monotonic() < deadline:
                if next(history, None) is None:
                    self._story.go_on()
                    time.sleep(_TICK)
                if time.monotonic() >= refresh_at:
                    self._server.check()
                    watcher.try_to_read()
                    show()
                    refresh_at = time.monotonic() + REFRESH

    @contextmanager
    def _shown(self, watcher: Watcher) -> Iterator[Callable[[], None]]:
        """What shows the table: in place in a terminal, else every now and then below the last one."""
        if self._console.is_terminal:
            with Live(console=self._console, auto_refresh=False) as live:
                yield lambda: live.update(render(watcher.view()), refresh=True)
            return
        printed_at = 0.0

        def show() -> None:
            nonlocal printed_at
            if time.monotonic() >= printed_at + _PRINT_EVERY and not watcher.view().behind:
                printed_at = time.monotonic()
                self._console.print(render(watcher.view()))

        yield show

    def _introduce(self) -> None:
        url = self._server.url
        lines = (
            f"Streamgauge watches an invented organisation. Open its live page: {url}/",
            f"Its last {HISTORY // DAY} days are coming in now, then its tools go on posting. Reviews became slow",
            f"{SLOW_SINCE // DAY} days ago: soon after the history is in, the bottleneck detector says so by itself.",
            "",
            f"  live page          {url}/",
            f"  API documentation  {url}/docs",
            f"  metrics            {url}/metrics",
            "  the table as JSON:",
            "",
            curl(url),
            "",
            "Ctrl-C ends it.",
            "",
        )
        for line in lines:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def item_names() -> ItemNames:
    """Finds the items that a text names, as the demo's definitions say."""
    return Router(read_definitions(definitions())).items_named_in


def curl(url: str) -> str:
    """A command that can be pasted into a shell."""
    return f"curl -s '{url}/v1/streams/{STREAM}?window={WINDOW}'"


def definitions() -> str:
    """The stream definitions of the demo, as YAML."""
    return (files("service") / "examples" / "demo.yaml").read_text(encoding="utf-8")


def now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
