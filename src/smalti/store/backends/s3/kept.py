"""The keys of objects in a bucket: the files of a folder, large ones compressed, and how each object is kept."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from smalti.digest import PREFIX
from smalti.store.backends.base import Entry, Listed, folder_key
from smalti.store.backends.s3.bucket import Bucket
from smalti.store.backends.s3.file import FramedFile, PlainFile, S3File
from smalti.store.format import seekable
from smalti.store.format.recipe import DELTA, RECIPE
from smalti.store.format.record import LEAVES, METADATA

if TYPE_CHECKING:
    from obstore import ObjectMeta

T = TypeVar("T")

# The attributes of the key metadata.json; a bucket that is copied through a folder loses them.
_CONTENT = "smalti-content"
_UPLOADED = "smalti-etags"
_SMALL = {METADATA, RECIPE, LEAVES}
_MOST_REMEMBERED = 10_000
_VACANT_SECONDS = 600.0  # what comes meanwhile is far too young to be swept away


@dataclass(frozen=True, slots=True)
class Kept:
    """How an object is kept, as its writer noted it beside ``metadata.json``; "" for what a copy has lost.

    Attributes:
        name: the key that holds the content: ``data.npy``, ``delta.bin.zst`` and the like; ``metadata.json`` where all
            lies in there.
        uploaded: the ETag that each key had when it was uploaded, but ``metadata.json``.
    """

    name: str
    uploaded: Mapping[str, str]

    @classmethod
    def noted(cls, attributes: Mapping[str, str]) -> Kept:
        """Return what is noted beside a ``metadata.json``."""
        pairs = (pair.partition(" ") for pair in attributes.get(_UPLOADED, "").split("; ") if pair)
        return cls(attributes.get(_CONTENT, ""), {name: etag for name, _, etag in pairs})

    def note(self) -> dict[str, str]:
        """Return the same as attributes."""
        uploaded = "; ".join(f"{name} {etag}" for name, etag in self.uploaded.items())
        return {_CONTENT: self.name, _UPLOADED: uploaded}

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
        self._vacant: dict[str, float] = {}  # address of which no key was there -> when, by ``time.monotonic``

    def held(self, address: str) -> dict[str, ObjectMeta]:
        """Return the keys of an object, by their names, as the bucket has them now; no object has none."""
        folder = folder_key(address)
        held = {found["path"].removeprefix(folder): found for found in self.bucket.list(folder)}
        if METADATA not in held:
            self.forget(address)
        if not held:
            _bound(self._vacant)[address] = time.monotonic()
        return held

    def was_vacant(self, address: str) -> bool:
        """Tell whether no key of an object was there a moment ago; that is told once."""
        looked_at = self._vacant.pop(address, -math.inf)
        return time.monotonic() - looked_at < _VACANT_SECONDS

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield what lies in an object's folder, under the names that the files have uncompressed."""
        for found in self.bucket.list(prefix):
            yield Listed(found["path"].removesuffix(seekable.SUFFIX), found["size"], found["e_tag"] or "")

    def read(self, key: str) -> bytes | None:
        """Return a small file, None when it is not there."""
        address, name = _split(key)
        if name == RECIPE and not ((kept := self.kept(address)) and kept.may_be(DELTA)):
            return None
        found = self.bucket.get(key)
        if name == METADATA and found:
            self.remember(address, Kept.noted(found.attributes))
        elif name == METADATA:
            self.forget(address)
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
        found = self.held(address)
        held = name + seekable.SUFFIX if name not in found and name + seekable.SUFFIX in found else name
        if kept and not kept.name:
            self.remember(address, replace(kept, name=held))
        return held

    def kept(self, address: str) -> Kept | None:
        """Return how an object is kept, as its ``metadata.json`` said when it was last read; None for no object."""
        if address not in self._kept:
            self.read(folder_key(address) + METADATA)
        return self._kept.get(address)

    def is_known(self, address: str) -> bool:
        """Tell whether an object was there when it was last looked at."""
        return address in self._kept

    def remember(self, address: str, kept: Kept) -> None:
        """Remember how an object is kept, until that is read again."""
        _bound(self._kept)[address] = kept

    def forget(self, address: str) -> None:
        """Read anew how an object is kept, when that is asked for."""
        self._kept.pop(address, None)


def _bound(remembered: dict[str, T]) -> dict[str, T]:
    if len(remembered) >= _MOST_REMEMBERED:
        remembered.clear()
    return remembered


def _split(key: str) -> tuple[str, str]:
    _, _, digits, name = key.split("/", 3)
    return PREFIX + digits, name
