"""Who builds a directory, and whether the builder still lives: a file in the directory, renewed while it is built.

``_lease.json``  {"pid", "host", "started"}; its modification time is the last time the builder was alive.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

LEASE = "_lease.json"
TIMEOUT_S = 120.0  # a builder on another host that has not renewed its lease for so long is dead
_RENEWALS_PER_TIMEOUT = 8

_mine: set[tuple[Path, int]] = set()


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that builds.

    Attributes:
        pid: its number on the host.
        host: the host's name and, where the system tells, its boot and the space in which it counts processes.
        started: when the process began, in the unit of the system; tells it from a later one of the same number.
    """

    pid: int
    host: str
    started: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host.partition(' ')[0]}"


def this_process() -> Owner:
    """Return the owner that this process is."""
    return Owner(os.getpid(), _this_host(), _start_of(os.getpid()))


def take(folder: Path) -> None:
    """Write the lease of this process into a folder that nobody else knows yet."""
    (folder / LEASE).write_text(json.dumps(asdict(this_process())))


@contextmanager
def renewed(folder: Path, timeout_s: float = TIMEOUT_S) -> Iterator[None]:
    """Renew the lease while a directory is built, and remove it afterwards."""
    ended = threading.Event()
    file = folder / LEASE

    def renew() -> None:
        while not ended.wait(timeout_s / _RENEWALS_PER_TIMEOUT):
            with suppress(OSError):
                os.utime(file)

    thread = threading.Thread(target=renew, name=f"lease of {folder.name}", daemon=True)
    mine = folder, threading.get_ident()
    _mine.add(mine)
    thread.start()
    try:
        yield
    finally:
        _mine.discard(mine)
        ended.set()
        thread.join()
        file.unlink(missing_ok=True)


def is_built_by_this_thread(folder: Path) -> bool:
    """Tell whether this very thread is building the directory, so that waiting for it would never end."""
    return (folder, threading.get_ident()) in _mine


def owner_of(folder: Path) -> Owner | None:
    """Return who holds the lease, None where there is none that can be read."""
    try:
        return Owner(**json.loads((folder / LEASE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def is_alive(folder: Path, owner: Owner, timeout_s: float = TIMEOUT_S) -> bool:
    """Tell whether a builder lives: by its number on this host, elsewhere by the age of its lease."""
    if owner.host == _this_host():
        return _start_of(owner.pid) == owner.started and _exists(owner.pid)
    return idle_s(folder / LEASE) <= timeout_s


def idle_s(file: Path) -> float:
    """Return how long ago a file was last written, in s; endless where there is none."""
    try:
        return time.time() - file.stat().st_mtime
    except OSError:
        return float("inf")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def _start_of(pid: int) -> str:
    """Return when a process began, on Linux; empty where that is not known, or it ended and was not waited for."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state in "ZX" else fields[18]
    except (OSError, ValueError, IndexError):
        return ""


def _this_host() -> str:
    known = [socket.gethostname()]
    with suppress(OSError):
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with suppress(OSError):
        known.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(known)
