"""The Compose files as one, for tests: Compose's own rules of merging, as far as these files need them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[1]
COMPOSE: Final = ROOT / "deploy" / "compose"

_REPLACED: Final = {"command", "entrypoint"}
_VARIABLE: Final = re.compile(r"\$\{(\w+):-([^}]*)\}")


def whole() -> dict[str, Any]:
    """What `docker compose up` runs: all files that compose.yaml includes, one over the other."""
    [included] = loaded("compose.yaml")["include"]
    first, *others = (loaded(name) for name in included["path"])
    for other in others:
        first = merged(first, other)
    return first


def small() -> dict[str, Any]:
    """What runs without Kafka."""
    return loaded("small.yaml")


def loaded(name: str) -> dict[str, Any]:
    """One file, with the defaults of its variables."""
    text = (COMPOSE / name).read_text()
    found: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(lambda variable: variable[2], text))
    return found


def merged(below: Any, above: Any, name: str = "") -> Any:
    """Maps are merged, lists put together, anything else is replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        both = below | above
        return both | {key: merged(below[key], above[key], key) for key in below.keys() & above.keys()}
    if isinstance(below, list) and isinstance(above, list) and name not in _REPLACED:
        return below + [entry for entry in above if entry not in below]
    return above


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """By the place in the container: the file or folder of this machine, from the Compose files' folder."""
    return {entry["target"]: entry["source"] for entry in service.get("volumes", []) if isinstance(entry, dict)}
