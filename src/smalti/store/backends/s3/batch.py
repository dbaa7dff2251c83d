"""Objects on their way into a bucket: content first, and ``metadata.json`` when everything else is there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from smalti.errors import Unavailable
from smalti.store.backends.base import Bytes, Draft, folder_key
from smalti.store.backends.s3.kept import CONTENT, UPLOADED, ObjectKeys
from smalti.store.backends.s3.leases import Leases
from smalti.store.format import seekable
from smalti.store.format.recipe import RECIPE
from smalti.store.format.record import LEAVES, METADATA

_SMALL = {METADATA, RECIPE, LEAVES}
_TRIES = 3


class S3Draft:
    """The keys of an object without its ``metadata.json``: until that is there, they are no object."""

    def __init__(self, keys: ObjectKeys, leases: Leases, address: str, form: bytes | None) -> None:
        self.address = address
        self._keys = keys
        self._leases = leases
        self._agrees = form is not None
        self.form = leases.agree(address, form) if form is not None else b""
        self._files: dict[str, tuple[Iterable[Bytes], int]] = {}
        self._held: dict[str, str] = {METADATA: ""}  # name of each key that was written -> its ETag

    def insist(self, form: bytes) -> None:
        self._leases.insist(self.address, form)
        self.form = form

    def write(self, name: str, pieces: Iterable[Bytes], nbytes: int) -> int:
        self._files[name] = pieces, nbytes
        return nbytes if name == METADATA else self._upload(name)

    def adopt(self, name: str, file: Path) -> int:
        return self.write(name, FilePieces(file), file.stat().st_size)

    def publish(self, replace: bool) -> bool:
        """Write ``metadata.json``; tell whether this draft is what is there."""
        for number in range(_TRIES):
            if number:
                for name in self._files.keys() - {METADATA}:
                    self._upload(name)
            created = self._write_metadata(replace)
            self._leases.wait_for_removal(self.address)
            if self._keys.look(self.address):
                if self._agrees:
                    self._leases.written(self.address)
                return created
            replace = False
        raise Unavailable(
            f"{self._keys.bucket.location} did not keep {self.address} as it was put, also when tried again; "
            "check the server."
        )

    def _write_metadata(self, replace: bool) -> bool:
        (metadata,) = self._files[METADATA][0]
        large = next((name for name in self._held if name not in _SMALL), METADATA)
        attributes = {CONTENT: large, UPLOADED: self._held[large]}
        key = folder_key(self.address) + METADATA
        self._keys.forget(self.address)
        if not replace:
            return self._keys.bucket.create(key, bytes(metadata), attributes)
        self._keys.bucket.put(key, [metadata], attributes)
        for name in set(self._keys.names(self.address)) - self._held.keys():
            self._keys.bucket.delete(folder_key(self.address) + name)
        return True

    def _upload(self, name: str) -> int:
        pieces, nbytes = self._files[name]
        held = name
        if name not in _SMALL and seekable.pays(pieces, nbytes):
            held, pieces = name + seekable.SUFFIX, seekable.Compressed(pieces)
        written = self._keys.bucket.put(folder_key(self.address) + held, pieces, None, nbytes)
        self._held[held] = written.etag
        return written.nbytes


class FilePieces:
    """The content of a local file, some at a time."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        with self._file.open("rb") as file:
            while piece := file.read(seekable.FRAME_NBYTES):
                yield piece


class S3Batch:
    """Objects that are written one by one."""

    def __init__(self, keys: ObjectKeys, leases: Leases) -> None:
        self._keys = keys
        self._leases = leases

    def draft(self, address: str | None, form: bytes | None = None) -> S3Draft:
        assert address is not None
        return S3Draft(self._keys, self._leases, address, form)

    def discard(self, draft: Draft) -> None:
        """Do nothing: what is no object is swept away."""

    def publish(
        self, drafts: Mapping[str, Draft], replace: Collection[str] = (), found: Collection[str] = ()
    ) -> set[str]:
        published = set()
        for address, draft in drafts.items():
            assert isinstance(draft, S3Draft)
            if draft.publish(address in replace):
                published.add(address)
        return published


@contextmanager
def s3_batch(keys: ObjectKeys, leases: Leases) -> Iterator[S3Batch]:
    """Give a batch."""
    yield S3Batch(keys, leases)
