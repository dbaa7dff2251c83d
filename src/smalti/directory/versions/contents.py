"""What a version of a directory consists of, path by path: in the store, and in the folder as it lies on the disk."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smalti.directory.folder_lock import writing_alone
from smalti.directory.versions.stored_file import ARRAY_SUFFIX, Value, is_array, records_of, value_of
from smalti.errors import NotFound, Refused, Unavailable
from smalti.settings import places
from smalti.store import Progress, Record, Ref, Store, Tree
from smalti.store.long_work import OnProgress
from smalti.tracking import StatCache
from smalti.tracking.batches import batches
from smalti.tracking.contents import A_FOLDER, Entry
from smalti.tracking.scan import Listing, check_name, scan
from smalti.tracking.work_file import Look, WorkFile

HISTORY_FILE = (
    "_versions.json"  # which history is a directory's own: no part of its versions, but of those of what it is in
)
_BATCH_FILES = 256  # arrays may be large
_LARGE_NBYTES = 4 * 1024 * 1024
_MOST_FOLDERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Stored:
    """The files of a folder, in a store.

    Attributes:
        ref: the folder as a tree; ``new_bytes`` counts all that was added for it.
        executable: the files that may be executed, in order.
        files_read: how many files did not look as they did when they were read last.
    """

    ref: Ref
    executable: tuple[str, ...]
    files_read: int


class SeenFiles:
    """How the files of a directory looked when they were read last: a cache, below the root, that may be deleted.

    It belongs to the history of a directory, not to its path, so that a directory that was moved is not read anew.
    """

    def __init__(self, history: str) -> None:
        root = places().root
        self._cache = StatCache(root)
        self._top = root / ".smalti" / "directories" / history

    def known(self, listing: Listing) -> dict[str, str]:
        """Return the addresses of the files that look as they did."""
        known = self._cache.known(self._top)
        return {n: known[n][1] for n, seen in listing.files.items() if n in known and known[n][0] == seen.look}

    def remember(self, files: Mapping[str, tuple[Look, str]], read_at_ns: int) -> None:
        """Remember files, those that had been left alone for a while when they were read."""
        self._cache.remember(self._top, files, read_at_ns)


def listing_of(folder: Path) -> Listing:
    """Return what lies in a folder; the file that says which history it has is left out.

    Raises:
        NotFound: there is no such folder.
        Refused: something in it cannot be kept, e.g. a symbolic link.
        Unavailable: it may not be read.
    """
    listing = scan(folder)
    if not listing.folders:
        raise NotFound(f"{folder} is a file; name the folder of a directory.")
    files = {path: seen for path, seen in listing.files.items() if path != HISTORY_FILE}
    return replace(listing, files=files)


def store_folder(
    store: Store, seen: SeenFiles, folder: Path, like: str | None, progress: OnProgress | None = None
) -> Stored:
    """Store the files of a folder; interrupted, the next call goes on.

    Args:
        like: the digest of an earlier version's files.

    Raises:
        NotFound, Refused, Unavailable: see :func:`listing_of`; a file is also refused that was written to meanwhile.
    """
    listing = listing_of(folder)
    try:
        return _store(store, seen, folder, listing, seen.known(listing), like, progress)
    except NotFound:  # the store is another one, or was collected
        return _store(store, seen, folder, listing, {}, None, progress)


def _store(
    store: Store,
    seen: SeenFiles,
    folder: Path,
    listing: Listing,
    known: Mapping[str, str],
    like: str | None,
    progress: OnProgress | None,
) -> Stored:
    refs = {name: Ref(address, "", listing.files[name].look.nbytes) for name, address in known.items()}
    to_read = [name for name in listing.files if name not in refs]
    of_nbytes = sum(listing.files[name].look.nbytes for name in to_read)
    new_bytes = done = done_nbytes = 0
    just_put: list[Ref] = []
    earlier = _Earlier(store, like, listing).address
    for batch in batches(to_read, lambda name: listing.files[name].look.nbytes, _BATCH_FILES):
        read_at_ns, reading = time.time_ns(), _Reading(folder, batch)
        put = store.put_all(reading, [earlier(name) for name in batch])
        refs.update(zip(batch, put, strict=True))
        just_put += put
        new_bytes += sum({ref.digest: ref.new_bytes for ref in put}.values())
        seen.remember({n: (reading.looks[n], refs[n].digest) for n in batch}, read_at_ns)
        done, done_nbytes = done + len(batch), done_nbytes + sum(ref.nbytes for ref in put)
        if progress:
            progress(Progress(done, len(to_read), done_nbytes, of_nbytes))
    tree = store.put(_tree(listing, refs), like=like, just_put=just_put)
    ref = Ref(tree.digest, tree.kind, tree.nbytes, new_bytes + tree.new_bytes)
    return Stored(ref, tuple(sorted(n for n, file in listing.files.items() if file.executable)), len(to_read))


class _Earlier:
    """Where an earlier version has the large files: most of their bytes may be the same."""

    def __init__(self, store: Store, like: str | None, listing: Listing) -> None:
        self._store = store
        self._listing = listing
        self._children: dict[str, Mapping[str, str]] = {"": store.record(like).children if like else {}}

    def address(self, path: str) -> str | None:
        """Return the address of a large file; None where there is none."""
        if self._listing.files[path].look.nbytes < _LARGE_NBYTES:
            return None
        folder, _, name = path.rpartition("/")
        return self._of(folder).get(name)

    def _of(self, folder: str) -> Mapping[str, str]:
        if folder not in self._children:
            above, _, name = folder.rpartition("/")
            address = self._of(above).get(name)
            self._children[folder] = self._store.record(address).children if address else {}
        return self._children[folder]


class _Reading:
    """What files are stored as, one after another; each must not have been written to by the time the next is read."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.looks: dict[str, Look] = {}
        self._folder = folder
        self._names = names

    def __iter__(self) -> Iterator[Value]:
        for name in self._names:
            with _kept_still(self._folder / name) as file:
                self.looks[name] = file.look
                yield value_of(self._folder / name, file.data)


@contextmanager
def _kept_still(path: Path) -> Iterator[WorkFile]:
    """Give a file that must not be written to meanwhile; whoever extends an array waits, where the disk has locks.

    Raises:
        Refused: it was written to.
    """
    with ExitStack() as waiting:
        if path.suffix == ARRAY_SUFFIX:
            with suppress(Unavailable):
                waiting.enter_context(writing_alone(path.parent))
        file = WorkFile(path)
        yield file
        file.check_unchanged()


def _tree(listing: Listing, refs: Mapping[str, Ref]) -> Tree:
    children: dict[str, dict[str, Any]] = {folder: {} for folder in listing.folders}
    for path in listing.files:
        folder, _, name = path.rpartition("/")
        children[folder][name] = refs[path]
    for path in sorted(listing.folders, reverse=True):
        if path:
            folder, _, name = path.rpartition("/")
            children[folder][name] = Tree(children[path])
    return Tree(children[""])


def stored_contents(store: Store, digest: str, executable: Sequence[str]) -> dict[str, Entry]:
    """Return what stored files of a folder are, by path, and its folders; from the records of trees alone.

    Raises:
        NotFound: they are not in the store.
        Refused: it is another kind of value, or an entry has a name that could lead out of the folder.
    """
    contents: dict[str, Entry] = {}
    waiting = [("", store.record(digest))]
    folders = 0
    while waiting:
        folder, record = waiting.pop()
        folders += 1
        if record.kind != "tree" or record.header.get("type") or folders > _MOST_FOLDERS:
            raise Refused(f"{digest} holds something else than the files of a directory; name another version.")
        contents[folder] = A_FOLDER
        for name, address in record.children.items():
            check_name(name, record.address)
            path = f"{folder}/{name}" if folder else name
            child = store.record(address)
            if child.kind == "tree" and not is_array(child):
                waiting.append((path, child))
            else:
                contents[path] = Entry(address, path in executable)
    return contents


def work_contents(
    folder: Path, seen: SeenFiles, listing: Listing, records: dict[str, Record] | None = None
) -> dict[str, Entry]:
    """Return what lies in a folder as it would be stored; nothing is stored.

    Args:
        records: is given what would be stored of the files that are read, by address.
    """
    known = seen.known(listing)
    contents = dict.fromkeys(listing.folders, A_FOLDER)
    found: dict[str, tuple[Look, str]] = {}
    read_at_ns = time.time_ns()
    for name, file in listing.files.items():
        address = known.get(name)
        if address is None:
            with _kept_still(folder / name) as work_file:
                record, children = records_of(value_of(folder / name, work_file.data))
            address = record.address
            found[name] = work_file.look, address
            if records is not None:
                records.update(children | {address: record})
        contents[name] = Entry(address, file.executable)
    seen.remember(found, read_at_ns)
    return contents


def is_inside(folder: Path, place: str) -> bool:
    """Tell whether a store lies in a folder."""
    return os.path.isabs(place) and Path(place).is_relative_to(folder.absolute())  # noqa: PTH117
