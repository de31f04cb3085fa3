"""The folder of an embedded server: who may use it, where its socket is, and the end of its log."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from flow.errors import SettingsError

LONGEST_SOCKET_PATH: Final = 100
"""Bytes. sun_path holds 108 on Linux and 104 on macOS, with its final zero (unix(7))."""

LARGEST_LOG: Final = 10 * 1024 * 1024
"""Bytes. A larger server log is set aside at the next start; the one set aside before is dropped."""


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """Paths inside a data folder. All absolute."""

    folder: Path

    @property
    def lock(self) -> Path:
        """Held by our process while it uses the folder; its text is our process id."""
        return self.folder / "lock"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "valkey.log"

    @property
    def pid(self) -> Path:
        """The server's process id, written by itself."""
        return self.folder / "valkey.pid"

    @property
    def socket_note(self) -> Path:
        """Where the last server's socket is: whoever starts next must be able to find one that was left over."""
        return self.folder / "socket-path"

    @property
    def socket(self) -> Path:
        """The socket's place, where a socket's path may be that long."""
        return self.folder / "valkey.sock"


def open_folder(folder: Path) -> ServerFiles:
    """Make the folder if need be, for our user alone. Raises SettingsError when we can't write in it."""
    try:
        folder = folder.expanduser().resolve()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise _unusable(folder, error) from None
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise _unusable(folder, PermissionError("no right to write in it"))
    return ServerFiles(folder)


@contextlib.contextmanager
def locked(files: ServerFiles) -> Iterator[None]:
    """Hold the folder. Raises SettingsError when another process holds it, or when its file system can't lock.

    The lock goes with our process, however that ends. The server doesn't inherit it: one left over never blocks us.
    """
    try:
        handle = os.open(files.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(files.folder, error) from None
    try:
        _lock(handle, files)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, files: ServerFiles) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
    except BlockingIOError:
        holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
        raise SettingsError(
            [
                f"{files.folder}: in use by another Streamgauge, process {holder}: "
                "stop that one, or give this one a data folder of its own"
            ]
        ) from None
    except OSError as error:
        raise _unusable(files.folder, error) from None


@contextlib.contextmanager
def placed_socket(files: ServerFiles) -> Iterator[Path]:
    """Where the server's socket goes: in the folder, or in a private temporary one when the path would be too long.

    The place is noted in the folder, and removed at the end.
    """
    path = files.socket
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH or not str(path).isprintable():
        path = Path(tempfile.mkdtemp(prefix="streamgauge-"), path.name)  # made with mode 0700
    try:
        _note(path, files)
        yield path
    finally:
        remove_socket(path, files)


def _note(socket: Path, files: ServerFiles) -> None:
    try:
        files.socket_note.write_bytes(os.fsencode(socket))
    except OSError as error:
        raise _unusable(files.folder, error) from None


def noted_socket(files: ServerFiles) -> Path | None:
    """The socket of the server that ran here last, if it is still there and ours."""
    try:
        path = Path(os.fsdecode(files.socket_note.read_bytes()))
        return path if path.is_socket() and path.lstat().st_uid == os.geteuid() else None
    except (OSError, ValueError):
        return None


def remove_socket(socket: Path, files: ServerFiles) -> None:
    """Remove a socket that nobody listens on, and its temporary folder if it had one."""
    with contextlib.suppress(OSError):
        socket.unlink(missing_ok=True)
        if socket.parent != files.folder:
            socket.parent.rmdir()


def socket_url(socket: Path) -> str:
    """The address of a socket as redis-py reads it, whatever characters the path has."""
    return f"unix://{quote(os.fsencode(socket))}"


def set_large_log_aside(files: ServerFiles) -> None:
    """Bound the server's log: the server itself never cuts it."""
    with contextlib.suppress(FileNotFoundError):
        if files.log.stat().st_size > LARGEST_LOG:
            files.log.replace(files.log.with_suffix(".log.1"))


def log_size(files: ServerFiles) -> int:
    """Bytes in the server's log now."""
    return files.log.stat().st_size if files.log.exists() else 0


def log_end(files: ServerFiles, start: int, lines: int = 10) -> str:
    """The last lines that were logged past byte `start`."""
    try:
        with files.log.open("rb") as log:
            log.seek(max(start, log_size(files) - 16_384))
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def recorded_pid(files: ServerFiles) -> str:
    """The process id that the last server wrote, for a message only: by now it may be another process's."""
    try:
        return files.pid.read_text().strip() or "unknown"
    except (OSError, UnicodeDecodeError):
        return "unknown"


def _unusable(folder: Path, error: Exception) -> SettingsError:
    why = getattr(error, "strerror", None) or str(error)
    return SettingsError([f"{folder}: can't keep data there: {why}: name a folder that this user can write in"])
