"""Objects on their way into a folder: written beside, synced together, then moved into place, each in one step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from smalti.store.backends.base import Bytes, Draft, folder_key
from smalti.store.commit import (
    alone_in,
    exchange_folders,
    machine_errors,
    make_folder,
    make_folders,
    move_folder,
    sync_together,
    unique_name,
    write_file,
)


class LocalDraft:
    """The files of an object in a folder of its own, neither durable nor visible."""

    def __init__(self, folder: str, form: bytes) -> None:
        self.folder = folder
        self.form = form
        self.names: list[str] = []

    def insist(self, form: bytes) -> None:
        self.form = form

    def write(self, name: str, pieces: Iterable[Bytes], nbytes: int) -> int:
        with machine_errors(f"writing {name} in {self.folder}"):
            self.names.append(name)
            return write_file(f"{self.folder}/{name}", pieces, synced=False)

    def adopt(self, name: str, file: Path) -> int:
        with machine_errors(f"moving {file} to {self.folder}"):
            self.names.append(name)
            file.chmod(file.stat().st_mode & 0o444)
            return file.rename(f"{self.folder}/{name}").stat().st_size

    def paths(self) -> list[str]:
        """Return what has to be durable before it is visible."""
        return [*(f"{self.folder}/{name}" for name in self.names), self.folder]


class LocalBatch:
    """Objects that become durable together."""

    def __init__(self, root: Path, staging: Path) -> None:
        self._root = root
        self._staging = staging
        self._left: set[str] = set()  # folders of drafts

    def draft(self, address: str | None, form: bytes | None = None) -> LocalDraft:
        folder = f"{self._staging}/{unique_name()}"
        with machine_errors(f"writing {folder}"):
            if not self._left:
                make_folder(self._staging)
            self._left.add(folder)
            os.mkdir(folder)  # noqa: PTH102, this runs for every object
        return LocalDraft(folder, form or b"")

    def discard(self, draft: Draft) -> None:
        assert isinstance(draft, LocalDraft)
        with machine_errors(f"removing {draft.folder}"):
            for name in draft.names:
                os.unlink(f"{draft.folder}/{name}")  # noqa: PTH108
            os.rmdir(draft.folder)  # noqa: PTH106

    def publish(
        self, drafts: Mapping[str, Draft], replace: Collection[str] = (), found: Collection[str] = ()
    ) -> set[str]:
        published = set()
        with machine_errors(f"storing {len(drafts)} objects in {self._root}"):
            some: dict[str, LocalDraft] = {a: d for a, d in drafts.items() if isinstance(d, LocalDraft)}
            sync_together([path for draft in some.values() for path in draft.paths()])
            shards = [self._root / folder_key(one).rsplit("/", 2)[0] for one in {*some, *found}]
            shards = sorted(set(shards))
            make_folders(shards if (self._root / "data").is_dir() else self._all_shards())
            for address, draft in some.items():
                folder = f"{self._root}/{folder_key(address)[:-1]}"
                if address in replace:
                    self._replace(draft.folder, folder)
                elif move_folder(draft.folder, folder):
                    self._left.discard(draft.folder)
                else:
                    continue  # another writer was first, with the same bytes
                published.add(address)
            sync_together(shards)
        return published

    def close(self) -> None:
        """Remove what is left of drafts."""
        for folder in self._left:
            shutil.rmtree(folder, ignore_errors=True)

    def _all_shards(self) -> list[Path]:
        """Return all folders of objects: made together, none is waited for later."""
        return [self._root / "data" / f"{number:02x}" for number in range(256)]

    def _replace(self, folder: str, target: str) -> None:
        """Swap a damaged object for its replacement; the damaged one is kept for whoever wants to look at it.

        Should anything fail, either the one or the other is there.
        """
        with alone_in(self._root / "data"):  # or one repair would take the other's for the damage
            if not os.path.lexists(target):
                move_folder(folder, target)
                return
            exchange_folders(Path(folder), Path(target))
            with suppress(OSError):  # what was damaged is gone with this batch then
                make_folder(self._root / "quarantine")
                name = os.path.basename(target)  # noqa: PTH119
                targets = (self._root / "quarantine" / f"{name}-{attempt}" for attempt in count())
                next(aside for aside in targets if move_folder(folder, aside))


@contextmanager
def local_batch(root: Path, staging: Path) -> Iterator[LocalBatch]:
    """Give a batch whose drafts lie below ``staging``; those that were not published are removed afterwards."""
    batch = LocalBatch(root, staging)
    try:
        yield batch
    finally:
        batch.close()
