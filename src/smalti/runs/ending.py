"""Runs that nobody ended: they end with the process that began them, as its last act."""

from __future__ import annotations

import atexit
import os
import sys
import warnings
from typing import TYPE_CHECKING

from smalti.errors import NotFound
from smalti.runs.confidential import error_text
from smalti.runs.run_manifest import FAILED, FINISHED, RUNNING, RunManifest

if TYPE_CHECKING:
    from smalti.runs.flexible_store import FlexibleDataStore

_began: dict[tuple[int, str, str], FlexibleDataStore] = {}  # by process, place and run


def ends_with_the_process(run_id: str, store: FlexibleDataStore) -> None:
    """Remember a run that begins; a process that is killed leaves it running."""
    if not _began:
        atexit.register(_end_all)
    _began[os.getpid(), store.store.place, run_id] = store


def has_ended(manifest: RunManifest, store: FlexibleDataStore) -> None:
    """Forget a run that was ended."""
    _began.pop((os.getpid(), store.store.place, manifest.run_id), None)


def _end_all() -> None:
    """End the runs of this process: failed where an exception ended it, else finished."""
    interactive = hasattr(sys, "ps1") or "IPython" in sys.modules  # an exception there ended a line, not the process
    error = None if interactive else getattr(sys, "last_value", None)
    status, text = (FINISHED, "") if error is None else (FAILED, error_text(error))
    for (process, _, run_id), store in list(_began.items()):
        if process != os.getpid():  # of the process that this one was forked from
            continue
        try:
            manifest = store.get_run(run_id)
            if manifest.status == RUNNING:
                store.finish_run(manifest, status, text)
        except NotFound:  # somebody removed it, or the store
            continue
        except Exception as problem:  # nothing that can be done now is worth another error
            warnings.warn(
                f"the end of the run {run_id!r} could not be recorded: {problem}", RuntimeWarning, stacklevel=1
            )
