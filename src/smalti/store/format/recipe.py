"""A near-duplicate: its leaves are taken from other objects where they lie there, and only the new ones are kept."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from smalti.digest import is_address
from smalti.errors import Damaged
from smalti.store.format import leaf_table
from smalti.store.format.record import LEAVES, Record, dump
from smalti.store.format.sealed import seal, unseal
from smalti.store.values import Encoded

RECIPE = "recipe.json"
DELTA = "delta.bin"
OWN = -1
_PAGE_NBYTES = 4096
_MOST_FRAMING_NBYTES = 1024 * 1024 * 1024  # of a table with very many batches; a forged one must not fill the memory
_MOST_NBYTES = 2**62
MOST_EXTENTS = 4096  # beyond this a copy is cheaper to read than its pieces, unless they are long enough
LONG_NBYTES = 32 * 1024  # so long on average
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
    try:
        if fields.keys() != {"extents", "framing_nbytes", "sources"}:
            raise ValueError(f"it has the fields {sorted(fields)}")
        sources = tuple(fields["sources"])
        if not all(isinstance(source, str) and is_address(source) and source != address for source in sources):
            raise ValueError("a source is no address of another object")
        extents = tuple(Extent(source, start, nbytes) for source, start, nbytes in fields["extents"])
        numbers = [
            fields["framing_nbytes"],
            *(number for extent in extents for number in (extent.start, extent.nbytes)),
        ]
        if not all(type(number) is int and 0 <= number < _MOST_NBYTES for number in numbers):
            raise ValueError("a size or a place in it is none")
        if not all(type(extent.source) is int and OWN <= extent.source < len(sources) for extent in extents):
            raise ValueError("an extent has no source")
        if len(extents) > max(MOST_EXTENTS, sum(extent.nbytes for extent in extents) // LONG_NBYTES):
            raise ValueError(f"it has {len(extents)} extents, more than anybody plans")
    except (ValueError, TypeError) as error:
        raise Damaged(f"{RECIPE} of {address} is no recipe ({error}); restore it from another store.") from error
    return Recipe(fields["framing_nbytes"], sources, extents)


def small_files(record: Record, recipe: Recipe | None) -> dict[str, bytes]:
    """Return what lies beside an object's content, name -> bytes; of a near-duplicate, its own leaves only."""
    files = dump(record)
    if recipe is None:
        return files
    if LEAVES in files:
        from smalti.store.format.planning import own_leaves  # numpy takes long to import: only large objects need it

        levels = leaf_table.build(record.table.entries)
        files[LEAVES] = leaf_table.dump([own_leaves(record, recipe).entries(), *levels[1:]])
    return files | {RECIPE: recipe.dump()}


def pack_framing(encoded: Encoded) -> bytes:
    """Return an object's framing as it begins ``delta.bin``: compressed (a table's is mostly zeros), whole pages."""
    packed = zlib.compress(b"".join(piece for piece in encoded.pieces if isinstance(piece, bytes)))
    return packed.ljust(-(-len(packed) // _PAGE_NBYTES) * _PAGE_NBYTES, b"\0")


def unpack_framing(packed: bytes) -> bytes:
    """Return the framing that the beginning of ``delta.bin`` holds.

    Raises:
        Damaged: it is something else.
    """
    unpacking = zlib.decompressobj()
    try:
        framing = unpacking.decompress(packed, _MOST_FRAMING_NBYTES)
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
    slices, position = [], 0
    for extent in recipe.extents:
        if extent.source == OWN:
            slices.append((position, position + extent.nbytes))
        position += extent.nbytes
    if position != record.content_nbytes:
        raise Damaged(f"{RECIPE} of {record.address} puts together {position} bytes, not those that were stored.")
    return slices
