"""How a tracked path stands: beside its pointer, in the store, and in the remote store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smalti.errors import NotFound
from smalti.store import Store
from smalti.tracking import pointer
from smalti.tracking.contents import Changes, changes, pointed_contents
from smalti.tracking.scan import scan
from smalti.tracking.stat_cache import StatCache
from smalti.tracking.work_tree import work_contents


@dataclass(frozen=True, slots=True)
class Status:
    """How one tracked path stands.

    Attributes:
        path: which.
        present: there is something at the path.
        in_store: the store has what the pointer refers to.
        in_remote: the remote store has it; None when it was not asked.
        changes: what differs at the path from what the pointer refers to; None when one of the two is missing.
    """

    path: Path
    present: bool
    in_store: bool
    in_remote: bool | None
    changes: Changes | None

    @property
    def agrees(self) -> bool:
        """Tell whether nothing differs and nothing is missing."""
        return self.present and self.in_store and self.in_remote is not False and not self.changes


def status(store: Store, cache: StatCache, path: Path, remote: Store | None = None) -> Status:
    """Compare a tracked path with its pointer; files that look as when they were last read are not read again.

    What was written less than two seconds before it was read is read once more, as after a checkout; see
    :mod:`smalti.tracking.stat_cache`.

    Raises:
        NotFound: the path has no pointer.
        Refused: the pointer is none, or something at the path cannot be kept.
        Unavailable: the machine did not let something be read.
    """
    wanted = pointer.read(path)
    in_store = _has(store, wanted.digest)
    in_remote = None if remote is None else _has(remote, wanted.digest)
    try:
        listing = scan(path)
    except NotFound:
        return Status(path, False, in_store, in_remote, None)
    found = changes(pointed_contents(store, wanted), work_contents(cache, path, listing)) if in_store else None
    return Status(path, True, in_store, in_remote, found)


def _has(store: Store, digest: str) -> bool:
    try:
        store.record(digest)
    except NotFound:
        return False
    return True
