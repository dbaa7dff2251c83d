"""Tracked files and folders beside their pointers: put, compared, checked out, and what is said about it.

Nothing here needs the parser of options, which takes longer to import than a small change takes to store.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti.cli.answers import print_json, printable, the_store, warn
from smalti.cli.progress import shown
from smalti.errors import NotFound, Refused, SmaltiError
from smalti.notebook.words import readable

if TYPE_CHECKING:
    from smalti.store import Store
    from smalti.tracking import StatCache, Status

_MOST_SHOWN = 20


def compare(paths: Iterable[Path], remote: bool, store: str | None, as_json: bool) -> None:
    """Say how tracked paths stand; the process exits with 1 if something differs or is missing, with 2 in trouble."""
    from smalti import tracking

    try:
        opened = the_store(store)
        other = the_store(default_remote()) if remote else None
        cache = the_cache()
        found = [tracking.status(opened, cache, path, other) for path in tracked_paths(paths, opened)]
    except SmaltiError as error:
        warn(f"smalti: {error}")
        raise SystemExit(2) from None  # 1 says that something differs
    if as_json:
        print_json([_document(one) for one in found])
    else:
        for one in found:
            for line in _lines(one):
                print(line)
        if not found:
            warn("no pointer files here; track a file or folder: smalti put PATH")
    if not all(one.agrees for one in found):
        raise SystemExit(1)


def check_out_all(paths: Iterable[Path], force: bool, store: str | None, as_json: bool) -> None:
    """Check out all that is meant by the paths.

    Raises:
        NotFound: there is nothing.
    """
    opened = the_store(store)
    wanted = tracked_paths(paths, opened)
    if not wanted:
        raise NotFound("there are no pointer files here; track a file or folder: smalti put PATH.")
    if not opened.exists():
        raise NotFound(f"there is no store at {opened.place} yet; fetch what the pointer files refer to: smalti pull.")
    check_out(opened, wanted, force, as_json)


def check_out(store: Store, paths: Iterable[Path], force: bool = False, as_json: bool = False) -> None:
    """Check paths out and say so, each by itself: one that is refused is named, and the others are done."""
    done = checked_out(store, paths, force)
    if as_json:
        print_json({"checked_out": done})
    if any("error" in one for one in done):
        raise SystemExit(1)


def checked_out(store: Store, paths: Iterable[Path], force: bool = False, quiet: bool = False) -> list[dict[str, Any]]:
    """Check paths out; return for each what was done, or the ``error`` that was printed."""
    from smalti import tracking

    done: list[dict[str, Any]] = []
    cache = the_cache()
    with shown("checking out", "the same command goes on.") as progress:
        for path in paths:
            try:
                one = tracking.checkout(store, cache, path, force=force, progress=progress)
            except SmaltiError as error:
                warn(f"smalti: {error}")
                done.append({"path": str(path), "error": str(error)})
                continue
            done.append({"path": str(path), **asdict(one)})
            if not quiet:
                warn(f"{printable(str(path))}  {one.written} written, {one.removed} removed, {one.kept} as they were")
    return done


def track(path: Path, store: Store, as_json: bool) -> None:
    """Put a file or folder under version control, and say what to commit."""
    from smalti import tracking

    path = _relative(tracking.data_path(path))
    with shown("storing", "the same command goes on.") as progress:
        done = tracking.track(store, the_cache(), path, progress)
    ref = done.put.ref
    to_commit = list(dict.fromkeys(str(_relative(path)) for path in done.to_commit))
    if as_json:
        fields = ("digest", "kind", "nbytes", "new_bytes")
        document = {"name": None} | {field: getattr(ref, field) for field in fields}
        counts = {"files": done.put.files, "files_read": done.put.files_read}
        print_json(document | counts | {"pointer": str(done.pointer), "to_commit": to_commit})
    else:
        new = f"{readable(ref.new_bytes)} new" if ref.new_bytes else "nothing new"
        files = f"{done.put.files} file{'s' * (done.put.files != 1)}"
        print(f"{ref.digest}  {files}, {readable(ref.nbytes)}, {new}  ->  {printable(str(done.pointer))}")
        if to_commit:
            warn(f"to commit: git add {' '.join(map(printable, to_commit))}")
    if done.ignored:
        warn(f"smalti: git ignores {done.pointer}; commit it all the same: git add -f {done.pointer}")


def is_to_be_tracked(path: Path, name: str | None, pointer: bool | None) -> bool:
    """Decide whether a pointer file is left: where something has to say what was put, and no name does."""
    if pointer and name is not None:
        raise Refused("a value is found by a name or by a pointer file; leave out --name or --pointer.")
    if pointer is not None or name is not None:
        return bool(pointer)
    from smalti.tracking.git import work_tree_of

    return path.is_dir() or (path.is_file() and work_tree_of(path) is not None)


def tracked_paths(paths: Iterable[Path] | None, store: Store) -> list[Path]:
    """Return the tracked paths that are meant: those given, those in folders that are given, or all of this root.

    Raises:
        NotFound: something that was given is not tracked.
    """
    from smalti import tracking

    found: list[Path] = []
    given = list(paths or [])
    for path in given or [_top()]:
        if tracking.is_tracked(path):
            found.append(tracking.data_path(path))
        elif path.is_dir():
            below = list(tracking.tracked_below(Path(os.path.abspath(path)), but=Path(store.place)))  # noqa: PTH100
            if given and not below:
                raise NotFound(f"there are no pointer files in {path}; track it: smalti put {path}.")
            found += below
        else:
            raise NotFound(f"{path} is not tracked: there is no {tracking.pointer_path(path)}; put it first.")
    return list(dict.fromkeys(map(_relative, found)))


def the_cache() -> StatCache:
    """Return what is remembered of files in this root."""
    from smalti.settings import places
    from smalti.tracking import StatCache

    return StatCache(places().root)


def default_remote() -> str:
    """Return the store that is meant when no remote is named.

    Raises:
        Refused: none is set.
    """
    from smalti.settings import Settings

    if remote := Settings().remote:
        return remote
    raise Refused("which remote? Name a folder or a URL, or set SMALTI_REMOTE in the environment or in .env.")


def _top() -> Path:
    from smalti.settings import places

    root, here = places().root.absolute(), Path.cwd()
    return root if here.is_relative_to(root) else here


def _relative(path: Path) -> Path:
    return Path(os.path.relpath(path))


def _document(one: Status) -> dict[str, Any]:
    changes = {name: [] for name in ("added", "removed", "changed")} | (asdict(one.changes) if one.changes else {})
    fields = {name: getattr(one, name) for name in ("agrees", "present", "in_store", "in_remote")}
    return {"path": str(one.path)} | fields | {"compared": one.changes is not None} | changes


def _lines(one: Status) -> list[str]:
    says = []
    if not one.present:
        says.append("missing here: smalti checkout" if one.in_store else "missing here")
    if not one.in_store:
        says.append("not in the store: smalti pull")
    if one.in_remote is not None:
        says.append("in the remote" if one.in_remote else "not in the remote: smalti push")
    lines = []
    if one.changes:
        says.insert(0, "modified")
        every = [f"  {what:8} {name}" for what, names in asdict(one.changes).items() for name in names if name]
        more = [f"  and {len(every) - _MOST_SHOWN} more"] if len(every) > _MOST_SHOWN else []
        lines = [printable(line) for line in every[:_MOST_SHOWN]] + more
    elif one.changes is not None:
        says.insert(0, "unchanged")
    return [f"{printable(str(one.path))}  {', '.join(says)}", *lines]
