"""How far a check or a transfer has come, as lines in the log of its run."""

import time
from collections.abc import Callable

import dagster as dg

from smalti.notebook.words import readable
from smalti.store import Progress


def logged(log: dg.DagsterLogManager, doing: str, every_seconds: float = 30.0) -> Callable[[Progress], None]:
    """Return what logs progress, at most one line in so many seconds."""
    last = time.monotonic()

    def report(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= every_seconds:
            last = time.monotonic()
            of = f" of {readable(progress.of_nbytes)}" if progress.of_nbytes else ""
            done = f"{progress.objects} of {progress.of_objects} objects, {readable(progress.nbytes)}{of}"
            log.info(f"{doing}: {done}")

    return report
