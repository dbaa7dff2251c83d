"""What a confined child can still do, tried in one: which protections this machine enforces."""

from __future__ import annotations

import json
import mmap
import os
import resource
import socket
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalti.compute.fork_server import ForkServer
from smalti.compute.limits import ChildLimits
from smalti.errors import Unavailable

_MEMORY_NBYTES, _TOO_MUCH_NBYTES = 256 << 20, 1 << 30
_LIMITS = ChildLimits(_MEMORY_NBYTES, cpu_s=10, file_nbytes=1 << 20, wall_s=20)


@dataclass(frozen=True, slots=True)
class Protections:
    """What the machine keeps a process from that reads a foreign file.

    Attributes:
        files: it reads no file but its own and those of Python, and writes none but in its folder.
        network: it has no network.
        processes: it starts no process.
        memory: it takes no more memory than it may.
        limits: it raises no limit.
    """

    files: bool
    network: bool
    processes: bool
    memory: bool
    limits: bool


def protections() -> Protections:
    """Return what a child that tries everything does not get.

    Raises:
        Unavailable: no child could be confined here at all.
    """
    with tempfile.TemporaryDirectory() as place:
        outside, folder = Path(place) / "outside", Path(place) / "folder"
        outside.write_text("not for everyone")
        folder.mkdir()
        with ForkServer(Path(place) / "server") as server:
            outcome = server.call(
                "smalti.compute.probe:escape", {"outside": str(outside)}, limits=_LIMITS, writable=folder
            )
    if outcome.end != "answer":
        how = outcome.cause or f"it ended by {outcome.end}, status {outcome.status}"
        raise Unavailable(f"no process could be confined here ({how}); mend that first, no foreign file is read here.")
    escaped = json.loads(outcome.answer)["result"]
    return Protections(**{name: not done for name, done in escaped.items()})


def escape(request: Mapping[str, Any]) -> dict[str, bool]:
    """Return which of the things that a confined process must not do were done."""
    return {
        "files": _is_done(lambda: Path(request["outside"]).read_text()),
        "network": _is_done(lambda: socket.socket().close()),
        "processes": _is_done(_start_process),
        "memory": _is_done(lambda: mmap.mmap(-1, _TOO_MUCH_NBYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()),
        "limits": _is_done(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1 << 12))),
    }


def _is_done(attempt: Callable[[], Any]) -> bool:
    with suppress(OSError, ValueError, MemoryError):
        attempt()
        return True
    return False


def _start_process() -> None:
    if not os.fork():
        os._exit(0)
