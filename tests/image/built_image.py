"""The image, built for real and run without a container engine: Debian's buildah, and chroot with own namespaces.

The base image can't be had without a registry, so Debian's packages stand in for it. What runs, runs as in a container
with a read-only root: as the image's user, without capabilities, in a process namespace of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
WORK: Final = ROOT / "build" / "image"
"""Kept from one run to the next: the base takes some minutes to download."""

BASE: Final = "localhost/streamgauge-base"
IMAGE: Final = "localhost/streamgauge:test"
NEEDED: Final = ("buildah", "debootstrap", "unshare", "setpriv")
PACKAGES: Final = ("ca-certificates", "libpython3-dev", "python3", "python3-venv")

_OF_THIS_MACHINE: Final = ("etc/ssl/certs/ca-certificates.crt", "etc/pip.conf")
"""Where builds on this machine find packages, and whom they trust: the base image is where that belongs."""


def missing_builder() -> str:
    """Why images can't be built here, starting with "needs"; empty when they can."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"needs {', '.join(missing)}: install Debian's buildah and debootstrap"
    return "" if os.geteuid() == 0 else "needs root: chroot and mounts are for root alone"


@dataclass(frozen=True)
class Image:
    """What was built: its configuration as Docker keeps it, and its files."""

    config: Mapping[str, Any]
    files: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the image sets."""
        return dict(entry.split("=", 1) for entry in self.config["Env"])

    def start(self, data: Path, *words: str, **variables: str) -> subprocess.Popen[str]:
        """The image's entry point with these words, as process 1 of a namespace; what it says comes through a pipe.

        `data` is what /var/lib/streamgauge is; nothing else but /tmp can be written.
        """
        user = self.config["User"]
        uid, _, gid = user.partition(":")
        shutil.chown(data, int(uid), int(gid))
        inside = [
            'mount --bind "$1" "$1"',
            'mount -o remount,bind,ro "$1"',
            'mount --bind "$2" "$1/var/lib/streamgauge"',
            'mount -t tmpfs tmpfs "$1/tmp"',
            'mount -t proc proc "$1/proc"',
            'mount --bind /dev "$1/dev"',
            'cd "$1" && root=$1 && shift 2 && exec env -i "$@"',
        ]
        locked = f"--reuid={uid} --regid={gid} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all"
        settings = [f"{name}={value}" for name, value in {**self.environment, **variables}.items()]
        # chroot comes after setpriv, which must find the program's own libraries: so setpriv of the image is used.
        enter = ["chroot", str(self.files), "/usr/bin/setpriv", *locked.split()]
        command = [*settings, *enter, *(words if words[0].startswith("/") else [*self.entry_point, *words])]
        return subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", " && ".join(inside), "sh",
             str(self.files), str(data), *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip

    @property
    def entry_point(self) -> list[str]:
        """With its whole path: there is no PATH before the root has changed."""
        first, *rest = self.config["Entrypoint"]
        return [f"/opt/streamgauge/bin/{first}", *rest]


def first_process(started: subprocess.Popen[str]) -> int:
    """The process, seen from outside, that is number 1 of the namespace."""
    deadline = time.monotonic() + 30
    while not (children := Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()):
        assert time.monotonic() < deadline, "unshare has started nothing"
        time.sleep(0.02)
    return int(children[0])


def run_beside(started: subprocess.Popen[str], image: Image, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the namespaces of a process that was started: as a health check is run."""
    pid = first_process(started)
    environment = [entry for entry in Path(f"/proc/{pid}/environ").read_text().split("\0") if entry]
    return subprocess.run(
        ["nsenter", "--target", str(pid), "--mount", "--pid", "env", "-i", *environment, "chroot", str(image.files),
         "/usr/bin/setpriv", "--reuid=10001", "--regid=10001", "--clear-groups", *words],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def stop(started: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, str]:
    """Send it the signal; returns its exit code, and all that it said and nobody read."""
    if started.poll() is None:
        os.kill(first_process(started), number)
    said, _ = started.communicate(timeout=60)
    return started.returncode, said


@contextmanager
def built_image() -> Iterator[Image]:
    """Build it as the Dockerfile says; mounted as long as the context lasts."""
    WORK.mkdir(parents=True, exist_ok=True)
    _make_base()
    _run("bud", "--isolation", "chroot", "--format", "docker", "--build-arg", f"BASE={BASE}", "--tag", IMAGE, str(ROOT))
    config = json.loads(_run("inspect", "--type", "image", IMAGE))["Docker"]["config"]
    container = _run("from", "--pull-never", IMAGE).strip()
    try:
        yield Image(config, Path(_run("mount", container).strip()))
    finally:
        _run("umount", container)
        _run("rm", container)


def _make_base() -> None:
    if BASE in _run("images", "--format", "{{.Name}}"):
        return
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        root = Path(folder) / "base"
        release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)[
            "VERSION_CODENAME"
        ]
        _checked(["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", release, str(root)])
        for name in _OF_THIS_MACHINE:
            if (Path("/") / name).exists():
                shutil.copy(Path("/") / name, root / name)
        (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        container = _run("from", "scratch").strip()
        _run("add", container, str(root), "/")
        _run("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", container)
        _run("commit", "--rm", container, BASE)


def _run(*arguments: str) -> str:
    store = ["--root", str(WORK / "storage"), "--runroot", str(WORK / "run"), "--storage-driver", "vfs"]
    return _checked(["buildah", *store, *arguments])


def _checked(command: Sequence[str]) -> str:
    done = subprocess.run(["nice", "-n", "10", *command], capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join(f"{done.stdout}\n{done.stderr}".splitlines()[-40:])
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
    return done.stdout
