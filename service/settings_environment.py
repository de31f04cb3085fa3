"""Finds settings among environment variables: by name, from files for secrets, and names whatever nothing reads."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

PREFIX: Final = "STREAMGAUGE_"
FILE_SUFFIX: Final = "_FILE"

OF_COMMANDS: Final = frozenset({"STREAMGAUGE_TOKEN", "STREAMGAUGE_TOKEN_FILE"})
"""Variables of the commands that call the API: no settings, and no mistake either."""

_LARGEST_FILE: Final = 64 * 1024
_PLATFORM: Final = re.compile(r"STREAMGAUGE_(?:[A-Z0-9]+_)*?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_\w+)?)")
_ADDRESS: Final = re.compile(r"(?:tcp|udp|sctp)://")

SettingPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundText:
    """The text of one setting, and where it came from: `environment`, or the path of a file."""

    text: str
    origin: str


Found = dict[SettingPath, FoundText]


def environment_name(path: Iterable[str]) -> str:
    """The variable of a setting.

    >>> environment_name(("sources", "azure-devops", "secret"))
    'STREAMGAUGE_SOURCES__AZURE_DEVOPS__SECRET'
    """
    return PREFIX + "__".join(part.upper().replace("-", "_") for part in path)


def read_environment(
    environ: Mapping[str, str], paths: Collection[SettingPath], secrets: Collection[SettingPath]
) -> tuple[Found, list[str]]:
    """The settings that are set, and every problem with them. `secrets` are those that may stand in a file."""
    by_name = {environment_name(path): path for path in paths}
    by_file = {environment_name(path) + FILE_SUFFIX: path for path in secrets}
    found: Found = {}
    problems: list[str] = []
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        value = environ[name]
        path = by_name.get(name) or by_file.get(name)
        if path is None:
            if name not in OF_COMMANDS and not _is_of_the_platform(name, value):
                problems.append(_unknown(name, [*by_name, *by_file]))
        elif not value:
            problems.append(f"{name}: is empty: write a value, or unset it")
        elif name in by_name:
            found[path] = FoundText(value, "environment")
        elif environment_name(path) in environ:
            problems.append(f"{name}: {environment_name(path)} is set too: set one of the two")
        else:
            problems += _read_file(name, path, Path(value), found)
    return found, problems


def nested(found: Found) -> dict[str, Any]:
    """The texts as the tree that the settings are."""
    tree: dict[str, Any] = {}
    for path, text in found.items():
        branch = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})
        branch[path[-1]] = text.text
    return tree


def _read_file(name: str, path: SettingPath, file: Path, found: Found) -> Iterator[str]:
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST_FILE + 1)
        text = content.decode().rstrip("\r\n")
    except OSError as error:
        yield f"{name}: {file} can't be read: {error.strerror}: mend it, or name another file"
        return
    except ValueError:
        yield f"{name}: {file} is not text in UTF-8: write the value into it, and nothing else"
        return
    if not text.strip() or len(content) > _LARGEST_FILE:
        size = "too large" if text.strip() else "empty"
        yield f"{name}: {file} is {size}: write the value into it, and nothing else"
        return
    found[path] = FoundText(text, str(file))


def _is_of_the_platform(name: str, value: str) -> bool:
    """Kubernetes sets such variables for a Service that is called `streamgauge`; nobody chose them."""
    if not _PLATFORM.fullmatch(name):
        return False
    return "SERVICE_" in name or bool(_ADDRESS.match(value)) or bool(re.search(r"_PORT_\d+_", name))


def _unknown(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, n=1)
    fix = f"did you mean {close[0]}?" if close else "unset it; `streamgauge check` lists all settings"
    return f"{name}: there is no such setting: {fix}"
