"""Objects on their way into a bucket: content first, and ``metadata.json`` when everything else is there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from smalti.errors import Unavailable
from smalti.store.backends.base import Bytes, Draft, folder_key
from smalti.store.backends.s3.kept import Kept, ObjectKeys
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
        self._insists = False
        self._agrees = form is not None
        self.form = leases.agree(address, form) if form is not None else b""
        # Who agreed on a form after another was done with it finds the object there, perhaps in another form.
        self._is_there = self._agrees and METADATA in keys.held(address)
        # Where nothing was there and nobody removes it now, nobody can take anything of it away before it is there.
        self._is_alone = keys.was_vacant(address)
        leases.wait_for_removal(address)
        self._files: dict[str, tuple[Iterable[Bytes], int]] = {}
        self._held: dict[str, str] = {}  # name of each key that was written -> its ETag

    def insist(self, form: bytes) -> None:
        self._leases.insist(self.address, form)
        self.form = form
        self._insists = True

    def write(self, name: str, pieces: Iterable[Bytes], nbytes: int) -> int:
        self._files[name] = pieces, nbytes
        return nbytes if name == METADATA or self._is_there else self._upload(name)

    def adopt(self, name: str, file: Path) -> int:
        return self.write(name, FilePieces(file), file.stat().st_size)

    def publish(self, replace: bool) -> bool:
        """Write ``metadata.json``; tell whether this draft is what is there."""
        ours = False
        for number in range(_TRIES):
            if number:
                for name in self._files.keys() - {METADATA}:
                    self._upload(name)
            created = not self._is_there and self._write_metadata(replace)
            ours |= created
            if (created and self._is_alone) or self._stays(created):
                if self._agrees:
                    self._leases.written(self.address)
                return ours
            replace = False
        raise Unavailable(
            f"{self._keys.bucket.location} did not keep {self.address} as it was put, also when tried again; "
            "check the server."
        )

    def _write_metadata(self, replace: bool) -> bool:
        (metadata,) = self._files[METADATA][0]
        large = next((name for name in self._held if name not in _SMALL), METADATA)
        kept = Kept(large, dict(self._held))
        key = folder_key(self.address) + METADATA
        self._keys.forget(self.address)
        self._leases.clock.wrote()
        if self._insists:
            self._remove_others()
        if replace:
            self._keys.bucket.put(key, [metadata], kept.note())
            self._remove_others()
        elif not self._keys.bucket.create(key, bytes(metadata), kept.note()):
            return False
        self._keys.remember(self.address, kept)
        return True

    def _remove_others(self) -> None:
        """Remove what was there in another form."""
        for name in self._keys.held(self.address).keys() - self._held.keys() - {METADATA}:
            self._keys.bucket.delete(folder_key(self.address) + name)

    def _stays(self, created: bool) -> bool:
        """Tell whether all that was written is there and stays, which a removal of what was there before may undo."""
        if created:
            self._leases.wait_for_removal(self.address)
        else:
            self._leases.renew(self.address)
        held = self._keys.held(self.address)
        wanted = self._held.items() if created else ()
        return METADATA in held and all(name in held and held[name]["e_tag"] == etag for name, etag in wanted)

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
