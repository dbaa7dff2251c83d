"""Where content is cut into leaves, and the leaves' ids.

Rows of 16 KiB and more are one leaf each. Shorter rows are gathered until the content says stop: a row ends a leaf when
the last rows, hashed, fall into the topmost part of the number range. What decides is content, not position, so a row
inserted in the middle moves the cuts near it and no others. A leaf ends at the first such row at or after 16 KiB, at
the latest where another row would exceed 256 KiB. Rows of zeros never end a leaf. For all but opaque bytes the rule is
part of every address: it may never change.

Rows of up to 3 bytes, opaque bytes among them: with v the little-endian 64-bit number in the last 8 bytes of a row
and those before it,

    the row may end a leaf  <=>  0x9E3779B97F4A7C15 * v mod 2**64 >= 2**64 - floor(2**64 * row / 48 KiB)

Longer rows: with ``x[i, j]`` the words of row i, as many little-endian words of 4 bytes as fit, then single bytes,

    r[i] = sum_j w[j] * x[i, j]                     w[j] = fmix32(j + 1) | 1, or 1 where a row is one word
    h[i] = 0x9E3779B1 * sum_k<W 2**k * r[i - k]     W = largest power of two with W * row <= 32 bytes, at least 1
    row i may end a leaf  <=>  h[i] >= 2**32 - floor(2**32 * row / 48 KiB)

modulo 2**32. Sources: gear hashing (Xia et al., FastCDC, USENIX ATC 2016); multiplicative hashing (Knuth, TAOCP 3,
6.4); fmix32 is the finaliser of MurmurHash3.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smalti.digest import LEAF_ID_NBYTES, leaf_id
from smalti.store.segments import Segments, in_one
from smalti.store.threads import in_parallel
from smalti.store.values import MAX_LEAF_NBYTES
from smalti.store.values import MIN_LEAF_NBYTES as MIN_NBYTES

if TYPE_CHECKING:
    from smalti.store.values import Sizes

Data = memoryview | Segments

MAX_NBYTES = MAX_LEAF_NBYTES
_EXPECTED_GAP_NBYTES = 48 * 1024
_WINDOW_NBYTES = 32
_GOLDEN = np.uint32(0x9E3779B1)
_GOLDEN_64 = np.uint64(0x9E3779B97F4A7C15)
_SHORT_NBYTES = 3
_WINDOWS_NBYTES = 256 * 1024
_BLOCK_ROWS = 32 * 1024  # keeps the sums of one block in the second-level cache
_BLOCK_NBYTES = 4 * 1024 * 1024  # and few rows that lie in several places are gathered at a time
_PARALLEL_NBYTES = 4 * 1024 * 1024  # below this a thread costs more than it hashes
_JOB_NBYTES = 4 * 1024 * 1024


def leaf_sizes(data: Data, row_nbytes: int) -> Sizes:
    """Return the sizes in bytes, int64 (L,), of the leaves of ``data``: whole rows.

    Raises:
        ValueError: the rows are longer than a leaf may be, or the data is not whole rows.
    """
    if not 0 < row_nbytes <= MAX_NBYTES or data.nbytes % row_nbytes:
        raise ValueError(f"{data.nbytes} bytes are not whole rows of {row_nbytes}, each at most {MAX_NBYTES}")
    if row_nbytes >= MIN_NBYTES:
        return np.full(data.nbytes // row_nbytes, row_nbytes, np.int64)
    if data.nbytes <= MIN_NBYTES:
        return np.array([data.nbytes] if data.nbytes else [], np.int64)
    ends = candidate_ends(data, row_nbytes)
    longest = MAX_NBYTES // row_nbytes * row_nbytes
    sizes = []
    start = 0
    while start < data.nbytes:
        found = bisect_left(ends, start + MIN_NBYTES)
        end = min(ends[found] if found < len(ends) else data.nbytes, start + longest, data.nbytes)
        sizes.append(end - start)
        start = end
    return np.array(sizes, np.int64)


def candidate_ends(data: Data, row_nbytes: int) -> list[int]:
    """Return the byte offsets, ascending, at which the content allows a leaf to end."""
    if row_nbytes <= _SHORT_NBYTES:
        return _short_candidate_ends(data, row_nbytes)
    words, singles = divmod(row_nbytes, 4)
    weights = _weights(words + singles)
    window = 1 << max(0, (_WINDOW_NBYTES // row_nbytes).bit_length() - 1)
    lowest = np.uint32(2**32 - (2**32 * row_nbytes) // _EXPECTED_GAP_NBYTES)
    ends: list[int] = []
    step = min(_BLOCK_ROWS, max(1, _BLOCK_NBYTES // row_nbytes))
    for start in range(0, data.nbytes // row_nbytes, step):
        first = max(0, start - window + 1)
        rows_of_block = in_one(data[first * row_nbytes : (start + step) * row_nbytes])
        rows = np.frombuffer(rows_of_block, np.uint8).reshape(-1, row_nbytes)
        as_words = np.ndarray((len(rows), words), "<u4", rows_of_block, strides=(row_nbytes, 4))
        sums = np.einsum("ij,j->i", as_words, weights[:words])
        if singles:
            sums += np.einsum("ij,j->i", rows[:, 4 * words :].astype(np.uint32), weights[words:])
        shift = 1
        while shift < window:  # doubles the window each time: h over 2s rows = h over s + (h, s rows ago) << s
            sums[shift:] += sums[:-shift] << np.uint32(shift)
            shift *= 2
        last_rows = np.flatnonzero((sums * _GOLDEN)[start - first :] >= lowest) + start
        ends.extend(((last_rows + 1) * row_nbytes).tolist())
    return ends


def _short_candidate_ends(data: Data, row_nbytes: int) -> list[int]:
    """Return the same for rows of 1 to 3 bytes: every eighth window at a time, in blocks that stay in the cache."""
    lowest = np.uint64(2**64 - (2**64 * row_nbytes) // _EXPECTED_GAP_NBYTES)
    products = np.empty(_WINDOWS_NBYTES // 8, np.uint64)
    found = []
    for start in range(0, data.nbytes, _WINDOWS_NBYTES):
        block = in_one(data[start : start + _WINDOWS_NBYTES + 7])
        for shift in range(0, min(8, max(0, len(block) - 7)), 2 if row_nbytes == 2 else 1):
            windows = np.frombuffer(block, "<u8", min((len(block) - shift) // 8, len(products)), shift)
            np.multiply(windows, _GOLDEN_64, out=products[: len(windows)])
            found.append(np.flatnonzero(products[: len(windows)] >= lowest) * 8 + (start + shift + 8))
    ends = np.sort(np.concatenate([np.zeros(0, np.int64), *found]))
    as_list: list[int] = ends[ends % row_nbytes == 0].tolist()
    return as_list


def _weights(count: int) -> NDArray[np.uint32]:
    if count == 1:
        return np.ones(1, np.uint32)
    x = np.arange(1, count + 1, dtype=np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= x >> np.uint32(shift)
        x *= np.uint32(factor)
    x ^= x >> np.uint32(16)
    return x | np.uint32(1)


def leaf_ids(data: Data, sizes: Sizes) -> bytes:
    """Return the 32-byte BLAKE3 ids of the leaves of ``data``, end to end; large data uses every core."""
    return b"".join(ids for ids, _ in ids_of_all([(data, sizes)]))


def ids_of_all(buffers: Sequence[tuple[Data, Sizes]]) -> Iterator[tuple[bytes, int]]:
    """Yield the ids of the leaves of several buffers in order, some at a time, and how many bytes they cover."""
    jobs = [job for data, sizes in buffers for job in _jobs(data, sizes)]
    return in_parallel(_hash, jobs) if sum(data.nbytes for data, _ in buffers) >= _PARALLEL_NBYTES else map(_hash, jobs)


def _jobs(data: Data, sizes: Sizes) -> Iterator[tuple[Data, list[int]]]:
    """Cut a buffer where its leaves end into pieces worth a thread's while; yield each with its leaves' ends."""
    ends = np.cumsum(sizes, dtype=np.int64)
    at = leaf = 0
    while leaf < len(ends):
        last = max(leaf + 1, int(np.searchsorted(ends, at + _JOB_NBYTES, "right")))
        stop = int(ends[last - 1])
        yield data[at:stop], (ends[leaf:last] - at).tolist()
        at, leaf = stop, last


def ids_of(data: memoryview, sizes: NDArray[np.int64]) -> bytes:
    """Return the ids of leaves that lie end to end, hashed in this thread."""
    ends = np.cumsum(sizes).tolist()
    return b"".join(leaf_id(data[a:b]) for a, b in zip([0, *ends], ends, strict=False))


def _hash(job: tuple[Data, list[int]]) -> tuple[bytes, int]:
    data, ends = in_one(job[0]), job[1]
    return b"".join(leaf_id(data[a:b]) for a, b in zip([0, *ends], ends, strict=False)), len(data)


class LeafStream:
    """Cuts and hashes content that comes a piece at a time, into the same leaves as if it had come at once."""

    def __init__(self, row_nbytes: int) -> None:
        self._row_nbytes = row_nbytes
        self._rest = memoryview(b"")  # from the beginning of the first leaf whose end is not known yet
        self._ids: list[bytes] = []
        self._sizes: list[Sizes] = []

    def add(self, rows: memoryview) -> None:
        """Take the next whole rows."""
        data = memoryview(b"".join((self._rest, rows)))
        sizes = leaf_sizes(data, self._row_nbytes)
        known = sizes[:-1] if self._row_nbytes < MIN_NBYTES else sizes  # more rows may make the last one longer
        stop = int(known.sum(dtype=np.int64))
        self._ids.append(leaf_ids(data[:stop], known))
        self._sizes.append(known)
        self._rest = data[stop:]

    def leaves(self) -> tuple[bytes, Sizes]:
        """Return the ids and sizes of all leaves, once everything was added."""
        last = leaf_sizes(self._rest, self._row_nbytes)
        return b"".join([*self._ids, leaf_ids(self._rest, last)]), np.concatenate([*self._sizes, last])


def first_difference(wanted: bytes, found: bytes) -> int | None:
    """Return the number of the first leaf whose id differs, or None when the ids are equal."""
    if wanted == found:
        return None
    pairs = zip(_split(wanted), _split(found), strict=True)
    return next(i for i, (a, b) in enumerate(pairs) if a != b)


def _split(ids: bytes) -> list[bytes]:
    return [ids[i : i + LEAF_ID_NBYTES] for i in range(0, len(ids), LEAF_ID_NBYTES)]
