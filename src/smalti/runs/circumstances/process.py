"""Which process runs, and whether one that was written down still does."""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smalti.canonical import Json


def this_process() -> dict[str, Json]:
    """Return host, process id, and when the process began, by its kernel's clock, where that says so."""
    return {"host": platform.node(), "pid": os.getpid(), "process_began": _began_here(os.getpid())}


def is_gone(said: Mapping[str, Any]) -> bool | None:
    """Tell whether a process is gone; None where that cannot be told from here.

    Args:
        said: what :func:`this_process` gave.
    """
    pid = said.get("pid")
    if said.get("host") != platform.node() or not isinstance(pid, int) or pid <= 0:
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # another user's
        pass
    began, was = _began(pid), said.get("process_began")
    return began != was if began is not None and was is not None else False


@functools.cache
def _began_here(pid: int) -> str | None:
    return _began(pid)


def _began(pid: int) -> str | None:
    """Return the start of a process and of its machine; a number that is given again has another."""
    try:
        # proc(5): the name is in parentheses and may hold anything; the start is the 20th field after it
        ticks = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except (OSError, IndexError):
        return None
    return f"{boot[:8]}-{ticks}"
