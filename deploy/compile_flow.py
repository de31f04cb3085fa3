"""Compiles the hot part of the domain with mypyc: `python deploy/compile_flow.py FOLDER`.

Copies `flow` to FOLDER/flow and builds the modules that every fact passes through. The same sources run uncompiled;
put FOLDER first on PYTHONPATH to use the compiled ones. Needs a C compiler, and the packages of
requirements/compiler.txt, which are among the development packages too.

`--into PACKAGES` puts the libraries beside the sources of a `flow` that is installed there, and makes sure that it
uses them.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
HOT: Final = (
    *("brief", "cells", "counters", "fold", "histogram", "moves"),
    *("sorting", "tally", "timeline", "vector", "walk"),
)


def main() -> None:
    """Build into the folder that the first argument names, from nothing."""
    parser = argparse.ArgumentParser(description="Compiles the hot part of the domain.")
    parser.add_argument("folder", type=Path, help="built from nothing, with the sources")
    parser.add_argument("--into", type=Path, help="folder with an installed flow that gets the libraries")
    wanted = parser.parse_args()
    target = wanted.folder.resolve()
    build(target)
    if wanted.into is not None:
        install(target, wanted.into.resolve())


def build(target: Path) -> None:
    """Copy the sources there and compile them."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "flow", target / "flow", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    modules = [f"flow/{name}.py" for name in HOT]
    mypyc = Path(sys.executable).with_name("mypyc")
    built = subprocess.run([mypyc, "--strict", *modules], cwd=target, capture_output=True, text=True, check=False)  # noqa: S603
    if built.returncode:
        sys.exit(f"{built.stdout}\n{built.stderr}\nmypyc failed: is a C compiler installed?")


def install(target: Path, packages: Path) -> None:
    """Put the libraries into the packages, whose `flow` must have the same sources."""
    for name in HOT:
        if (packages / f"flow/{name}.py").read_bytes() != (target / f"flow/{name}.py").read_bytes():
            sys.exit(f"{packages / 'flow'} has another {name}.py than was compiled: install this version first")
    for library in [*target.glob("*.so"), *target.glob("flow/*.so")]:
        shutil.copy(library, packages / library.relative_to(target))
    look = f"import importlib\nfor name in {HOT}: print(importlib.import_module('flow.' + name).__file__)"
    found = subprocess.run([sys.executable, "-c", look], cwd=packages, capture_output=True, text=True, check=True)  # noqa: S603
    if [path for path in found.stdout.split() if not path.endswith(".so") or str(packages) not in path]:
        sys.exit(f"{packages / 'flow'} does not use what was compiled: is it another Python?\n{found.stdout}")


if __name__ == "__main__":
    main()
