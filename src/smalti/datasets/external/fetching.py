"""A dataset on its way into the cache: fetched by one process at a time, resumable, and there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from smalti.datasets.external import listing as listings
from smalti.datasets.external.cache import ExternalCache
from smalti.datasets.external.locks import locked, locked_if_free
from smalti.datasets.external.source import Source, now, recorded_url
from smalti.errors import Refused, Unavailable
from smalti.store.commit import exchange_folders, machine_errors, sync

_STEP_NBYTES = 64 << 20


class Fetching:
    """The fetch of one dataset; what is in ``folder`` stays until it is installed."""

    def __init__(self, cache: ExternalCache, name: str, lock: int) -> None:
        self._cache = cache
        self._name = name
        self._lock = lock
        self._room_for = 0
        self.folder = cache.place("partial", name)

    def reserve(self, nbytes: int) -> None:
        """Make room for what ``folder`` will hold, in bytes, and keep it free until the fetch ends.

        Raises:
            Refused: the quota does not allow it.
        """
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(nbytes).encode(), 0)
        self._cache.make_room(self._name)
        self._room_for = nbytes

    def metered(
        self, show: Callable[[int, int | None], None], already_nbytes: int = 0
    ) -> Callable[[int, int | None], None]:
        """Return what a download or an unpacking calls with its bytes, and those in all: it sees to the room.

        Args:
            show: is called with the same.
            already_nbytes: what ``folder`` holds beside.
        """

        def meter(nbytes: int, of_nbytes: int | None) -> None:
            step = _STEP_NBYTES if self._room_for and of_nbytes is None else 0
            wanted = already_nbytes + (nbytes if of_nbytes is None else of_nbytes)
            if wanted > self._room_for + step:
                self.reserve(wanted)
            show(nbytes, of_nbytes)

        return meter

    def install(
        self,
        staged: Path,
        url: str,
        *,
        download: tuple[str, int] | None = None,
        licence: str | None = None,
        source: str | None = None,
        revision: str | None = None,
    ) -> Path:
        """Make a folder below ``folder`` the dataset, in one step, in the place of what was fetched before.

        Args:
            staged: its files, durable.
            url: where they came from.
            download: SHA-256 and size of the one file that was downloaded, where there is one.

        Raises:
            Refused: there is no room, nothing in it, or files of the user's own at the place.
            Unavailable: someone uses the dataset that would be replaced; what was fetched is kept.
        """
        cache, name, target = self._cache, self._name, self._cache.folder / self._name
        listing = listings.seal(staged)
        if not listing:
            raise Refused(f"what was fetched for {name} holds no file; correct the address.")
        self.reserve(0)
        address, query_sha256 = recorded_url(url)
        files_nbytes, files_sha256 = sum(file.nbytes for file in listing.values()), listings.digest(listing)
        sha256, nbytes = download or (files_sha256, files_nbytes)
        about = Source(
            url=address,
            query_sha256=query_sha256,
            sha256=sha256,
            nbytes=nbytes,
            retrieved=now(),
            licence=licence,
            source=source,
            revision=revision,
            files=len(listing),
            files_nbytes=files_nbytes,
            files_sha256=files_sha256,
        )
        with cache.alone(), locked_if_free(cache.place("locks", name)) as free:
            if not os.path.lexists(target):
                cache.record(name, about, listing)
                staged.rename(target)
            else:
                self._require_replaceable(target, free)
                cache.record(name, about, listing)
                exchange_folders(staged, target)
            sync(cache.folder)
            os.utime(cache.place("locks", name))
        shutil.rmtree(self.folder)
        return target

    def _require_replaceable(self, target: Path, free: bool) -> None:
        if target.is_symlink() or not target.is_dir():
            raise Refused(f"{target} is no folder of its own; move it away first.")
        if not free:
            raise Unavailable(f"{target} is in use; what was fetched is kept, try again when that has ended.")
        if own := self._cache.own_files(self._name):
            raise Refused(f"{target} holds files that were not fetched, such as {own[0]}; move them away first.")


@contextmanager
def fetching(cache: ExternalCache, name: str) -> Iterator[Fetching]:
    """Fetch a dataset, alone: whoever else wants to waits here, and then finds it.

    Raises:
        Unavailable: the machine does not let files be written there.
    """
    with machine_errors(f"fetching {name} into {cache.folder}"):
        cache.prepare()
        lock = cache.place("fetching", name)
        with locked(lock, waiting_for=f"another process that fetches {name}") as descriptor:
            work = Fetching(cache, name, descriptor)
            work.folder.mkdir(exist_ok=True)
            try:
                yield work
            finally:
                os.ftruncate(descriptor, 0)
                if work.folder.is_dir() and not any(work.folder.iterdir()):
                    work.folder.rmdir()
