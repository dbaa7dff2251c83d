"""The leaf table of an object: a tree of ids, of which a slice needs one path.

Level 0 has an entry for each leaf: its 32-byte BLAKE3 id and its size, eight bytes, little endian. Each next level has
an entry for every 64 entries of the one below: the BLAKE3 digest of those 64 entries and the sum of their sizes. The
first level with at most 64 entries is the top, which lies in the record and is part of the address. The levels below
lie in ``leaves.bin``, the highest first. So of 1 TiB the leaves of a slice are found, and proven, in a few kilobytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol

from blake3 import blake3

from smalti.digest import LEAF_ID_NBYTES
from smalti.errors import Damaged
from smalti.store.values import MAX_LEAF_NBYTES

if TYPE_CHECKING:  # numpy takes long to import: small objects are stored and found without
    import numpy as np
    from numpy.typing import NDArray

FANOUT = 64
ENTRY_NBYTES = LEAF_ID_NBYTES + 8
_MOST_FETCHES = 3  # of what fails its check, until it is called damaged
_ENTRY = struct.Struct(f"<{LEAF_ID_NBYTES}sQ")


@dataclass(frozen=True, slots=True)
class Leaves:
    """Some leaves of an object, in order.

    Attributes:
        ids: (L, 32) uint8.
        starts: (L,) int64, where each begins in the object's content.
        sizes: (L,) int64, in bytes.
    """

    ids: NDArray[np.uint8]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sizes)

    def within(self, start: int, stop: int) -> Leaves:
        """Return those that begin from ``start`` on and before ``stop``."""
        import numpy as np

        low, high = np.searchsorted(self.starts, (start, stop))
        return Leaves(self.ids[low:high], self.starts[low:high], self.sizes[low:high])

    def entries(self) -> bytes:
        """Return them as a table keeps them."""
        import numpy as np

        table = np.empty((len(self), ENTRY_NBYTES), np.uint8)
        table[:, :LEAF_ID_NBYTES] = self.ids
        table[:, LEAF_ID_NBYTES:] = self.sizes.astype("<u8").view(np.uint8).reshape(-1, 8)
        return table.tobytes()


class Levels(Protocol):
    """The levels of a table below its top, wherever they lie."""

    def entries(self, level: int, low: int, high: int, start: int, stop: int) -> bytes:
        """Return entries ``low`` to ``high`` of a level, which cover the content from ``start`` to ``stop``.

        Raises:
            Damaged: they are not there.
        """

    def forget(self) -> None:
        """Fetch anew whatever is asked for from now on."""


def leaves_of(entries: bytes | memoryview, start: int = 0) -> Leaves:
    """Return the leaves that entries describe, the first of which begins at ``start``."""
    import numpy as np

    table = np.frombuffer(entries, np.uint8).reshape(-1, ENTRY_NBYTES)
    sizes = np.ascontiguousarray(table[:, LEAF_ID_NBYTES:]).view("<u8").ravel().astype(np.int64)
    return Leaves(table[:, :LEAF_ID_NBYTES], start + np.cumsum(sizes) - sizes, sizes)


def joined(parts: Iterable[Leaves]) -> Leaves:
    """Return leaves that follow one another from the beginning of the content."""
    return leaves_of(b"".join(part.entries() for part in parts))


def counts(leaves: int) -> list[int]:
    """Return how many entries each level has, that of the leaves first, for so many leaves."""
    found = [leaves]
    while found[-1] > FANOUT:
        found.append(-(-found[-1] // FANOUT))
    return found


def most_nbytes(leaves: int) -> int:
    """Return the size beyond which an entry of the top is forged, for so many leaves."""
    return int(MAX_LEAF_NBYTES * FANOUT ** (len(counts(leaves)) - 1))


def build(entries: bytes) -> list[bytes]:
    """Return the levels of a table, that of the leaves first, given its entries."""
    levels = [entries]
    node_nbytes = FANOUT * ENTRY_NBYTES
    while len(levels[-1]) > node_nbytes:
        below = memoryview(levels[-1])
        nodes = [below[at : at + node_nbytes] for at in range(0, len(below), node_nbytes)]
        levels.append(b"".join(map(node_entry, nodes)))
    return levels


def node_entry(node: bytes | memoryview) -> bytes:
    """Return the entry that the next level has for up to 64 entries."""
    return _ENTRY.pack(blake3(node).digest(), sum(size for _, size in _ENTRY.iter_unpack(node)))


class LeafTable:
    """The leaves of one object, read from its table as far as they are asked for, each entry proven by the top.

    Attributes:
        top: the entries of the top level.
        count: number of leaves.
        what: the file and object that the levels below are of, for messages.
    """

    def __init__(self, top: bytes, count: int, levels: Levels | None = None, what: str = "the leaf table") -> None:
        self.what = what
        self.top = top
        self.count = count
        self._levels = levels

    @classmethod
    def of(cls, entries: bytes) -> LeafTable:
        """Return the table of leaves that are all in memory."""
        levels = build(entries)
        table = cls(levels[-1], len(entries) // ENTRY_NBYTES, BuiltLevels(levels))
        table.__dict__["entries"] = entries
        return table

    @cached_property
    def nbytes(self) -> int:
        """Size of the content that the leaves cover."""
        return sum(size for _, size in _ENTRY.iter_unpack(self.top))

    @cached_property
    def entries(self) -> bytes:
        """The entries of all leaves.

        Raises:
            Damaged: a part of the table is not what was written.
        """
        return self.top if self.is_in_record else self.leaves(0, self.nbytes).entries()

    @property
    def is_in_record(self) -> bool:
        """Whether there are so few leaves that the top is the table."""
        return self.count <= FANOUT

    @cached_property
    def all(self) -> Leaves:
        """All leaves."""
        return leaves_of(self.entries)

    @cached_property
    def ids(self) -> bytes:
        """The ids of all leaves, end to end."""
        if self.is_in_record:
            return b"".join(leaf_id for leaf_id, _ in _ENTRY.iter_unpack(self.top))
        return self.all.ids.tobytes()

    def leaves(self, start: int, stop: int) -> Leaves:
        """Return the leaves that hold content from ``start`` to ``stop``, which is not empty.

        Raises:
            Damaged: a part of the table is not what was written.
        """
        import numpy as np

        found = self.all if "entries" in self.__dict__ else self._descend(start, stop)
        low = int(np.searchsorted(found.starts, start, "right")) - 1
        high = int(np.searchsorted(found.starts, stop, "left"))
        return Leaves(found.ids[low:high], found.starts[low:high], found.sizes[low:high])

    def _descend(self, start: int, stop: int) -> Leaves:
        import numpy as np

        per_level = counts(self.count)
        first, found = 0, leaves_of(self.top)
        for level in range(len(per_level) - 2, -1, -1):
            low = int(np.searchsorted(found.starts, start, "right")) - 1
            high = int(np.searchsorted(found.starts, stop, "left"))
            nodes = Leaves(found.ids[low:high], found.starts[low:high], found.sizes[low:high])
            first = (first + low) * FANOUT
            last = min(first + (high - low) * FANOUT, per_level[level])
            begin, end = int(nodes.starts[0]), int(nodes.starts[-1] + nodes.sizes[-1])
            below = self._proven(nodes, level, first, last, begin, end)
            found = leaves_of(below, begin)
        return found

    def _proven(self, nodes: Leaves, level: int, low: int, high: int, start: int, stop: int) -> bytes:
        """Return entries below some nodes; what is not right is fetched again before it is called damaged."""
        assert self._levels
        for _ in range(_MOST_FETCHES - 1):
            with suppress(Damaged):
                below = self._levels.entries(level, low, high, start, stop)
                _prove(nodes, below, high - low, self.what, MAX_LEAF_NBYTES * FANOUT**level)
                return below
            self._levels.forget()
        below = self._levels.entries(level, low, high, start, stop)
        _prove(nodes, below, high - low, self.what, MAX_LEAF_NBYTES * FANOUT**level)
        return below


def _prove(nodes: Leaves, below: bytes, count: int, what: str, most: int) -> None:
    node_nbytes = FANOUT * ENTRY_NBYTES
    view = memoryview(below)
    ids = (blake3(view[at : at + node_nbytes]).digest() for at in range(0, len(below), node_nbytes))
    if len(below) != count * ENTRY_NBYTES or b"".join(ids) != nodes.ids.tobytes():
        raise Damaged(f"{what} is not what was written; put the same value again to repair it, or restore it.")
    views = (view[at : at + node_nbytes] for at in range(0, len(below), node_nbytes))
    sizes = [[size for _, size in _ENTRY.iter_unpack(node)] for node in views]
    if list(map(sum, sizes)) != nodes.sizes.tolist() or not all(0 < size <= most for node in sizes for size in node):
        raise Damaged(f"{what} says sizes that do not add up; restore it from another store.")


class BuiltLevels:
    """The levels of a table that are all in memory."""

    def __init__(self, levels: Sequence[bytes]) -> None:
        self._levels = levels

    def entries(self, level: int, low: int, high: int, start: int, stop: int) -> bytes:
        return self._levels[level][low * ENTRY_NBYTES : high * ENTRY_NBYTES]

    def forget(self) -> None:
        """Do nothing: they stay as they are."""


def dump(levels: Sequence[bytes]) -> bytes:
    """Return the content of ``leaves.bin``: the levels below the top, the highest first."""
    return b"".join(reversed(levels[:-1]))


def offsets(count: int, leaves_kept: int) -> list[int]:
    """Return where in ``leaves.bin`` each level below the top begins, that of the leaves first, and its size last.

    Args:
        leaves_kept: entries that level 0 has there; a near-duplicate keeps those of its own leaves only.
    """
    sizes = [leaves_kept, *counts(count)[1:-1]]
    ends = list(accumulate(ENTRY_NBYTES * size for size in reversed(sizes)))
    return [*reversed([0, *ends[:-1]]), ends[-1]]


def entry(leaf_id: bytes, nbytes: int) -> bytes:
    """Return one entry."""
    return _ENTRY.pack(leaf_id, nbytes)


def entries_of(ids: bytes, sizes: Any) -> bytes:
    """Return the entries of leaves, given their ids end to end and an array of their sizes."""
    import numpy as np

    of = np.asarray(sizes, np.int64)
    return Leaves(np.frombuffer(ids, np.uint8).reshape(-1, LEAF_ID_NBYTES), np.cumsum(of) - of, of).entries()


def parsed(top: bytes) -> list[tuple[bytes, int]]:
    """Return id and size of each entry."""
    return list(_ENTRY.iter_unpack(top))
