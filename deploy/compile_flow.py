"""Compiles the hot part of the domain with mypyc: `python deploy/compile_flow.py FOLDER`.

Copies `flow` to FOLDER/flow and builds the modules that every fact passes through. The same sources run uncompiled;
put FOLDER first on PYTHONPATH to use the compiled ones. Needs a C compiler, and mypy from the development packages.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
HOT: Final = ("cells", "counters", "fold", "histogram", "tally", "timeline", "vector", "walk")


def main() -> None:
    """Build into the folder that the first argument names, from nothing."""
    target = Path(sys.argv[1]).resolve()
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "flow", target / "flow", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    modules = [f"flow/{name}.py" for name in HOT]
    mypyc = Path(sys.executable).with_name("mypyc")
    built = subprocess.run([mypyc, "--strict", *modules], cwd=target, capture_output=True, text=True, check=False)  # noqa: S603
    if built.returncode:
        sys.exit(f"{built.stdout}\n{built.stderr}\nmypyc failed: is a C compiler installed?")


if __name__ == "__main__":
    main()
