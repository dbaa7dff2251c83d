"""Reading an object's content: verified leaf by leaf before it is handed out; what is mapped, only once."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from smalti.digest import LEAF_ID_NBYTES, leaf_id
from smalti.errors import Damaged, Refused
from smalti.store.backend import Content
from smalti.store.leaves import first_difference, leaf_ids
from smalti.store.record import Record


class Reader:
    """The content of one object, as verified views."""

    def __init__(
        self, record: Record, content: Content, *, verify: bool = True, reopen: Callable[[], Reader] | None = None
    ) -> None:
        """With ``verify`` off nothing is hashed: whoever asks for that takes what the disk gives.

        Args:
            reopen: returns this reader again in another process; it is what a reader is pickled as.
        """
        self.record = record
        self._reopen = reopen
        self._content = content
        self._leaf_ends = np.cumsum(record.leaf_sizes, dtype=np.int64)
        self._buffer_starts = np.cumsum([0] + [nbytes for _, nbytes in record.buffers]).tolist()
        self._verified = np.zeros(len(self._leaf_ends), bool)
        self._all_verified = False
        self._view: memoryview | None = None
        self._viewed = False
        self._verifies = verify

    def __reduce__(self) -> tuple[Callable[..., Reader], tuple[Callable[[], Reader]]]:
        """Return where to open the content again: of the content itself nothing is pickled."""
        if self._reopen is None:
            raise Refused(
                f"a reader of {self.record.address} that no store gave out cannot be pickled; use store.reader."
            )
        return _reopened, (self._reopen,)

    def read(self, buffer: int = 0, start: int = 0, stop: int | None = None) -> memoryview:
        """Return bytes ``start`` to ``stop`` of a buffer, verified.

        Raises:
            Damaged: a leaf in that range is not what was stored; the message names object, file and place.
        """
        base, end = self._buffer_starts[buffer], self._buffer_starts[buffer + 1]
        first, last = base + start, end if stop is None else base + stop
        if first >= last:
            return memoryview(b"")
        low, high = (int(np.searchsorted(self._leaf_ends, at, "right")) for at in (first, last - 1))
        begin = int(self._leaf_ends[low]) - int(self.record.leaf_sizes[low])
        leaves = self._content.read(begin, int(self._leaf_ends[high]))
        if self._verifies and not (self._content.stays and self._verified[low : high + 1].all()):
            self._verify(leaves, low, high + 1)
        return leaves[first - begin : last - begin]

    def read_into(self, start: int, out: memoryview) -> None:
        """Fill ``out`` with bytes of the first buffer from ``start`` on, verified; a file is not mapped for it.

        Raises:
            Damaged: a leaf in that range is not what was stored; ``out`` may hold it.
        """
        stop = start + len(out)
        if start >= stop:
            return
        low, high = (int(np.searchsorted(self._leaf_ends, at, "right")) for at in (start, stop - 1))
        known = not self._verifies or (self._content.stays and bool(self._verified[low : high + 1].all()))
        begin, end = int(self._leaf_ends[low]) - int(self.record.leaf_sizes[low]), int(self._leaf_ends[high])
        if (known or (begin, end) == (start, stop)) and self._content.fill(start, out):
            if not known:
                self._verify(out, low, high + 1)
        else:
            out[:] = self.read(0, start, stop)

    @property
    def all_known(self) -> bool:
        """Whether ``view`` has nothing left to verify."""
        return self._all_verified or not self._verifies

    def view(self, starts: NDArray[np.int64], nbytes: int) -> memoryview | None:
        """Return all of the content, of which only the ranges of ``nbytes`` bytes from each of ``starts`` are verified.

        None where the content is not in one place of memory: ``read`` the ranges then.

        Raises:
            Damaged: a leaf in one of the ranges is not what was stored; the message names object, file and place.
        """
        if not self._viewed:
            self._view, self._viewed = self._content.view() if self._content.stays else None, True
        if self._view is not None and self._verifies and nbytes and not self._all_verified:
            low = np.searchsorted(self._leaf_ends, starts, "right")
            high = np.searchsorted(self._leaf_ends, starts + (nbytes - 1), "right")
            inner = [np.arange(a + 1, b) for a, b in zip(low[high > low + 1], high[high > low + 1], strict=True)]
            touched = np.concatenate([low, high, *inner])
            missing = np.unique(touched[~self._verified[touched]])
            stops = self._leaf_ends[missing]
            leaves = zip((stops - self.record.leaf_sizes[missing]).tolist(), stops.tolist(), strict=True)
            found = b"".join(leaf_id(self._view[start:stop]) for start, stop in leaves)
            wanted = np.frombuffer(self.record.leaf_ids, f"V{LEAF_ID_NBYTES}")[missing].tobytes()
            wrong = first_difference(wanted, found)
            if wrong is not None:
                raise self._damaged(int(missing[wrong]))
            self._verified[missing] = True
            self._all_verified = not len(missing) and bool(self._verified.all())
        return self._view

    def whole(self) -> list[memoryview]:
        """Return every buffer, verified."""
        return [self.read(i) for i in range(len(self.record.buffers))]

    def sample(self, count: int) -> None:
        """Verify up to ``count`` leaves chosen at random.

        Raises:
            Damaged: one is not what was stored.
        """
        leaves = range(len(self._leaf_ends))
        for number in random.sample(leaves, min(count, len(leaves))):  # that takes less time than threads to start
            self.verify_leaf(number)

    def verify_leaf(self, number: int) -> None:
        """Verify one leaf.

        Raises:
            Damaged: it is not what was stored.
        """
        stop = int(self._leaf_ends[number])
        self._verify(self._content.read(stop - int(self.record.leaf_sizes[number]), stop), number, number + 1)

    def framing_is_sound(self) -> bool:
        """Tell whether the bytes of the file outside the buffers are those that were written."""
        return blake3(self._content.framing()).hexdigest() == self.record.framing

    def _verify(self, leaves: memoryview, low: int, high: int) -> None:
        sizes = self.record.leaf_sizes[low:high]
        wanted = self.record.leaf_ids[LEAF_ID_NBYTES * low : LEAF_ID_NBYTES * high]
        wrong = first_difference(wanted, leaf_ids(leaves, sizes))
        if wrong is not None:
            raise self._damaged(low + wrong)
        self._verified[low:high] = True

    def _damaged(self, number: int) -> Damaged:
        size = int(self.record.leaf_sizes[number])
        return Damaged(
            f"{self._content.where} of {self.record.address} is damaged in the {size} bytes from "
            f"{int(self._leaf_ends[number]) - size} of its content; put the same value again to repair it, or restore "
            "it from another store."
        )


def _reopened(reopen: Callable[[], Reader]) -> Reader:
    return reopen()
