"""The fold compiled, as the image has it, does what its source does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPILE = ROOT / "deploy" / "compile_flow.py"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc: a compiler")
@pytest.mark.timeout(400)
def test_the_compiled_fold_equals_the_oracle_too(tmp_path):
    subprocess.run([sys.executable, COMPILE, tmp_path], check=True)
    names = ("flow.fold", "flow.sorting", "flow.timeline", "consumers.wire")
    look = f"import importlib\nfor name in {names}: print(importlib.import_module(name).__file__)"
    found = subprocess.run([sys.executable, "-c", look], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [path for path in found.stdout.split() if not path.endswith(".so")] == []
    words = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=quick"]
    tests = ("tests/property/test_fold.py", "tests/property/test_sorting.py", "tests/unit/consumers/test_wire.py")
    paths = ["-o", f"pythonpath={tmp_path} {ROOT}", *(str(ROOT / test) for test in tests)]
    done = subprocess.run([*words, *paths], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
