"""Arrays of one length, in memory, mapped from a file, or in a store; rows are taken into buffers used again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs import LazyArray
from smalti.errors import Refused
from smalti.loaders.buffers import Buffers
from smalti.loaders.cache import AdaptiveCache
from smalti.loaders.collate import Columns
from smalti.loaders.sources.source import regular_cuts

_BLOCK_NBYTES = 1024 * 1024  # of a remote array, kept in the cache as one


class ArraySource:
    """Columns that are arrays (N, ...), numpy's or lazy ones of a store, whose leaves are verified when first read.

    With a cache, what is fetched from far away (an S3 store) is kept in blocks of about 1 MiB.
    """

    bound_to_thread = False

    def __init__(self, columns: Mapping[str, NDArray[Any] | LazyArray], cache: AdaptiveCache | None = None) -> None:
        """
        Raises:
            Refused: there is no array, or they differ in length.
        """
        lengths = {name: len(column) for name, column in columns.items() if column.shape}
        if not columns or len(lengths) < len(columns) or len(set(lengths.values())) > 1:
            shapes = {name: column.shape for name, column in columns.items()}
            raise Refused(f"the arrays of a dataset have one first axis in common, these have {shapes}; choose some.")
        self._columns = {name: c if isinstance(c, LazyArray) else np.asarray(c) for name, c in columns.items()}
        self._count = next(iter(lengths.values()))
        self._cache = cache

    @property
    def what(self) -> str:
        return f"{self._count} rows of {', '.join(self._columns)}"

    @property
    def digests(self) -> Mapping[str, str]:
        return {name: column.digest for name, column in self._columns.items() if isinstance(column, LazyArray)}

    @property
    def row_nbytes(self) -> int | None:
        columns = self._columns.values()
        if any(isinstance(column, LazyArray) and not column.mapped for column in columns):
            return None  # the first batch need not wait until the rows of others are fetched
        return sum(column.nbytes for column in columns) // max(1, self._count)

    def __len__(self) -> int:
        return self._count

    def read(self, rows: NDArray[np.int64], buffers: Buffers) -> Columns:
        return {
            name: self._take(number, column, rows, buffers.empty((len(rows), *column.shape[1:]), column.dtype))
            for number, (name, column) in enumerate(self._columns.items())
        }

    def read_range(self, start: int, stop: int, buffers: Buffers) -> Columns:
        block: Columns = {}
        for name, column in self._columns.items():
            out = buffers.empty((stop - start, *column.shape[1:]), column.dtype)
            if isinstance(column, LazyArray):
                column.read_into(start, out)
            else:
                np.copyto(out, column[start:stop])
            block[name] = out
        return block

    def cuts(self, samples: int) -> Sequence[int]:
        return regular_cuts(self._count, samples)

    def _take(
        self, number: int, column: NDArray[Any] | LazyArray, rows: NDArray[np.int64], out: NDArray[Any]
    ) -> NDArray[Any]:
        if isinstance(column, LazyArray):
            if column.verified is None:
                if self._cache is not None and not column.mapped:
                    return self._take_by_blocks(number, column, rows, out)
                return column.take(rows, out)
            column = column.verified
        if column.flags.c_contiguous:
            return np.take(column, rows, 0, out, "clip")
        out[...] = column[rows]
        return out

    def _take_by_blocks(
        self, number: int, column: LazyArray, rows: NDArray[np.int64], out: NDArray[Any]
    ) -> NDArray[Any]:
        assert self._cache is not None
        block_rows = max(1, _BLOCK_NBYTES * len(column) // max(1, column.nbytes))
        blocks = rows // block_rows
        for block in np.unique(blocks).tolist():
            start = block * block_rows

            def load(start: int = start) -> NDArray[Any]:
                return np.array(column[start : start + block_rows])

            held = self._cache.get((number, block), load, lambda array: int(array.nbytes))
            places = np.flatnonzero(blocks == block)
            out[places] = held[rows[places] - start]
        return out
