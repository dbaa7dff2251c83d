"""Reading an object's content: what is handed out was verified leaf by leaf, from bytes read into this process."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from smalti.errors import Damaged, Refused
from smalti.store.backends.base import Gone
from smalti.store.format.chunking import MAX_NBYTES, first_difference, ids_of
from smalti.store.format.leaf_table import Leaves
from smalti.store.format.record import Record
from smalti.store.read.content import Content, room
from smalti.store.threads import in_parallel

_MOST_FETCHES = 3  # of what fails its check, until it is called damaged
_BLOCK_NBYTES = 4 * 1024 * 1024  # verified at a time
_STEP_NBYTES = 1024 * 1024  # read at a time: it stays in a cache until it is hashed
_LARGE_NBYTES = 8 * 1024 * 1024  # from here on several threads verify


class Reader:
    """The content of one object, verified.

    Parts of a buffer are copies of this process's own, verified each time. A whole buffer is a view of the mapped file
    where there is one: its bytes were read and verified when it was asked for, and are the file's from then on; whoever
    wants them to be his own says ``copy``.
    """

    def __init__(
        self, record: Record, content: Content, *, verify: bool = True, reopen: Callable[[], Reader] | None = None
    ) -> None:
        """With ``verify`` off nothing is hashed: whoever asks for that takes what the disk gives.

        Args:
            reopen: returns this reader again in another process; it is what a reader is pickled as.
        """
        self._reopen = reopen
        self.record = record
        self._content = content
        self._buffer_starts = np.cumsum([0] + [nbytes for _, nbytes in record.buffers]).tolist()
        self._verified: NDArray[np.bool_] | None = None  # of each leaf, for views
        self._all_verified = False
        self._view: memoryview | None = None
        self._held: list[memoryview] | None = None
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
        if first == 0 and last == self._buffer_starts[-1] and last - first >= _LARGE_NBYTES:
            return self.whole()[buffer]
        leaves = self.record.table.leaves(first, last)
        begin = int(leaves.starts[0])
        data = self._read(leaves)[first - begin : last - begin].toreadonly()
        if (first, last) == (0, self._buffer_starts[-1]):
            self._check_bytes(data)
        return data

    def read_into(self, start: int, out: memoryview) -> None:
        """Fill ``out`` with bytes of the first buffer from ``start`` on, verified.

        Raises:
            Damaged: a leaf in that range is not what was stored; ``out`` may hold it.
        """
        if not len(out):
            return
        stop = start + len(out)
        if not self._verifies:
            self._content.read_into(start, out)
            return
        leaves = self.record.table.leaves(start, stop)
        if _span(leaves) == (start, stop):
            self._read(leaves, out)
        else:
            out[:] = self.read(0, start, stop)

    def hold(self) -> Reader:
        """Map the file, so that it can be read when it is moved or removed meanwhile; no descriptor stays open."""
        if not self.record.is_inline:
            self._held = self._content.map()
        return self

    def read_content(self, start: int, out: memoryview) -> None:
        """Fill ``out`` with content from ``start`` on, counted over all buffers; whole leaves, verified.

        Raises:
            Damaged: a leaf in that range is not what was stored.
        """
        if len(out):
            self._read(self.record.table.leaves(start, start + len(out)), out)

    def framing(self) -> bytes:
        """Return the file's bytes outside the buffers, verified.

        Raises:
            Damaged: they are not what was stored.
        """
        for _ in range(_MOST_FETCHES):
            framing = self._content.framing()
            if blake3(framing).hexdigest() == self.record.framing:
                return framing
            self._content.forget()
        raise Damaged(f"{self._content.location} of {self.record.address} is damaged in its file format's header.")

    @property
    def all_known(self) -> bool:
        """Whether ``view`` has nothing left to verify."""
        return self._all_verified or not self._verifies

    def view(self, starts: NDArray[np.int64], nbytes: int) -> memoryview | None:
        """Return all of the content, of which only the ranges of ``nbytes`` bytes from each of ``starts`` are verified.

        Each leaf is verified when it is first asked for. None where the content is not in one place of memory: ``read``
        the ranges then.

        Raises:
            Damaged: a leaf in one of the ranges is not what was stored; the message names object, file and place.
        """
        if not self._viewed:
            views = self._content.map()
            self._view, self._viewed = views[0] if views and len(views) == 1 else None, True
        if self._view is not None and self._verifies and nbytes and not self._all_verified:
            table = self.record.table.all
            if self._verified is None:
                self._verified = np.zeros(len(table), bool)
            ends = table.starts + table.sizes
            low = np.searchsorted(ends, starts, "right")
            high = np.searchsorted(ends, starts + (nbytes - 1), "right")
            inner = [np.arange(a + 1, b) for a, b in zip(low[high > low + 1], high[high > low + 1], strict=True)]
            touched = np.concatenate([low, high, *inner])
            missing = np.unique(touched[~self._verified[touched]])
            for number in missing.tolist():
                self.verify_leaf(number)
            self._verified[missing] = True
            self._all_verified = not len(missing) and bool(self._verified.all())
        return self._view

    def whole(self, *, copy: bool = False) -> list[memoryview]:
        """Return every buffer, verified.

        Args:
            copy: give memory of this process's own, which nothing that happens to the file can change.
        """
        nbytes = self._buffer_starts[-1]
        if not nbytes:
            if self._verifies and self.record.kind == "bytes":
                self._check_sha256(hashlib.sha256(b"").hexdigest())
            return [memoryview(b"")] * len(self.record.buffers)
        if self.record.is_inline:
            views = self._content.map() or []
            self._read(self.record.table.all)
            self._check_bytes(views[0])
            return self._cut(memoryview(bytes(views[0])) if copy else views[0])
        mapped = None if copy else self._content.map()
        if mapped is None:
            data = room(nbytes)
            self._fill(data)
            return self._cut(data.toreadonly())
        if self._verifies:
            self.verify_all()
        return mapped if len(mapped) == len(self.record.buffers) else self._cut(mapped[0])

    def _cut(self, data: memoryview) -> list[memoryview]:
        return [data[a:b] for a, b in zip(self._buffer_starts, self._buffer_starts[1:], strict=False)]

    def _fill(self, data: memoryview) -> None:
        """Read all of the content into memory, verified."""
        blocks = list(self._blocks())  # the table first: where that is damaged, nothing else is fetched
        is_far = self._content.reads_at_once > 1
        if is_far:  # its parts are fetched side by side
            self._content.read_into(0, data)
        self._for_all(lambda leaves: self._read(leaves, data[slice(*_span(leaves))], is_fetched=is_far), blocks)
        self._check_bytes(data)

    def verify_all(self) -> None:
        """Read all of the content, without keeping it, and verify it.

        Raises:
            Damaged: a leaf is not what was stored, or the bytes are not those of their SHA-256.
        """
        if self.record.kind == "bytes":
            digest = hashlib.sha256()
            for data in in_parallel(self._read, self._blocks()):
                digest.update(data)
            self._check_sha256(digest.hexdigest())
            return
        scratch = threading.local()
        step_nbytes = _BLOCK_NBYTES if self._content.reads_at_once > 1 else _STEP_NBYTES

        def check(leaves: Leaves) -> None:
            if not hasattr(scratch, "room"):
                scratch.room = room(step_nbytes + MAX_NBYTES)
            for some in _in_steps(leaves, step_nbytes):
                start, stop = _span(some)
                self._read(some, scratch.room[: stop - start])

        self._for_all(check, self._blocks())

    def _check_bytes(self, data: memoryview) -> None:
        """Verify opaque bytes, whose address is that of their SHA-256, by it as well."""
        if self._verifies and self.record.kind == "bytes":
            self._check_sha256(hashlib.sha256(data).hexdigest())

    def _check_sha256(self, found: str) -> None:
        if found != self.record.header.get("sha256"):
            raise Damaged(
                f"the content of {self.record.address} has the SHA-256 {found}, not "
                f"{self.record.header.get('sha256')}; its leaves are forged, restore it from another store."
            )

    def _for_all(self, act: Callable[[Leaves], object], blocks: Iterable[Leaves]) -> None:
        if self._buffer_starts[-1] < _LARGE_NBYTES:
            for leaves in blocks:
                act(leaves)
        else:
            for _ in in_parallel(act, blocks):
                pass

    def _blocks(self) -> Iterator[Leaves]:
        return _in_steps(self.record.table.all, _BLOCK_NBYTES)

    def sample(self, count: int) -> None:
        """Verify up to ``count`` leaves chosen at random.

        Raises:
            Damaged: one is not what was stored.
        """
        leaves = range(self.record.table.count)
        for number in random.sample(leaves, min(count, len(leaves))):  # that takes less time than threads to start
            self.verify_leaf(number)

    def verify_leaf(self, number: int) -> None:
        """Verify one leaf.

        Raises:
            Damaged: it is not what was stored.
        """
        table = self.record.table.all
        one = slice(number, number + 1)
        self._read(Leaves(table.ids[one], table.starts[one], table.sizes[one]))

    def _read(self, leaves: Leaves, into: memoryview | None = None, *, is_fetched: bool = False) -> memoryview:
        """Read leaves and verify them; what is not right is fetched again before it is called damaged."""
        start, stop = _span(leaves)
        data = room(stop - start) if into is None else into
        if not is_fetched:
            self._fetch(start, data)
        fetches = 1
        while self._verifies and (wrong := self._first_wrong(data, leaves)) is not None:
            if fetches == _MOST_FETCHES:
                raise Damaged(
                    f"{self._content.location} of {self.record.address} is damaged in the {leaves.sizes[wrong]} bytes "
                    f"from {leaves.starts[wrong]} of its content; put the same value again to repair it, or restore it "
                    "from another store."
                )
            self._content.forget()
            self._fetch(start, data)
            fetches += 1
        return data

    def _fetch(self, start: int, out: memoryview) -> None:
        try:
            self._content.read_into(start, out)
        except Gone:
            if self._held is None:
                raise
            base, stop = 0, start + len(out)
            for view in self._held:
                low, high = max(start, base), min(stop, base + len(view))
                if low < high:
                    out[low - start : high - start] = view[low - base : high - base]
                base += len(view)

    @staticmethod
    def _first_wrong(data: memoryview, leaves: Leaves) -> int | None:
        return first_difference(leaves.ids.tobytes(), ids_of(data, leaves.sizes))


def _reopened(reopen: Callable[[], Reader]) -> Reader:
    return reopen()


def _in_steps(leaves: Leaves, nbytes: int) -> Iterator[Leaves]:
    """Yield leaves some at a time: as many as take so many bytes, one at least."""
    ends = leaves.starts + leaves.sizes
    low = 0
    while low < len(leaves):
        high = max(low + 1, int(np.searchsorted(ends, leaves.starts[low] + nbytes, "right")))
        yield Leaves(leaves.ids[low:high], leaves.starts[low:high], leaves.sizes[low:high])
        low = high


def _span(leaves: Leaves) -> tuple[int, int]:
    return int(leaves.starts[0]), int(leaves.starts[-1] + leaves.sizes[-1])
