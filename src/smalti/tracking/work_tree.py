"""Files and folders of the work tree into the store, or compared with it; what looks as it did is not read again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from smalti.codecs import CODECS, Folder
from smalti.errors import NotFound
from smalti.store import Encoded, Progress, Ref, Store
from smalti.store.long_work import OnProgress
from smalti.store.objects.hashing import record_of
from smalti.tracking.batches import batches
from smalti.tracking.contents import A_FOLDER, Entry
from smalti.tracking.scan import Listing, scan
from smalti.tracking.stat_cache import StatCache
from smalti.tracking.work_file import Look, WorkFile

_FEW = 64


@dataclass(frozen=True, slots=True)
class Put:
    """What a put of a file or folder did.

    Attributes:
        ref: the value; ``new_bytes`` counts all that was added for it.
        files, files_read: how many files it has, and how many of them were read.
        executable: of a file, whether it may be executed.
    """

    ref: Ref
    files: int
    files_read: int
    executable: bool


def put_path(
    store: Store,
    cache: StatCache,
    path: Path,
    *,
    name: str | None = None,
    like: str | None = None,
    progress: OnProgress | None = None,
) -> Put:
    """Store a file as bytes, or a folder as one tree; interrupted, the next put goes on.

    Args:
        name: a name to give it.
        like: the digest of an earlier version.

    Raises:
        NotFound: there is nothing at the path.
        Refused: something in it cannot be kept, or was written to meanwhile.
        Unavailable: the machine did not let something be read or written.
    """
    listing = scan(path)
    known = cache.known(path)
    if len(known) > 2 * len(listing.files) + _FEW:  # most of it is gone from here
        known = {name: known[name] for name in listing.files if name in known}
        cache.replace(path, known)
    try:
        done = _put(store, cache, path, listing, known, like, progress)
    except NotFound:  # the store has been changed, or is another one
        done = _put(store, cache, path, listing, {}, like, progress)
    if name is not None:
        store.put(done.ref, name)
    return done


def _put(
    store: Store,
    cache: StatCache,
    path: Path,
    listing: Listing,
    known: Mapping[str, tuple[Look, str]],
    like: str | None,
    progress: OnProgress | None,
) -> Put:
    refs = {
        name: Ref(known[name][1], "bytes", seen.look.nbytes)
        for name, seen in listing.files.items()
        if name in known and known[name][0] == seen.look
    }
    to_read = [name for name in listing.files if name not in refs]
    done_nbytes, of_nbytes = 0, sum(listing.files[name].look.nbytes for name in to_read)
    new_bytes = done = 0
    just_put: list[Ref] = []
    for batch in batches(to_read, lambda name: listing.files[name].look.nbytes):
        read_at_ns, reading = time.time_ns(), _Reading(path, batch)
        # Of a single file, an earlier version is the most likely to have some of its leaves.
        put = store.put_all(reading) if listing.folders else [store.put(next(iter(reading)), like=like)]
        reading.check_last()
        refs.update(zip(batch, put, strict=True))
        just_put += put
        new_bytes += sum({ref.digest: ref.new_bytes for ref in put}.values())
        cache.remember(path, {n: (reading.looks[n], refs[n].digest) for n in batch}, read_at_ns)
        done, done_nbytes = done + len(batch), done_nbytes + sum(ref.nbytes for ref in put)
        if progress:
            progress(Progress(done, len(to_read), done_nbytes, of_nbytes))
    if listing.folders:
        tree = store.put(folder_of(listing, refs), like=like, just_put=just_put)
        ref = Ref(tree.digest, tree.kind, tree.nbytes, new_bytes + tree.new_bytes)
    else:
        there = store.ref(refs[""])
        ref = Ref(there.digest, there.kind, there.nbytes, new_bytes)
    executable = not listing.folders and listing.files[""].executable
    return Put(ref, len(listing.files), len(to_read), executable)


class _Reading:
    """The content of files, one after another; each must not have been written to by the time the next is read."""

    def __init__(self, top: Path, names: Sequence[str]) -> None:
        self.looks: dict[str, Look] = {}
        self._top = top
        self._names = names
        self._last: WorkFile | None = None

    def __iter__(self) -> Iterator[memoryview]:
        for name in self._names:
            self.check_last()
            self._last = WorkFile(f"{self._top}/{name}" if name else self._top)
            self.looks[name] = self._last.look
            yield self._last.data

    def check_last(self) -> None:
        if self._last:
            self._last.check_unchanged()
            self._last = None


def folder_of(listing: Listing, refs: Mapping[str, Ref]) -> Folder:
    """Return the folder that consists of stored files."""
    entries: dict[str, dict[str, Ref | Folder]] = {folder: {} for folder in listing.folders}
    executable: dict[str, set[str]] = {folder: set() for folder in listing.folders}
    for path, seen in listing.files.items():
        folder, _, name = path.rpartition("/")
        entries[folder][name] = refs[path]
        if seen.executable:
            executable[folder].add(name)
    for path in sorted(listing.folders, reverse=True):
        made = Folder(entries[path], frozenset(executable[path]))
        if not path:
            return made
        folder, _, name = path.rpartition("/")
        entries[folder][name] = made
    raise NotFound("this listing is of a file, not of a folder.")


def work_contents(cache: StatCache, path: Path, listing: Listing) -> dict[str, Entry]:
    """Return what lies at a path as it would be stored; nothing is stored."""
    known = cache.known(path)
    contents = dict.fromkeys(listing.folders, A_FOLDER)
    found: dict[str, tuple[Look, str]] = {}
    read_at_ns = time.time_ns()
    for name, seen in listing.files.items():
        look, address = known.get(name, (None, ""))
        if look != seen.look:
            file = WorkFile(f"{path}/{name}" if name else path)
            address = _address(file.data)
            file.check_unchanged()
            found[name] = file.look, address
        contents[name] = Entry(address, seen.executable)
    cache.remember(path, found, read_at_ns)
    return contents


def _address(data: memoryview) -> str:
    encoded = CODECS.encode(data)
    assert isinstance(encoded, Encoded)
    return record_of(encoded).address
