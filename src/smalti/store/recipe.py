"""A near-duplicate: its leaves are taken from other objects where they lie there, and only the new ones are kept."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from smalti.errors import Damaged
from smalti.store.record import LEAVES, Record, dump, dump_leaves, seal, unseal
from smalti.store.segments import pieces_of
from smalti.store.values import Encoded

RECIPE = "recipe.json"
DELTA = "delta.bin"
OWN = -1
_PAGE_NBYTES = 4096
LEAST_SAVED_NBYTES = 256 * 1024  # a smaller object is never a near-duplicate


@dataclass(frozen=True, slots=True)
class Extent:
    """A run of content: ``nbytes`` from ``start`` of source number ``source``, or of the object's own new leaves.

    A start is counted in the *content* of the source, not in its file, so it holds however the source is kept.
    """

    source: int
    start: int
    nbytes: int


@dataclass(frozen=True)
class Recipe:
    """How an object's content is put together.

    Attributes:
        framing_nbytes: size of the packed framing, which lies at the beginning of ``delta.bin``.
        sources: addresses of the objects that leaves are taken from.
        extents: the content in order.
    """

    framing_nbytes: int
    sources: tuple[str, ...]
    extents: tuple[Extent, ...]

    @property
    def own_nbytes(self) -> int:
        """Bytes of new leaves."""
        return sum(extent.nbytes for extent in self.extents if extent.source == OWN)

    @property
    def nbytes(self) -> int:
        """Bytes of content."""
        return sum(extent.nbytes for extent in self.extents)

    def within(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield what the content from ``start`` to ``stop`` is put together from: source, start there, nbytes.

        Of the new leaves the start is counted from the first of them.
        """
        for number in range(bisect_right(self._ends, start), len(self.extents)):
            extent = self.extents[number]
            position = self._ends[number] - extent.nbytes
            if position >= stop:
                return
            low, high = max(start, position), min(stop, position + extent.nbytes)
            yield extent.source, extent.start + low - position, high - low

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(extent.nbytes for extent in self.extents))

    def dump(self) -> bytes:
        """Return the document that holds this recipe."""
        extents = [[extent.source, extent.start, extent.nbytes] for extent in self.extents]
        return seal({"framing_nbytes": self.framing_nbytes, "sources": self.sources, "extents": extents})


def parse(address: str, document: bytes) -> Recipe:
    """Return a recipe.

    Raises:
        Damaged: the document is not what was written.
    """
    fields = unseal(document, f"{RECIPE} of {address}")
    if fields.keys() != {"extents", "framing_nbytes", "sources"}:
        raise Damaged(f"{RECIPE} of {address} is another document, with the fields {sorted(fields)}; restore it.")
    extents = tuple(Extent(*extent) for extent in fields["extents"])
    return Recipe(fields["framing_nbytes"], tuple(fields["sources"]), extents)


def small_files(record: Record, recipe: Recipe | None) -> dict[str, bytes]:
    """Return what lies beside an object's content, name -> bytes; of a near-duplicate, its own leaves only."""
    files = dump(record)
    if recipe is None:
        return files
    if LEAVES in files:
        from smalti.store.leaf_table import own_leaves  # numpy takes long to import: only large objects need it

        own = own_leaves(record, recipe)
        files[LEAVES] = dump_leaves(own.ids.tobytes(), own.sizes)
    return files | {RECIPE: recipe.dump()}


def framing_nbytes(encoded: Encoded) -> int:
    """Return the size of an object's framing as ``delta.bin`` would keep it."""
    return len(_pack_framing(encoded))


def delta(record: Record, encoded: Encoded, recipe: Recipe) -> list[bytes | memoryview]:
    """Return what goes into ``delta.bin``: the framing, then the new leaves."""
    parts: list[bytes | memoryview] = [_pack_framing(encoded)]
    for start, stop in own_slices(record, recipe):
        base = 0
        for data in (buffer.data for buffer in encoded.buffers):
            low, high = max(start - base, 0), min(stop - base, data.nbytes)
            if low < high:
                parts += pieces_of(data[low:high])
            base += data.nbytes
    return parts


def _pack_framing(encoded: Encoded) -> bytes:
    """Return framing compressed (a table's is mostly zeros), and whole pages long."""
    packed = zlib.compress(b"".join(piece for piece in encoded.pieces if isinstance(piece, bytes)))
    return packed.ljust(-(-len(packed) // _PAGE_NBYTES) * _PAGE_NBYTES, b"\0")


def unpack_framing(packed: bytes) -> bytes:
    """Return the framing that the beginning of ``delta.bin`` holds.

    Raises:
        Damaged: it is something else.
    """
    unpacking = zlib.decompressobj()
    try:
        framing = unpacking.decompress(packed)
    except zlib.error as error:
        raise Damaged(f"the framing in {DELTA} cannot be unpacked: {error}; put the same value again.") from error
    if not unpacking.eof or unpacking.unused_data.strip(b"\0") or len(packed) % _PAGE_NBYTES:
        raise Damaged(f"the framing in {DELTA} has other bytes behind it; put the same value again.")
    return framing


def own_slices(record: Record, recipe: Recipe) -> list[tuple[int, int]]:
    """Return where in the object's content begins and ends what its own file holds, in order.

    Raises:
        Damaged: the recipe puts together another number of bytes.
    """
    content_nbytes = sum(nbytes for _, nbytes in record.buffers)
    slices, position = [], 0
    for extent in recipe.extents:
        if extent.source == OWN:
            slices.append((position, position + extent.nbytes))
        position += extent.nbytes
    if position != content_nbytes:
        raise Damaged(f"{RECIPE} of {record.address} puts together {position} bytes, not those that were stored.")
    return slices
