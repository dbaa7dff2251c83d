"""Making the work tree agree with a pointer: each file verified and moved into place whole, nothing of yours lost."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from smalti.errors import Damaged, NotFound, Refused
from smalti.store import Progress, Store
from smalti.store.commit import machine_errors
from smalti.store.long_work import OnProgress
from smalti.tracking import pointer
from smalti.tracking.contents import A_FOLDER, Contents, Entry, changes, pointed_contents, stored_contents
from smalti.tracking.pointer import Pointer
from smalti.tracking.scan import Listing, scan
from smalti.tracking.stat_cache import StatCache
from smalti.tracking.work_file import remove_parts, replace_file
from smalti.tracking.work_tree import work_contents

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """What a checkout did: files it wrote, files and folders it removed, files that were as they should be already."""

    written: int
    removed: int
    kept: int


def checkout(
    store: Store, cache: StatCache, path: Path, *, force: bool = False, progress: OnProgress | None = None
) -> CheckedOut:
    """Make a path hold what its pointer says; interrupted, the next checkout goes on.

    What is there and neither as the pointer says nor as it was last put or checked out here is yours: it is changed
    only with ``force``.

    Raises:
        NotFound: the path has no pointer, or its content is not in the store.
        Damaged: the stored bytes are not what was stored; the file at the path stays as it was.
        Refused: there are changes of yours, which are named; nothing was changed.
        Unavailable: the machine did not let something be read or written.
    """
    wanted = pointer.read(path)
    after = pointed_contents(store, wanted)
    listing = _scan(path)
    before = work_contents(cache, path, listing)
    todo = changes(before, after)
    if not force:
        _check_yours(path, before, after, _base(store, cache, path, wanted, after))
    with machine_errors(f"removing what an interrupted checkout of {path} left behind"):
        remove_parts(path, listing.parts)
        remove_parts(path.parent, os.listdir(path.parent))  # noqa: PTH208
    _remove(path, before, (name for name in before if name not in after or _is_of_another_kind(before, after, name)))
    write_contents(store, path, {name: after[name] for name in (*todo.added, *todo.changed)}, progress)
    cache.set_base(path, wanted.digest)
    files = sum(entry != A_FOLDER for entry in after.values())
    written = sum(after[name] != A_FOLDER for name in (*todo.added, *todo.changed))
    return CheckedOut(written, len(todo.removed), files - written)


def write_contents(store: Store, path: Path, contents: Contents, progress: OnProgress | None = None) -> None:
    """Write files, each verified first and moved into place whole, and folders.

    Raises:
        NotFound, Damaged: the store lacks one, or it is not what was stored.
        Unavailable: the machine did not let one be written.
    """
    done = nbytes = 0
    with machine_errors(f"writing {path}"):
        for name in sorted(contents):  # a folder comes before what is in it
            target = path / name if name else path
            entry = contents[name]
            if entry == A_FOLDER:
                target.mkdir(exist_ok=True)
                continue
            data = store.open(entry.address)
            if not isinstance(data, memoryview):
                raise Refused(f"{entry.address} is to be {target}, but is no file; restore the pointer from git.")
            replace_file(target, data, entry.executable)
            done, nbytes = done + 1, nbytes + data.nbytes
            if progress:
                progress(Progress(done, len(contents), nbytes, 0))


def _scan(path: Path) -> Listing:
    try:
        return scan(path)
    except NotFound:
        return Listing()


def _base(store: Store, cache: StatCache, path: Path, wanted: Pointer, after: Contents) -> Contents:
    """Return what was put or checked out here last, as far as that is known."""
    digest = cache.base(path)
    if digest == wanted.digest:
        return after
    with suppress(NotFound, Refused, Damaged):
        if digest:
            return stored_contents(store, digest)
    return {}


def _check_yours(path: Path, before: Contents, after: Contents, base: Contents) -> None:
    """Make sure that all that is to be changed is as it was last put or checked out."""
    yours = sorted(
        f"{path}/{name}" if name else str(path)
        for name, entry in before.items()
        if after.get(name) != entry and not _same_content(base.get(name), entry)
    )
    if yours:
        more = f" and {len(yours) - _MOST_NAMED} more" if len(yours) > _MOST_NAMED else ""
        raise Refused(
            f"{', '.join(yours[:_MOST_NAMED])}{more} would be lost, having been changed since the last put; "
            f"put it first, or checkout --force."
        )


def _same_content(base: Entry | None, entry: Entry) -> bool:
    return base is not None and base.address == entry.address


def _is_of_another_kind(before: Contents, after: Contents, name: str) -> bool:
    return (before[name] == A_FOLDER) != (after[name] == A_FOLDER)


def _remove(path: Path, before: Contents, names: Iterable[str]) -> None:
    with machine_errors(f"removing what is not in {path} any more"):
        for name in sorted(names, reverse=True):  # what is in a folder comes before it
            target = path / name if name else path
            if before[name] == A_FOLDER:
                target.rmdir()
            else:
                os.unlink(target)  # noqa: PTH108
