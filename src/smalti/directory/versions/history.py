"""Versions of a directory by content: commit, log, checkout, and what changed; the working files stay ordinary files.

A version is a value of a store: the tree ``{"files": the folder as a tree, message, at, ...}`` under the name
``directories/<history>``, whose versions are those of the directory. Rows and files that earlier versions have are
not stored again. Which history is a directory's own stands in its file ``_versions.json``, which goes where the
directory is moved or copied to: a copy goes on with the same history, as two clones of one repository do.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smalti.directory.errors import WrongType
from smalti.directory.folder_lock import writing_alone
from smalti.directory.versions.contents import (
    HISTORY_FILE,
    SeenFiles,
    is_inside,
    listing_of,
    store_folder,
    stored_contents,
    work_contents,
)
from smalti.directory.versions.difference import Differences, compare
from smalti.directory.versions.stored_file import ARRAY_SUFFIX, pieces_of
from smalti.errors import NotFound, Refused, Unavailable
from smalti.settings import places
from smalti.store import Progress, Record, Store, Tree
from smalti.store.commit import machine_errors, unique_name
from smalti.store.long_work import OnProgress
from smalti.store.names import HISTORIES
from smalti.tracking.contents import A_FOLDER, Entry, changes
from smalti.tracking.work_file import remove_parts, replace_file

__all__ = ["Differences", "Version", "checkout", "commit", "diff", "log"]

_HISTORY = re.compile(r"[0-9a-f]{32}")
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a directory.

    Attributes:
        number: 1 for the first of its history.
        digest: of the files as one tree, so that equal files have equal digests; ``store.get(digest)`` gives them.
        message: what was said of it.
        at: when it was made, UTC, ISO 8601.
        nbytes: size of the files.
        new_bytes: bytes that the store grew by for it; 0 where a commit found nothing new.
        executable: the files that may be executed, in order.
        is_new: whether the commit that returned it made it; False where the files were those of this version.
    """

    number: int
    digest: str
    message: str
    at: str
    nbytes: int
    new_bytes: int
    executable: tuple[str, ...] = ()
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """What a checkout did: files it wrote, files and folders it removed, files that were as they should be already."""

    version: Version
    written: int
    removed: int
    kept: int


@dataclass(frozen=True, slots=True)
class _History:
    """What ``_versions.json`` says: the history, and the digests of the files that were committed or checked out last.

    While files are being checked out there are two: those of before, and those that come.
    """

    key: str
    base: tuple[str, ...] = ()


def commit(folder: Path, message: str, store: Store | None = None, progress: OnProgress | None = None) -> Version:
    """Store the files of a folder as its next version, unless they are those of the version that it was made from.

    Files that look as they did when they were read last are not read again. Interrupted, the next commit goes on.

    Args:
        store: by default that of the root; it is made where there is none.

    Returns:
        The version; ``is_new`` says whether it was made now.

    Raises:
        NotFound: there is no such folder.
        Refused: something in it cannot be kept, was written to meanwhile, or is the store itself.
        Unavailable: the machine did not let something be read or written.
    """
    if not isinstance(message, str):
        raise WrongType(f"a version is given a message, a text, not {message!r}.")
    folder, store = Path(folder), _opened(folder, store)
    if is_inside(folder, store.place):
        raise Refused(f"{folder} holds the store itself, {store.place}; commit the folders in it one by one.")
    listing_of(folder)
    store.init()
    history = _history(folder)
    if history is None:
        history = _History(uuid.uuid4().hex)
        _write_history(folder, history)
    versions = log(folder, store)
    earlier = _by_digest(versions, history.base) or (versions[0] if versions else None)
    stored = store_folder(store, SeenFiles(history.key), folder, earlier.digest if earlier else None, progress)
    if earlier and (earlier.digest, earlier.executable) == (stored.ref.digest, stored.executable):
        _write_history(folder, replace(history, base=(earlier.digest,)))
        return replace(earlier, new_bytes=0, is_new=False)
    attrs = {
        "message": message,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "new_bytes": stored.ref.new_bytes,
        "executable": [*stored.executable],
        "token": unique_name(),  # equal files with equal messages are versions of their own
    }
    name = f"{HISTORIES}{history.key}"
    ref = store.put(Tree({"files": stored.ref}, attrs), name, just_put=[stored.ref])
    _write_history(folder, replace(history, base=(stored.ref.digest,)))
    number = next(named.version for named in reversed(store.versions(name)) if named.address == ref.digest)
    made = _version(number, store.record(ref))
    return replace(made, new_bytes=stored.ref.new_bytes + ref.new_bytes, is_new=True)


def log(folder: Path, store: Store | None = None) -> list[Version]:
    """Return the versions of a directory, the newest first; none where nothing was committed.

    Raises:
        NotFound: the folder has versions, but they are in another store than that of the root.
        Refused: ``_versions.json`` is not what was written.
    """
    store = _opened(folder, store)
    history = _history(Path(folder))
    if history is None:
        return []
    named = store.versions(f"{HISTORIES}{history.key}")
    return [_version(one.version, store.record(one.address)) for one in reversed(named)]


def checkout(
    folder: Path,
    version: int | str | Version,
    store: Store | None = None,
    *,
    force: bool = False,
    progress: OnProgress | None = None,
) -> CheckedOut:
    """Make the files of a folder those of a version, to the byte; each is verified and moved into place whole.

    Interrupted, the same checkout goes on. Times of files and who owns them are not restored.

    Args:
        version: its number, its digest or the beginning of one, or what ``log`` gave.
        force: overwrite and remove also what was not committed.

    Raises:
        NotFound: there is no such version.
        Refused: something that was not committed would be lost; it is named, and nothing was changed.
        Damaged: the stored bytes are not what was stored; the file there stays as it was.
        Unavailable: the machine did not let something be read or written.
    """
    folder, store = Path(folder), _opened(folder, store)
    wanted = _find(folder, store, version)
    history = _history(folder)
    assert history is not None
    after = stored_contents(store, wanted.digest, wanted.executable)
    listing = listing_of(folder)
    before = work_contents(folder, SeenFiles(history.key), listing)
    todo = changes(before, after)
    if not force:
        _check_yours(folder, before, after, _base(store, history))
    _write_history(folder, replace(history, base=tuple(dict.fromkeys((*history.base, wanted.digest)))))
    with machine_errors(f"making the files of {folder} those of version {wanted.number}"):
        remove_parts(folder, listing.parts)
        _remove(folder, before, [name for name in before if name not in after or _is_other_kind(before, after, name)])
        _write(store, folder, {name: after[name] for name in (*todo.added, *todo.changed)}, progress)
    _write_history(folder, replace(history, base=(wanted.digest,)))
    files = sum(entry != A_FOLDER for entry in after.values())
    written = sum(after[name] != A_FOLDER for name in (*todo.added, *todo.changed))
    return CheckedOut(wanted, written, len(todo.removed), files - written)


def diff(
    folder: Path,
    store: Store | None = None,
    version: int | str | Version | None = None,
    other: int | str | Version | None = None,
) -> Differences:
    """Return what changed from a version to another, or to the files as they are now, file by file.

    Args:
        version: by default the one that the files were made from.
        other: by default the files as they are now.

    Raises:
        NotFound: there is no such version, or none at all.
    """
    folder, store = Path(folder), _opened(folder, store)
    if version is None:
        history, versions = _history(folder), log(folder, store)
        one = (_by_digest(versions, history.base) if history else None) or (versions[0] if versions else None)
        if one is None:
            raise NotFound(f"{folder} has no versions in {store.place}; commit one first.")
    else:
        one = _find(folder, store, version)
    before = stored_contents(store, one.digest, one.executable)
    if other is not None:
        two = _find(folder, store, other)
        return compare(store, before, stored_contents(store, two.digest, two.executable))
    records: dict[str, Record] = {}
    history = _history(folder)
    after = work_contents(folder, SeenFiles(history.key if history else ""), listing_of(folder), records)
    return compare(store, before, after, folder, records)


def _opened(folder: Path, store: Store | None) -> Store:
    """Return the store that was given, else that of the root, unless the folder was committed to another."""
    from smalti import open_store

    if isinstance(store, Store):
        return store
    if store is not None:
        raise WrongType(f"store= is a store that was opened, smalti.open_store(...), not {store!r}.")
    store, history = open_store(places().store), _history(Path(folder))
    if history and history.base and not (store.exists() and store.versions(f"{HISTORIES}{history.key}")):
        raise NotFound(
            f"the versions of {folder} are not in {store.place}, which is the store of this working folder; "
            "give the one that it was committed to, store=open_store(...), or set SMALTI_ROOT."
        )
    return store


def _version(number: int, record: Record) -> Version:
    attrs: Any = record.header.get("attrs")
    try:
        return Version(
            number,
            record.children["files"],
            attrs["message"],
            attrs["at"],
            record.nbytes,
            attrs["new_bytes"],
            tuple(attrs["executable"]),
        )
    except (KeyError, TypeError) as error:
        raise Refused(f"{record.address} is no version of a directory; take its name away: {HISTORIES}...") from error


def _find(folder: Path, store: Store, version: int | str | Version) -> Version:
    versions = log(folder, store)
    if isinstance(version, Version):
        version = version.number
    if isinstance(version, bool) or not isinstance(version, int | str):
        raise WrongType(f"a version is given as its number, its digest or as log() gives it, not as {version!r}.")
    if isinstance(version, int):
        fitting = [one for one in versions if one.number == version]
    else:
        hexadecimal = version.removeprefix("sha256:")
        fitting = [one for one in versions if one.digest.removeprefix("sha256:").startswith(hexadecimal)]
    if not fitting or len({one.digest for one in fitting}) > 1:
        what = "several versions" if fitting else "no version"
        there = ", ".join(str(one.number) for one in reversed(versions)) or "none"
        raise NotFound(f"{version!r} fits {what} of {folder} in {store.place}; there are: {there}.")
    return fitting[0]


def _by_digest(versions: Iterable[Version], digests: tuple[str, ...]) -> Version | None:
    return next((version for version in versions if version.digest in digests[-1:]), None)


def _history(folder: Path) -> _History | None:
    path = folder / HISTORY_FILE
    with machine_errors(f"reading {path}"):
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
    try:
        document = json.loads(content)
        history = _History(document["history"], tuple(document["base"]))
        if _HISTORY.fullmatch(history.key) and all(isinstance(digest, str) for digest in history.base):
            return history
    except (ValueError, KeyError, TypeError):
        pass
    raise Refused(f"{path} does not say which history {folder} has; restore it, or remove it to begin a new one.")


def _write_history(folder: Path, history: _History) -> None:
    if _history(folder) != history:
        document = {"history": history.key, "base": [*history.base]}
        replace_file(folder / HISTORY_FILE, (json.dumps(document, indent=1) + "\n").encode())


def _base(store: Store, history: _History) -> list[dict[str, Entry]]:
    bases = []
    for digest in history.base:
        with suppress(NotFound):
            bases.append(stored_contents(store, digest, ()))
    return bases


def _check_yours(
    folder: Path, before: dict[str, Entry], after: dict[str, Entry], bases: list[dict[str, Entry]]
) -> None:
    """Make sure that all that is to be changed is as it was last committed or checked out."""
    yours = sorted(
        str(folder / name)
        for name, entry in before.items()
        if after.get(name) != entry and not any(name in b and b[name].address == entry.address for b in bases)
    )
    if yours:
        more = f" and {len(yours) - _MOST_NAMED} more" if len(yours) > _MOST_NAMED else ""
        raise Refused(
            f"{', '.join(yours[:_MOST_NAMED])}{more} would be lost, having been changed since the last commit; "
            "commit first, or check out with force=True."
        )


def _is_other_kind(before: dict[str, Entry], after: dict[str, Entry], name: str) -> bool:
    return (before[name] == A_FOLDER) != (after[name] == A_FOLDER)


def _remove(folder: Path, before: dict[str, Entry], names: list[str]) -> None:
    for name in sorted(names, reverse=True):  # what is in a folder comes before it
        path = folder / name
        if before[name] == A_FOLDER:
            path.rmdir()
        else:
            path.unlink()


def _write(store: Store, folder: Path, wanted: dict[str, Entry], progress: OnProgress | None) -> None:
    done = nbytes = 0
    for name in sorted(wanted):  # a folder comes before what is in it
        entry, path = wanted[name], folder / name
        if entry == A_FOLDER:
            path.mkdir(exist_ok=True)
            continue
        record = store.record(entry.address)
        _write_file(path, pieces_of(store, record), entry.executable)
        done, nbytes = done + 1, nbytes + record.nbytes
        if progress:
            progress(Progress(done, len(wanted), nbytes))


def _write_file(path: Path, pieces: Iterable[memoryview], executable: bool) -> None:
    part = path.parent / f".smalti-{unique_name()}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o777 if executable else 0o666)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            for piece in pieces:
                left = memoryview(piece)
                while left:
                    left = left[file.write(left) or 0 :]
        with ExitStack() as waiting:
            if path.suffix == ARRAY_SUFFIX:  # rows that are being added now must not go to what is replaced
                with suppress(Unavailable):
                    waiting.enter_context(writing_alone(path.parent))
            part.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            part.unlink()
        raise
