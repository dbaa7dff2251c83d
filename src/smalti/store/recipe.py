"""A near-duplicate: its leaves are taken from other objects where they lie there, and only the new ones are kept."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.digest import LEAF_ID_NBYTES
from smalti.errors import Damaged
from smalti.store.record import LEAVES, Record, dump, dump_leaves, seal, unseal
from smalti.store.values import Encoded

RECIPE = "recipe.json"
DELTA = "delta.bin"
OWN = -1
_PAGE_NBYTES = 4096
_MOST_EXTENTS = 4096  # beyond this a copy is cheaper to read than its pieces
LEAST_SAVED_NBYTES = 256 * 1024  # a smaller object is never a near-duplicate
_LEAST_SAVED_SHARE = 0.1


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


@dataclass(frozen=True, slots=True)
class Leaves:
    """Some leaves of an object.

    Attributes:
        ids: (L, 32) uint8.
        starts: (L,) int64, where each begins in the object's content.
        sizes: (L,) uint32.
    """

    ids: NDArray[np.uint8]
    starts: NDArray[np.int64]
    sizes: NDArray[np.uint32]

    def within(self, start: int, stop: int) -> Leaves:
        """Return those that begin from ``start`` on and before ``stop``."""
        low, high = np.searchsorted(self.starts, (start, stop))
        return Leaves(self.ids[low:high], self.starts[low:high], self.sizes[low:high])


def all_leaves(ids: bytes, sizes: NDArray[np.uint32]) -> Leaves:
    """Return leaves that follow one another from the beginning of the content."""
    table = np.frombuffer(ids, np.uint8).reshape(-1, LEAF_ID_NBYTES)
    return Leaves(table, np.cumsum(sizes, dtype=np.int64) - sizes, sizes)


def own_leaves(record: Record, recipe: Recipe | None) -> Leaves:
    """Return which of an object's leaves lie in its own file: all of them, or those its recipe does not take."""
    leaves = all_leaves(record.leaf_ids, record.leaf_sizes)
    if recipe is None:
        return leaves
    ends = np.cumsum([extent.nbytes for extent in recipe.extents])
    owner = np.array([extent.source for extent in recipe.extents])[np.searchsorted(ends, leaves.starts, "right")]
    return Leaves(leaves.ids[owner == OWN], leaves.starts[owner == OWN], leaves.sizes[owner == OWN])


def joined(parts: Iterable[Leaves]) -> Leaves:
    """Return leaves that follow one another from the beginning of the content."""
    some = list(parts)
    sizes = np.concatenate([np.zeros(0, np.uint32), *(part.sizes for part in some)])
    return all_leaves(b"".join(part.ids.tobytes() for part in some), sizes)


def plan(record: Record, framing_nbytes: int, alike: list[str], leaves_of: Callable[[str], Leaves]) -> Recipe | None:
    """Return how to keep an object as a near-duplicate of those it is alike, or None where that saves too little.

    Args:
        record: the object to be kept.
        framing_nbytes: size of its file's packed framing.
        alike: addresses to take leaves from, best first.
        leaves_of: gives the leaves in the own file of one of them.
    """
    wanted = np.frombuffer(record.leaf_ids, np.uint8).reshape(-1, LEAF_ID_NBYTES)
    source = np.full(len(wanted), OWN)
    start = np.zeros(len(wanted), np.int64)
    sources: list[str] = []
    for address in alike:
        missing = np.flatnonzero(source == OWN)
        if not len(missing):
            break
        offered = leaves_of(address)
        place = _find(wanted[missing], offered.ids)
        if not (place >= 0).any():
            continue
        found = missing[place >= 0]
        source[found], start[found] = len(sources), offered.starts[place[place >= 0]]
        sources.append(address)
    saved = int(record.leaf_sizes[source != OWN].sum(dtype=np.int64))
    if saved < max(LEAST_SAVED_NBYTES, _LEAST_SAVED_SHARE * record.nbytes):
        return None
    own = source == OWN
    start[own] = np.cumsum(record.leaf_sizes[own], dtype=np.int64) - record.leaf_sizes[own]
    extents = _runs(source, start, record.leaf_sizes.astype(np.int64))
    return Recipe(framing_nbytes, tuple(sources), extents) if len(extents) <= _MOST_EXTENTS else None


def _find(wanted: NDArray[np.uint8], offered: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return for each wanted id its row among the offered ones, or -1."""
    as_one = np.dtype((np.void, LEAF_ID_NBYTES))
    order = np.argsort(_keys(offered), kind="stable")
    at = np.searchsorted(_keys(offered)[order], _keys(wanted))
    row = order[np.minimum(at, len(order) - 1)] if len(order) else np.zeros(len(wanted), np.int64)
    if not len(order):
        return np.full(len(wanted), -1)
    equal = np.ascontiguousarray(wanted).view(as_one).ravel() == np.ascontiguousarray(offered[row]).view(as_one).ravel()
    return np.where(equal, row, -1)


def _keys(ids: NDArray[np.uint8]) -> NDArray[Any]:
    return np.ascontiguousarray(ids[:, :8]).view("<u8").ravel()


def _runs(source: NDArray[Any], start: NDArray[np.int64], size: NDArray[np.int64]) -> tuple[Extent, ...]:
    """Join leaves that follow one another in the same source."""
    joins = (source[1:] == source[:-1]) & (start[1:] == start[:-1] + size[:-1])
    first = np.flatnonzero(np.concatenate([[True], ~joins]))
    total = np.add.reduceat(size, first)
    return tuple(Extent(int(s), int(a), int(n)) for s, a, n in zip(source[first], start[first], total, strict=True))


def small_files(record: Record, recipe: Recipe | None) -> dict[str, bytes]:
    """Return what lies beside an object's content, name -> bytes; of a near-duplicate, its own leaves only."""
    files = dump(record)
    if recipe is None:
        return files
    if LEAVES in files:
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
                parts.append(data[low:high])
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
