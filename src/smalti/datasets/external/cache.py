"""The datasets of others that are kept in ``data/external``, up to a quota; those used longest ago go first.

    data/external/<name>/              the files of a dataset, read-only, whole or not there at all
    data/external/<name>.source.json   where it came from and what its bytes are; stays when the files go
    data/external/.cache/              locks, pins, references, lists of files, downloads under way

An eviction takes whole datasets, never one that is pinned, referenced, in use, being fetched, or that holds a file of
the user's own; nor what was not fetched by Smalti. Locks are those of the file system, so that processes see each
other.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from pydantic import ByteSize, TypeAdapter, ValidationError

from smalti.contracts.violation import shown
from smalti.datasets.external import listing as listings
from smalti.datasets.external.listing import Listing
from smalti.datasets.external.locks import is_held_alone, locked, locked_if_free
from smalti.datasets.external.names import RECORDS, SOURCE, checked_name
from smalti.datasets.external.source import Source, read_source, replace_file, write_source
from smalti.errors import Damaged, NotFound, Refused
from smalti.settings import Settings
from smalti.store.commit import machine_errors, make_folder, make_folders

_FOLDERS = ("locks", "fetching", "pins", "references", "files", "partial", "evicted")
_MOST_NAMED = 6


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that takes room in the cache.

    Attributes:
        name: of the dataset.
        nbytes: its size, counted.
        last_used: seconds since 1970.
        kept: why it is not evicted: ``pinned``, ``referenced``, ``in use``, ...; empty where it may go.
        is_partial: it is what came of a download that was interrupted.
    """

    name: str
    nbytes: int
    last_used: float
    kept: str = ""
    is_partial: bool = False


class ExternalCache:
    """The cache in one folder.

    Args:
        folder: ``data/external`` of a root; created when something is fetched.
        quota_nbytes: how large it may grow. While an archive is unpacked, it may exceed that by 64 MiB.
        protected: gives the names of further datasets that something refers to; asked at every eviction.
    """

    def __init__(
        self, folder: Path, quota_nbytes: int = 50_000_000_000, protected: Callable[[], Iterable[str]] = tuple
    ) -> None:
        self.folder = folder
        self.quota_nbytes = quota_nbytes
        self._protected = protected
        self._own = folder / ".cache"

    @classmethod
    def of(cls, settings: Settings | None = None, protected: Callable[[], Iterable[str]] | None = None) -> Self:
        """Return the cache of a root, by default of the one around the current folder.

        Args:
            protected: as for the class; by default it gives what registered competitions are read from.

        Raises:
            Refused: ``SMALTI_CACHE_QUOTA`` is no size.
        """
        settings = settings or Settings()
        return cls(settings.external, _nbytes(settings.cache_quota), protected or partial(_registered, settings))

    def find(self, name: str) -> Path | None:
        """Return the folder of a dataset if it is there, as it was fetched; None if it is not there at all.

        Only sizes and times are looked at, and what was touched is read again.

        Raises:
            Damaged: a file is missing, was changed or was added.
            Refused: there is something else of that name.
        """
        folder = self.folder / checked_name(name)
        if not os.path.lexists(folder):
            return None
        if (source := self.source(name)) is None:
            raise Refused(f"{folder} is there, but was not fetched by Smalti; move it away, or choose another name.")
        with machine_errors(f"looking at {folder}"):
            if differences := listings.differences(folder, self._listing(name, source)):
                more = f", and {len(differences) - 1} more" if len(differences) > 1 else ""
                raise Damaged(
                    f"{folder} is not as it was fetched: {shown(differences[0])}{more}; "
                    "move away what you added, and fetch it anew with force=True."
                )
            with suppress(OSError):  # another user's cache
                os.utime(self._own / "locks" / name)
        return folder

    @contextmanager
    def in_use(self, name: str) -> Iterator[Path]:
        """Give the folder of a dataset, which stays there, as it is, until the block ends.

        Raises:
            NotFound: it is not there.
            Damaged, Refused: see :meth:`find`.
        """
        with ExitStack() as held:
            with machine_errors(f"locking {name} in {self.folder}"):
                held.enter_context(self._reading(checked_name(name)))
            if (folder := self.find(name)) is None:
                raise self._absent(name)
            yield folder

    def source(self, name: str) -> Source | None:
        """Return where a dataset came from; None if it was never fetched.

        Raises:
            Damaged: what is written down cannot be read.
        """
        with machine_errors(f"reading where {name} came from"):
            return read_source(self.folder / f"{checked_name(name)}{SOURCE}")

    def pin(self, name: str) -> None:
        """Keep a dataset whatever the quota says.

        Raises:
            NotFound: it is not there.
        """
        with machine_errors(f"pinning {name}"), self.alone():
            if not (self.folder / checked_name(name)).is_dir():
                raise self._absent(name)
            self.place("pins", name).touch()

    def unpin(self, name: str) -> None:
        """Let a dataset go when room is needed."""
        with machine_errors(f"unpinning {name}"):
            self.place("pins", checked_name(name)).unlink(missing_ok=True)

    def refer(self, name: str, by: str) -> None:
        """Keep a dataset because something refers to it, until :meth:`release` with the same ``by``.

        Args:
            by: what refers to it, such as ``the asset titanic``; every process sees it.

        Raises:
            NotFound: the dataset is not there.
        """
        with machine_errors(f"noting what refers to {name}"), self.alone():
            if not (self.folder / checked_name(name)).is_dir():
                raise self._absent(name)
            mark = self._mark(name, by)
            mark.parent.mkdir(exist_ok=True)
            replace_file(mark, by.encode())

    def release(self, name: str, by: str) -> None:
        """Take back what :meth:`refer` noted."""
        with machine_errors(f"noting what refers to {name}"):
            self._mark(checked_name(name), by).unlink(missing_ok=True)

    def nbytes(self) -> int:
        """Return the size of all files that are there now, downloads under way included; links are counted once."""
        return _size(self.folder)

    def entries(self) -> list[Entry]:
        """Return what takes room, in order of last use."""
        protected = set(self._protected())
        found = [
            Entry(path.name, _size(path), self._last_used(path), self._why_kept(path, protected))
            for path in self._children()
        ]
        for path in sorted((self._own / "partial").glob("*")):
            kept = "being fetched" if is_held_alone(self.place("fetching", path.name)) else ""
            found.append(Entry(path.name, _size(path), path.stat().st_mtime, kept, is_partial=True))
        return sorted(found, key=lambda entry: (entry.last_used, entry.name))

    def make_room(self, name: str = "") -> None:
        """Evict until all that is there, and all that downloads under way still bring, is within the quota.

        Args:
            name: of the dataset that is to come, for the message.

        Raises:
            Refused: that cannot be done; nothing was evicted, and the message says what takes the room.
        """
        with self.alone():
            for left in (self._own / "evicted").iterdir():  # by one that died
                shutil.rmtree(left)
            while (over := self.nbytes() + self._coming() - self.quota_nbytes) > 0:
                entries = self.entries()
                for entry in self._chosen(entries, over, name):
                    self._evict(entry)

    def place(self, what: str, name: str) -> Path:
        """Return the file or folder in ``.cache`` that belongs to a dataset."""
        return self._own / what / name

    def prepare(self) -> None:
        """Create the folders of the cache."""
        make_folder(self._own)
        make_folders([self._own / folder for folder in _FOLDERS])

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process evicts, pins or installs."""
        self.prepare()
        with locked(self._own / "lock"):
            yield

    def record(self, name: str, source: Source, listing: Listing) -> None:
        """Write down where a dataset came from and what its files are."""
        replace_file(self.place("files", name), listings.dump(listing))
        write_source(self.folder / f"{name}{SOURCE}", source)

    def own_files(self, name: str) -> list[str]:
        """Return the files in the folder of a dataset that were not fetched."""
        source = self.source(name)
        return listings.added(self.folder / name, self._listing(name, source)) if source else []

    def _listing(self, name: str, source: Source) -> Listing:
        path = self.place("files", name)
        with suppress(FileNotFoundError, ValueError, TypeError, AttributeError):
            listing = listings.load(path.read_bytes())
            if listings.digest(listing) == source.files_sha256:
                return listing
        listing = listings.read(self.folder / name)
        if listings.digest(listing) != source.files_sha256:
            raise Damaged(
                f"{self.folder / name} is not as it was fetched, and the list of its files is gone; "
                "move the folder away, and fetch it anew."
            )
        with suppress(OSError):  # another user's cache
            replace_file(path, listings.dump(listing))
        return listing

    def _reading(self, name: str) -> AbstractContextManager[int]:
        lock = self.place("locks", name)
        if not lock.exists() and not (self.folder / name).exists():
            raise self._absent(name)
        return locked(lock, shared=True, waiting_for=f"the dataset {name}, which is being replaced")

    def _absent(self, name: str) -> NotFound:
        return NotFound(f"the dataset {name} is not in {self.folder}; fetch it first.")

    def _mark(self, name: str, by: str) -> Path:
        return self.place("references", name) / hashlib.sha256(by.encode()).hexdigest()

    def _children(self) -> list[Path]:
        names = sorted(os.listdir(self.folder)) if self.folder.is_dir() else []  # noqa: PTH208
        return [self.folder / name for name in names if not name.startswith(".") and not name.endswith(RECORDS)]

    def _last_used(self, path: Path) -> float:
        lock = self.place("locks", path.name)
        return (lock if lock.exists() else path).lstat().st_mtime

    def _why_kept(self, path: Path, protected: set[str]) -> str:
        name = path.name
        if path.is_symlink() or not path.is_dir() or not (self.folder / f"{name}{SOURCE}").is_file():
            return "not fetched by Smalti"
        why = {
            "pinned": self.place("pins", name).exists(),
            "referenced": name in protected or any(self.place("references", name).glob("*")),
            "being fetched": is_held_alone(self.place("fetching", name)),
            "in use": self._is_used(name),
        }
        return next((reason for reason, holds in why.items() if holds), "") or self._why_not_only_ours(name)

    def _is_used(self, name: str) -> bool:
        with locked_if_free(self.place("locks", name)) as free:
            return not free

    def _why_not_only_ours(self, name: str) -> str:
        try:
            return "with files that were added" if self.own_files(name) else ""
        except Damaged:  # what is not known to be ours stays
            return "damaged"

    def _coming(self) -> int:
        """Return what downloads under way have said they will still bring."""
        coming = 0
        for path in (self._own / "fetching").iterdir():
            if is_held_alone(path):
                said = path.read_bytes() or b"0"
                coming += max(0, int(said) - _size(self.place("partial", path.name)))
        return coming

    def _chosen(self, entries: list[Entry], over: int, name: str) -> list[Entry]:
        chosen, freed = [], 0
        for entry in entries:
            if freed < over and not entry.kept:
                chosen.append(entry)
                freed += entry.nbytes
        if freed < over:
            raise self._refusal(entries, over - freed, name)
        return chosen

    def _refusal(self, entries: list[Entry], missing: int, name: str) -> Refused:
        others = (entry for entry in entries if entry.kept and (entry.name != name or not entry.is_partial))
        kept = sorted(others, key=lambda entry: -entry.nbytes)
        said = [f"{shown(entry.name)} ({_readable(entry.nbytes)}) is {entry.kept}" for entry in kept[:_MOST_NAMED]]
        if more := kept[_MOST_NAMED:]:
            said.append(f"{len(more)} more ({_readable(sum(entry.nbytes for entry in more))}) are kept")
        return Refused(
            f"{self.folder} may hold {_readable(self.quota_nbytes)}, and {name or 'what is there'} needs "
            f"{_readable(missing)} more than can be freed: {', '.join(said) or 'nothing else is there'}; "
            "raise SMALTI_CACHE_QUOTA, or unpin or move away one of them, and try again."
        )

    def _evict(self, entry: Entry) -> None:
        where, lock = ("partial", "fetching") if entry.is_partial else ("", "locks")
        folder = self.place(where, entry.name) if entry.is_partial else self.folder / entry.name
        with locked_if_free(self.place(lock, entry.name)) as free, suppress(FileNotFoundError):
            if free:
                gone = self._own / "evicted" / uuid.uuid4().hex
                folder.rename(gone)
                shutil.rmtree(gone)
                if not entry.is_partial:
                    self.place("files", entry.name).unlink(missing_ok=True)


def _registered(settings: Settings) -> set[str]:
    """Return the datasets in the cache that competitions of the root's registry are read from."""
    from smalti.datasets.competitions.registry import DatasetRegistry

    external = settings.external.resolve()
    paths = (
        (settings.root / competition.spec.dataset_path).resolve()
        for competition in DatasetRegistry(settings.root).competitions().values()
    )
    return {path.relative_to(external).parts[0] for path in paths if external in path.parents}


def _nbytes(size: str) -> int:
    try:
        return int(TypeAdapter(ByteSize).validate_python(size))
    except ValidationError:
        raise Refused(f"SMALTI_CACHE_QUOTA is {size!r}; write a size such as 50GB, 500MB or 1TiB.") from None


def _size(folder: Path) -> int:
    if not folder.is_dir() or folder.is_symlink():
        with suppress(FileNotFoundError):
            return folder.lstat().st_size
        return 0
    sizes = {(status.st_dev, status.st_ino): status.st_size for _, status in listings.files_below(folder)}
    return sum(sizes.values())


def _readable(nbytes: int) -> str:
    return ByteSize(nbytes).human_readable(decimal=True)
