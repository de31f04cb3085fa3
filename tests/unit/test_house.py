"""The rules of the house: what is true of the whole tree, and of no one module."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("flow", "consumers", "service")
LONGEST_MODULE, LONGEST_FUNCTION = 300, 45

TEXT = {".py", ".lua", ".toml", ".txt", ".in", ".md", ".yaml", ".yml", ".json", ".js", ".css", ".html", ".sh", ""}
NOT_OURS = {"__pycache__", "build", "dist", "node_modules", "data"}

IMPURE_MODULES = {
    "aiokafka", "asyncio", "fastapi", "http", "httpx", "io", "logging", "multiprocessing", "os", "pathlib", "redis",
    "requests", "secrets", "selectors", "shutil", "signal", "socket", "ssl", "starlette", "subprocess", "sys",
    "tempfile", "threading", "time", "urllib.request", "uvicorn",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input"}
CLOCKS = {"now", "utcnow", "today"}


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def named(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the tree that somebody wrote, by its path from the root."""
    for path in sorted(ROOT.rglob("*")):
        place = path.relative_to(ROOT)
        hidden = {part for part in place.parts if part.startswith(".") and part != ".ci"} - {place.name}
        if path.is_file() and path.suffix in TEXT and not hidden and not NOT_OURS & set(place.parts):
            yield place, path.read_text(encoding="utf-8")


def project() -> dict[str, object]:
    table: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


# --- versions and pins -----------------------------------------------------------------------------------------------


def test_the_newest_heading_of_the_changelog_is_the_version() -> None:
    headings = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == project()["version"]


def pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / f"requirements/{name}.txt").read_text(), re.MULTILINE))


def test_every_runtime_dependency_is_pinned_and_the_tools_keep_its_version() -> None:
    declared = {re.split(r"[^\w-]", str(line))[0] for line in project()["dependencies"]}  # type: ignore[attr-defined]
    assert declared <= set(pins("runtime"))
    assert pins("runtime").items() <= pins("development").items()


@pytest.mark.parametrize("name", ["build", "runtime", "development"])
def test_every_pin_has_hashes_and_no_index_is_named(name: str) -> None:
    lines = (ROOT / f"requirements/{name}.txt").read_text().splitlines()
    blocks = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    for block in re.split(r"\n(?=\S)", blocks.strip()):
        assert re.match(r"[\w.-]+==\S+.*\\\n    --hash=sha256:[0-9a-f]{64}", block), block
    assert not [line for line in lines if line.startswith("-") or "://" in line]


# --- what no file may hold -------------------------------------------------------------------------------------------


def test_no_file_holds_a_path_of_somebodys_machine() -> None:
    private = re.compile(r"(?:/home/|/Users/|/root/)\w")
    place = str(ROOT) if len(ROOT.parts) > 2 else None
    found = [str(name) for name, text in texts() if private.search(text) or (place and place in text)]
    assert found == []


@pytest.mark.parametrize("name", ["Makefile", ".ci/run", "Dockerfile", "pyproject.toml"])
def test_no_tool_names_a_host(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.search(r"://|(?<!--no-emit-)(?:index-url|trusted-host|find-links)|PIP_\w*(?:INDEX|HOST|LINKS)", text)


# --- size ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", modules(*PACKAGES), ids=named(modules(*PACKAGES)))
def test_modules_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_MODULE
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_every_python_file_compiles() -> None:
    for path in modules(*PACKAGES, "tests", "deploy", "grafana"):
        compile(path.read_text(), path, "exec", dont_inherit=True)


# --- purity and direction --------------------------------------------------------------------------------------------


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def impurities(text: str) -> list[str]:
    """What in this source reads a clock, does input or output, or draws numbers without a seed."""
    tree = ast.parse(text)
    found = [
        name for name in imported(tree) if any(within(name, module) for module in (*IMPURE_MODULES, *PACKAGES[1:]))
    ]
    found += [name for name in imported(tree) if within(name, "random") and name not in {"random", "random.Random"}]
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        if name in IMPURE_CALLS or name.rpartition(".")[2] in CLOCKS:
            found.append(name)
        elif name in {"random.Random", "Random"} and not call.args:
            found.append(f"{name} without a seed")
        elif name.startswith("random.") and name != "random.Random":
            found.append(name)
    return found


@pytest.mark.parametrize("path", modules("flow"), ids=named(modules("flow")))
def test_flow_is_pure(path: Path) -> None:
    assert impurities(path.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio", "import os.path", "from time import monotonic", "from os import path",
        "import urllib.request",
        "from service import settings", "import consumers.aggregator", "open('x')", "print('x')", "datetime.now(UTC)",
        "datetime.datetime.utcnow()", "date.today()", "random.random()", "random.seed(1)", "from random import choice",
        "random.Random()", "Random()", "def f():\n    import socket",
    ],
)  # fmt: skip
def test_the_check_of_purity_sees(text: str) -> None:
    assert impurities(text)


@pytest.mark.parametrize(
    "text",
    [
        "from random import Random\nRandom(7).random()",
        "import random\nrandom.Random(seed)",
        "from datetime import datetime",
    ],
)
def test_the_check_of_purity_accepts(text: str) -> None:
    assert impurities(text) == []


def test_only_the_entry_point_imports_the_command_line() -> None:
    outside = [path for path in modules("service") if "command_line" not in str(path) and path.name != "__main__.py"]
    importers = [
        path
        for path in [*outside, *modules("flow", "consumers")]
        if any(within(name, "service.command_line") for name in imported(ast.parse(path.read_text())))
    ]
    assert named(importers) == []


# --- documentation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [path for path in modules(*PACKAGES) if ">>> " in path.read_text()],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_examples_in_docstrings_hold(path: Path) -> None:
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    outcome = doctest.testmod(module)
    assert (outcome.failed, outcome.attempted > 0) == (0, True)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *named(sorted((ROOT / "docs").rglob("*.md")))])
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    named_files = re.findall(rf"`((?:{'|'.join((*PACKAGES, 'tests', 'grafana', 'docs'))})/[\w./-]*)`", text)
    linked = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    places = [*(ROOT / name for name in named_files), *((ROOT / page).parent / link for link in linked)]
    assert [str(place) for place in places if not place.exists()] == []


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    targets = re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout
    assert re.findall(r"^  ([a-z-]+) +\S", listed, re.MULTILINE) == targets
    assert phony is not None
    assert sorted(phony[1].split()) == sorted(targets)


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert project()["license"] == "Apache-2.0"


@pytest.mark.parametrize("command", ["make demo", "make up"])
def test_the_readme_tells_how_to_start(command: str) -> None:
    assert command in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()
