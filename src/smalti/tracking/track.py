"""Putting a file or folder under version control: its content in the store, a pointer file beside it for git."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from smalti.errors import NotFound, Refused
from smalti.store import Store
from smalti.store.long_work import OnProgress
from smalti.tracking import git, pointer
from smalti.tracking.pointer import Pointer, is_tracked, pointer_path
from smalti.tracking.stat_cache import StatCache
from smalti.tracking.work_tree import Put, put_path


@dataclass(frozen=True, slots=True)
class Tracked:
    """What putting a path under version control did.

    Attributes:
        put: what was stored.
        pointer: the pointer file.
        to_commit: files that were written and belong into git.
        ignored: git ignores the pointer file, so that it would not be committed.
    """

    put: Put
    pointer: Path
    to_commit: tuple[Path, ...]
    ignored: bool


def track(store: Store, cache: StatCache, path: Path, progress: OnProgress | None = None) -> Tracked:
    """Store a file or folder, keep it from ``gc`` by a pin, and write its pointer file.

    In a git work tree the path is added to the ``.gitignore`` beside it, and so is the store where it lies in there.

    Raises:
        NotFound, Refused, Unavailable: see :func:`put_path`; also refused is what lies in a tracked folder, holds
            the store, or is in git itself.
    """
    _check_place(store, path)
    earlier = _earlier(path)
    work_tree = git.work_tree_of(path)
    if work_tree and earlier is None:
        git.check_addable(path)
    put = put_path(store, cache, path, like=earlier.digest if earlier else None, progress=progress)
    store.pin(put.ref)
    kind = "folder" if put.ref.kind == "tree" else "executable" if put.executable else "file"
    written = [pointer_path(path)] * pointer.write(path, Pointer(kind, put.ref.digest, put.files, put.ref.nbytes))
    if work_tree:
        written += [path.with_name(".gitignore")] * git.ignore(path)
        written += git.ignore_store(Path(store.place), path.parent)
    cache.set_base(path, put.ref.digest)
    ignored = work_tree is not None and earlier is None and git.ignores(pointer_path(path))
    return Tracked(put, pointer_path(path), tuple(dict.fromkeys(written)), ignored)


def _earlier(path: Path) -> Pointer | None:
    try:
        return pointer.read(path)
    except NotFound:
        return None


def _check_place(store: Store, path: Path) -> None:
    absolute = Path(os.path.abspath(path))  # noqa: PTH100, links above are as good as folders
    for folder in absolute.parents:
        if is_tracked(folder):
            raise Refused(f"{path} lies in {folder}, which is tracked as a whole; put that.")
    if Path(store.place).is_absolute() and Path(store.place).is_relative_to(absolute):
        raise Refused(f"{path} holds the store itself, {store.place}; put the files and folders in it one by one.")
    if path.name in ("", ".."):
        raise Refused(f"{path} has no name that a pointer file could take; name it from outside, or what is in it.")
