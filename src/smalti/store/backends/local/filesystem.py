"""What the file system under a store can do, found by trying it."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from smalti.store.commit import machine_errors, sync, write_file

_PROBE_NBYTES = 64 * 1024 * 1024
_SYNC_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class FileSystem:
    """Attributes:
    folder: where it was tried, the nearest existing folder.
    write_mb_per_s: speed of one large synced write, 1e6 bytes per second.
    sync_ms: time of one small durable file, milliseconds, median.
    hard_links, case_sensitive: whether it has them.
    free_nbytes: space left for this user.
    """

    folder: Path
    write_mb_per_s: float
    sync_ms: float
    hard_links: bool
    case_sensitive: bool
    free_nbytes: int


def examine(root: Path) -> FileSystem:
    """Try the file system that holds, or will hold, ``root``; everything written is removed again.

    Raises:
        Unavailable: nothing can be written there.
    """
    existing = next(folder for folder in (root, *root.parents) if folder.is_dir())
    with (
        machine_errors(f"trying the file system at {existing}"),
        tempfile.TemporaryDirectory(dir=existing, prefix=".smalti-doctor-") as name,
    ):
        folder = Path(name)
        start = time.perf_counter()
        write_file(folder / "large", [os.urandom(1024 * 1024)] * (_PROBE_NBYTES // (1024 * 1024)))
        seconds = time.perf_counter() - start
        return FileSystem(
            folder=existing,
            write_mb_per_s=_PROBE_NBYTES / seconds / 1e6,
            sync_ms=sorted(_small_write_ms(folder, n) for n in range(_SYNC_ROUNDS))[_SYNC_ROUNDS // 2],
            hard_links=_links(folder),
            case_sensitive=not (folder / "LARGE").exists(),
            free_nbytes=shutil.disk_usage(existing).free,
        )


def _small_write_ms(folder: Path, number: int) -> float:
    start = time.perf_counter()
    write_file(folder / str(number), [b"x" * 4096])
    sync(folder)
    return (time.perf_counter() - start) * 1e3


def _links(folder: Path) -> bool:
    try:
        os.link(folder / "0", folder / "link")
    except OSError:
        return False
    return True
