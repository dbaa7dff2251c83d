"""The files of objects in a bucket: the same as in a folder, large ones compressed where that saves a tenth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from smalti.digest import PREFIX
from smalti.store import recipe as recipes
from smalti.store import seekable
from smalti.store.recipe import DELTA, RECIPE, Recipe
from smalti.store.record import METADATA, Record
from smalti.store.s3_bucket import Bucket, Found, Written
from smalti.store.s3_content import FramedFile, PlainFile, RangeContent, RemoteFile
from smalti.store.s3_marks import latest
from smalti.store.values import Encoded

# The attributes of the key metadata.json; a bucket that is copied through a folder loses them.
_CONTENT = "smalti-content"
_UPLOADED = "smalti-etag"
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Kept:
    """How an object is kept, as its writer noted it beside ``metadata.json``; "" for what a copy has lost.

    Attributes:
        name: the key that holds the content: ``data.npy``, ``delta.bin.zst`` and the like; of a tree ``metadata.json``.
        uploaded: that key's ETag when it was uploaded.
        written_at: until when ``metadata.json`` may have been written, in seconds since 1970 by the server's clock.
    """

    name: str
    uploaded: str
    written_at: float

    def may_be(self, name: str) -> bool:
        """Tell whether the content may be a file of that name, compressed or not."""
        return self.name in {"", name, name + seekable.SUFFIX}


class S3Files:
    """The files of objects below ``data/``.

    How an object is kept comes with its ``metadata.json`` and is remembered, so that its content is found at once.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.place = bucket.place
        self._bucket = bucket
        self._kept: dict[str, Kept] = {}

    @staticmethod
    def key(address: str, name: str) -> str:
        """Return where a file of an object lies, or would lie; of "" its folder."""
        hexadecimal = address.removeprefix(PREFIX)
        return f"data/{hexadecimal[:2]}/{hexadecimal}/{name}"

    def sizes(self, address: str) -> dict[str, tuple[int, str]]:
        """Return size and ETag of each of an object's keys, by name."""
        folder = self.key(address, "")
        return {
            found["path"].removeprefix(folder): (found["size"], found["e_tag"] or "")
            for found in self._bucket.list(folder)
        }

    def read(self, address: str, name: str, *, certain: bool = True) -> bytes | None:
        """Return a small file of an object, None when it is not there, of which one may be ``certain``."""
        if name == RECIPE and not ((kept := self.kept(address)) and kept.may_be(DELTA)):
            return None
        found = self._bucket.get(self.key(address, name), looks=2 if certain else 1)
        if found and name == METADATA:
            self._remember(address, _kept(found))
        return found.content if found else None

    def open(self, address: str, name: str, buffers: Sequence[tuple[int, int]]) -> RangeContent:
        """Return access to a large file of an object; nothing is fetched yet."""
        held = self.content_name(address, name)
        key, what = self.key(address, held), f"{held} of {address}"
        file: RemoteFile = PlainFile(self._bucket, key)
        if held.endswith(seekable.SUFFIX):
            file = FramedFile(self._bucket, key, sum(nbytes for _, nbytes in buffers), what)
        missing = (
            f"{what} is missing or cut short in {self.place}; put the same value again to repair it, or restore it."
        )
        return RangeContent(file, held, buffers, missing)

    def content_name(self, address: str, name: str) -> str:
        """Return which key holds a large file of an object: that of its name, or the compressed one."""
        kept = self.kept(address)
        if kept and kept.name and kept.may_be(name):
            return kept.name
        found = self.sizes(address)
        held = name + seekable.SUFFIX if name not in found and name + seekable.SUFFIX in found else name
        if kept:
            self._remember(address, replace(kept, name=held))
        return held

    def kept(self, address: str) -> Kept | None:
        """Return how an object is kept, as its ``metadata.json`` said when it was last read; None for no object."""
        if address not in self._kept:
            self.read(address, METADATA)
        return self._kept.get(address)

    def is_as_uploaded(self, address: str) -> bool:
        """Tell whether nobody wrote over an object's content since it was uploaded; False where that is unknown."""
        kept = self.kept(address)
        if not kept or not kept.uploaded:
            return False
        found = self._bucket.head(self.key(address, kept.name))
        return found is not None and found["e_tag"] == kept.uploaded

    def write(self, record: Record, encoded: Encoded | None, recipe: Recipe | None, over: bool) -> int:
        """Write an object's keys, ``metadata.json`` last; return their size, 0 where another writer was first.

        Args:
            over: write over an object that is there, and remove what is no part of it.
        """
        address = record.address
        attributes = {_CONTENT: METADATA}
        files = recipes.small_files(record, recipe)
        metadata = files.pop(METADATA)
        held, added = METADATA, len(metadata)
        if encoded:
            held, written = self._write_content(record, encoded, recipe)
            attributes |= {_CONTENT: held, _UPLOADED: written.etag}
            added += written.nbytes
        for name, content in files.items():
            added += self._bucket.put(self.key(address, name), [content]).nbytes
        self._kept.pop(address, None)
        if not over:
            return added if self._bucket.create(self.key(address, METADATA), metadata, attributes) else 0
        self._bucket.put(self.key(address, METADATA), [metadata], attributes)
        for name in self.sizes(address).keys() - {METADATA, held, *files}:
            self._bucket.delete(self.key(address, name))
        return added

    def _write_content(self, record: Record, encoded: Encoded, recipe: Recipe | None) -> tuple[str, Written]:
        """Write the large file and return the name of its key."""
        name, pieces, nbytes = encoded.filename, encoded.file, record.nbytes
        if recipe:
            name, pieces, nbytes = DELTA, recipes.delta(record, encoded, recipe), recipe.own_nbytes
        most_nbytes = sum(map(len, pieces))
        if seekable.pays(pieces, nbytes):
            name += seekable.SUFFIX
            return name, self._bucket.put(self.key(record.address, name), _Compressed(pieces), None, most_nbytes)
        return name, self._bucket.put(self.key(record.address, name), pieces, None, most_nbytes)

    def _remember(self, address: str, kept: Kept) -> None:
        if len(self._kept) >= _MOST_REMEMBERED:
            self._kept.clear()
        self._kept[address] = kept


def _kept(metadata: Found) -> Kept:
    noted = metadata.attributes
    return Kept(noted.get(_CONTENT, ""), noted.get(_UPLOADED, ""), latest(metadata.at))


class _Compressed:
    """A file compressed as it is gone through; more than once where it has to be sent again."""

    def __init__(self, pieces: Sequence[seekable.Piece]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return seekable.compress(self._pieces)
