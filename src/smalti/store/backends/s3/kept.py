"""The keys of objects in a bucket: the files of a folder, large ones compressed, and how each object is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from smalti.digest import PREFIX
from smalti.store.backends.base import Entry, Listed, folder_key
from smalti.store.backends.s3.bucket import LOOKS_FOR_KNOWN, Bucket, Found
from smalti.store.backends.s3.file import FramedFile, PlainFile, S3File
from smalti.store.backends.s3.leases import latest
from smalti.store.format import seekable
from smalti.store.format.recipe import DELTA, RECIPE
from smalti.store.format.record import LEAVES, METADATA

# The attributes of the key metadata.json; a bucket that is copied through a folder loses them.
CONTENT = "smalti-content"
UPLOADED = "smalti-etag"
_SMALL = {METADATA, RECIPE, LEAVES}
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Kept:
    """How an object is kept, as its writer noted it beside ``metadata.json``; "" for what a copy has lost.

    Attributes:
        name: the key that holds the content: ``data.npy``, ``delta.bin.zst`` and the like; ``metadata.json`` where all
            lies in there.
        uploaded: that key's ETag when it was uploaded.
        written_at: until when ``metadata.json`` may have been written, in seconds since 1970 by the server's clock.
    """

    name: str
    uploaded: str
    written_at: float

    def may_be(self, name: str) -> bool:
        """Tell whether the content may be a file of that name, compressed or not."""
        return self.name in {"", name, name + seekable.SUFFIX}


class ObjectKeys:
    """The keys of objects below ``data/``.

    How an object is kept comes with its ``metadata.json`` and is remembered, so that its content is found at once.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self._kept: dict[str, Kept] = {}

    def names(self, address: str) -> list[str]:
        """Return the names of an object's keys, as the bucket has them."""
        folder = folder_key(address)
        return [found["path"].removeprefix(folder) for found in self.bucket.list(folder)]

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield what lies in an object's folder, under the names that the files have uncompressed."""
        for found in self.bucket.list(prefix):
            yield Listed(found["path"].removesuffix(seekable.SUFFIX), found["size"], found["e_tag"] or "")

    def read(self, key: str, *, looks: int = LOOKS_FOR_KNOWN) -> bytes | None:
        """Return a small file, None when it is not there after so many looks."""
        address, name = _split(key)
        if name == RECIPE and not ((kept := self.kept(address)) and kept.may_be(DELTA)):
            return None
        found = self.bucket.get(key, looks=looks)
        if name == METADATA:
            self._remember(address, _kept(found) if found else None)
        return found.content if found else None

    def open(self, key: str) -> S3File:
        """Return access to a large file; nothing is fetched yet."""
        address, name = _split(key)
        held = name if name in _SMALL else self.name_held(address, name)
        held_key, what = folder_key(address) + held, f"{held} of {address}"
        compressed = held.endswith(seekable.SUFFIX)
        file = FramedFile(self.bucket, held_key, what) if compressed else PlainFile(self.bucket, held_key)
        return S3File(file, held, f"{what} is missing or cut short in {self.bucket.location}; restore it.")

    def name_held(self, address: str, name: str) -> str:
        """Return which key holds a large file of an object: that of its name, or the compressed one."""
        kept = self.kept(address)
        if kept and kept.name and kept.may_be(name):
            return kept.name
        found = self.names(address)
        held = name + seekable.SUFFIX if name not in found and name + seekable.SUFFIX in found else name
        if kept and not kept.name:
            self._remember(address, replace(kept, name=held))
        return held

    def kept(self, address: str) -> Kept | None:
        """Return how an object is kept, as its ``metadata.json`` said when it was last read; None for no object."""
        if address not in self._kept:
            self.read(folder_key(address) + METADATA)
        return self._kept.get(address)

    def look(self, address: str) -> Kept | None:
        """Return the same as it is now."""
        self.read(folder_key(address) + METADATA, looks=1)
        return self._kept.get(address)

    def forget(self, address: str) -> None:
        """Read anew how an object is kept, when that is asked for."""
        self._kept.pop(address, None)

    def _remember(self, address: str, kept: Kept | None) -> None:
        if len(self._kept) >= _MOST_REMEMBERED:
            self._kept.clear()
        if kept is None:
            self._kept.pop(address, None)
        else:
            self._kept[address] = kept


def _split(key: str) -> tuple[str, str]:
    _, _, digits, name = key.split("/", 3)
    return PREFIX + digits, name


def _kept(metadata: Found) -> Kept:
    noted = metadata.attributes
    return Kept(noted.get(CONTENT, ""), noted.get(UPLOADED, ""), latest(metadata.at))
