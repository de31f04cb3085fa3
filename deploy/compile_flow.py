"""Compiles with mypyc what every fact passes through: `python deploy/compile_flow.py FOLDER`.

Copies `flow` and `consumers` to FOLDER and builds the hot modules there. The same sources run uncompiled; put FOLDER
first on PYTHONPATH to use the compiled ones. Needs a C compiler, and the packages of requirements/compiler.txt, which
are among the development packages too.

`--into PACKAGES` puts the libraries beside the sources that are installed there, and makes sure that they are used.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("flow", "consumers")
HOT: Final = (
    *("flow/brief", "flow/cells", "flow/counters", "flow/fold", "flow/histogram", "flow/moves", "flow/sorting"),
    *("flow/tally", "flow/timeline", "flow/vector", "flow/walk", "consumers/wire"),
)


def main() -> None:
    """Build into the folder that the first argument names, from nothing."""
    parser = argparse.ArgumentParser(description="Compiles what every fact passes through.")
    parser.add_argument("folder", type=Path, help="built from nothing, with the sources")
    parser.add_argument("--into", type=Path, help="folder with the installed packages, which get the libraries")
    wanted = parser.parse_args()
    target = wanted.folder.resolve()
    build(target)
    if wanted.into is not None:
        install(target, wanted.into.resolve())


def build(target: Path) -> None:
    """Copy the sources there and compile them."""
    shutil.rmtree(target, ignore_errors=True)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    modules = [f"{name}.py" for name in HOT]
    mypyc = Path(sys.executable).with_name("mypyc")
    built = subprocess.run([mypyc, "--strict", *modules], cwd=target, capture_output=True, text=True, check=False)  # noqa: S603
    if built.returncode:
        sys.exit(f"{built.stdout}\n{built.stderr}\nmypyc failed: is a C compiler installed?")


def install(target: Path, packages: Path) -> None:
    """Put the libraries into the packages, whose `flow` must have the same sources."""
    for name in HOT:
        if (packages / f"{name}.py").read_bytes() != (target / f"{name}.py").read_bytes():
            sys.exit(f"{packages} has another {name}.py than was compiled: install this version first")
    for library in [*target.glob("*.so"), *(path for package in PACKAGES for path in target.glob(f"{package}/*.so"))]:
        shutil.copy(library, packages / library.relative_to(target))
    names = [name.replace("/", ".") for name in HOT]
    look = f"import importlib\nfor name in {names}: print(importlib.import_module(name).__file__)"
    found = subprocess.run([sys.executable, "-c", look], cwd=packages, capture_output=True, text=True, check=True)  # noqa: S603
    if [path for path in found.stdout.split() if not path.endswith(".so") or str(packages) not in path]:
        sys.exit(f"{packages} does not use what was compiled: is it another Python?\n{found.stdout}")


if __name__ == "__main__":
    main()
