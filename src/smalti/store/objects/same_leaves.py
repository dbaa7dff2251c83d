"""The leaves of content that is mostly what an object holds already: where the bytes are equal, nothing is hashed.

A leaf depends on its bytes and on where it begins, so a stored leaf whose bytes are found again at the same place, with
a leaf beginning there, is a leaf of the new content. Comparing with what the machine has in memory takes a fraction of
the time of hashing; what would have to be read from the disk for it is hashed.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.canonical import Json
from smalti.digest import LEAF_ID_NBYTES
from smalti.store.format.chunking import Data, ids_of_all, leaf_sizes
from smalti.store.format.record import Record
from smalti.store.read.content import Content, FileContent, StitchedContent
from smalti.store.segments import in_one
from smalti.store.threads import in_parallel
from smalti.store.values import MIN_LEAF_NBYTES

if TYPE_CHECKING:
    from smalti.store.values import Sizes

_BLOCK_NBYTES = 512 * 1024  # compared at a time: stays in the second-level cache
_JOB_NBYTES = 8 * 1024 * 1024  # worth a thread's while
_CUT_AGAIN_NBYTES = 1024 * 1024  # behind a change: as a rule the cuts fall into step within a few leaves

Copy = Callable[[int, memoryview], bool]


def has_such_rows(header: Mapping[str, Json], before: Record) -> bool:
    """Tell whether content is cut by the same rule as that of a stored object: one buffer, of rows alike."""
    return len(before.buffers) == 1 and _of_rows(header) == _of_rows(before.header)


def _of_rows(header: Mapping[str, Any]) -> tuple[Any, ...]:
    return header["kind"], header.get("dtype"), header.get("shape", [])[1:]


def cached_copy(content: Content) -> Copy | None:
    """Return what copies content that the machine has in memory; None where that cannot be told."""
    if not hasattr(os, "RWF_NOWAIT"):
        return None
    if isinstance(content, FileContent):
        return lambda start, out: _copy_cached(content, start, out)
    if not isinstance(content, StitchedContent):
        return None

    def copy(start: int, out: memoryview) -> bool:
        runs = content.runs(start, start + len(out))
        return all(_copy_cached(file, at, out[low - start : high - start]) for file, at, low, high in runs)

    return copy


def _copy_cached(content: FileContent, start: int, out: memoryview) -> bool:
    places = content.places(start, start + len(out))
    if content.file.path is None or len(places) != 1:
        return False
    ((offset, nbytes),) = places
    try:
        descriptor = os.open(content.file.path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        done = 0
        while done < nbytes and (more := os.preadv(descriptor, [out[done:]], offset + done, os.RWF_NOWAIT)):
            done += more
        return done == nbytes
    except OSError:  # it would have to wait, or the file system cannot tell
        return False
    finally:
        os.close(descriptor)


def leaves_beside(data: Data, row_nbytes: int, before: Record, copy: Copy) -> tuple[bytes, Sizes]:
    """Return the ids, end to end, and the sizes of the leaves of ``data``, as :mod:`.leaves` cuts and hashes it.

    Args:
        data: whole rows.
        before: an object whose content is cut by the same rule, see ``has_such_rows``.
        copy: fills a buffer with its stored bytes from a place on, which have to be those that were verified; returns
            False where the machine does not have them in memory.
    """
    table = before.table.all
    sizes = table.sizes
    bounds = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    bounds = bounds[: np.searchsorted(bounds, data.nbytes, "right")]
    same = _equal_leaves(data, bounds, copy)
    if len(same) == len(sizes) and before.nbytes < data.nbytes and row_nbytes < MIN_LEAF_NBYTES:
        same[-1:] = False  # it ended where the rows did; now there are more
    runs = _runs(data, row_nbytes, bounds, same)
    fresh = [(data[run.start : run.stop], run.sizes) for run in runs if run.sizes is not None]
    hashed = b"".join(ids for ids, _ in ids_of_all(fresh))
    ids, all_sizes, at = [], [], 0
    for run in runs:
        if run.sizes is None:
            first, last = np.searchsorted(bounds, (run.start, run.stop))
            ids.append(table.ids[first:last].tobytes())
            all_sizes.append(sizes[first:last])
        else:
            ids.append(hashed[at : at + LEAF_ID_NBYTES * len(run.sizes)])
            all_sizes.append(run.sizes)
            at += len(ids[-1])
    return b"".join(ids), np.concatenate([np.zeros(0, np.int64), *all_sizes])


@dataclass(frozen=True, slots=True)
class _Run:
    """Content from the beginning of a leaf to the end of one.

    Attributes:
        sizes: of the leaves that it is cut into; None where they are those of before.
    """

    start: int
    stop: int
    sizes: Sizes | None = None


def _equal_leaves(data: Data, bounds: NDArray[np.int64], copy: Copy) -> NDArray[np.bool_]:
    """Return for each leaf of before, ``bounds`` being where they begin and the last one ends, whether it is there."""

    def compare(job: tuple[int, int]) -> NDArray[np.bool_]:
        same = np.zeros(job[1] - job[0], bool)
        room = np.empty(_BLOCK_NBYTES, np.uint8)
        for low, high in _parts(bounds, *job, _BLOCK_NBYTES):
            start, stop = int(bounds[low]), int(bounds[high])
            stored = room[: stop - start]
            if not copy(start, stored.data):
                continue
            found = np.frombuffer(in_one(data[start:stop]), np.uint8)
            if _are_equal(stored, found):
                same[low - job[0] : high - job[0]] = True
            else:
                same[low - job[0] : high - job[0]] = ~np.logical_or.reduceat(stored != found, bounds[low:high] - start)
        return same

    jobs = _parts(bounds, 0, len(bounds) - 1, _JOB_NBYTES)
    return np.concatenate([np.zeros(0, bool), *in_parallel(compare, jobs)])


def _are_equal(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Compare as many bytes without the lock of the interpreter, so that threads do it side by side."""
    return not _memcmp()(one.ctypes.data, other.ctypes.data, len(one))


@cache
def _memcmp() -> Any:
    compare = ctypes.CDLL(None).memcmp
    compare.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    return compare


def _parts(bounds: NDArray[np.int64], low: int, stop: int, nbytes: int) -> Iterator[tuple[int, int]]:
    """Yield leaves ``low`` to ``stop`` some at a time, as many as take so many bytes, one at least."""
    while low < stop:
        high = min(stop, max(low + 1, int(np.searchsorted(bounds, bounds[low] + nbytes, "right")) - 1))
        yield low, high
        low = high


def _runs(data: Data, row_nbytes: int, bounds: NDArray[np.int64], same: NDArray[np.bool_]) -> list[_Run]:
    """Return the whole content as runs of leaves of before and of new ones."""
    changes = [*(np.flatnonzero(np.diff(same)) + 1).tolist(), len(same)]
    runs: list[_Run] = []
    leaf = at = 0
    while leaf < len(same):
        after = changes[int(np.searchsorted(changes, leaf, "right"))]
        start = int(bounds[leaf])
        if same[leaf]:
            runs.append(_Run(start, int(bounds[after])))
            leaf = after
        else:
            sizes, leaf = _cut_again(data, row_nbytes, bounds, start, after)
            runs.append(_Run(start, start + int(sizes.sum(dtype=np.int64)), sizes))
        at = runs[-1].stop
    if at < data.nbytes:
        runs.append(_Run(at, data.nbytes, leaf_sizes(data[at:], row_nbytes)))
    return runs


def _cut_again(data: Data, row_nbytes: int, bounds: NDArray[np.int64], start: int, after: int) -> tuple[Sizes, int]:
    """Return the sizes of the new leaves from ``start`` on, and the leaf of before that begins where they end.

    Args:
        after: the first leaf of before that may follow them.
    """
    reach = 0 if row_nbytes >= MIN_LEAF_NBYTES else max(1, _CUT_AGAIN_NBYTES // row_nbytes) * row_nbytes
    while True:
        stop = min(data.nbytes, int(bounds[after]) + reach)
        if after == len(bounds) - 1:
            stop = data.nbytes
        sizes = leaf_sizes(data[start:stop], row_nbytes)
        cuts = start + np.cumsum(sizes, dtype=np.int64)
        known = cuts if reach == 0 or stop == data.nbytes else cuts[:-1]  # more rows may make the last one longer
        in_step = np.flatnonzero(np.isin(known, bounds[after:]))
        if len(in_step):
            return sizes[: in_step[0] + 1], int(np.searchsorted(bounds, known[in_step[0]]))
        if stop == data.nbytes:
            return sizes, len(bounds) - 1
        reach *= 2
