"""Blocks of rows, columns or samples: cut, joined, put in another order, measured, and taken apart into samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from smalti.loaders.collate import Column, Columns, Ragged
from smalti.loaders.sources.samples import nbytes_of
from smalti.loaders.sources.source import Block, Sample


def count(block: Block) -> int:
    """Return the number of rows."""
    if isinstance(block, list):
        return len(block)
    return next((_length(column) for column in block.values()), 0)


def nbytes(block: Block) -> int:
    """Return about how much memory the rows take."""
    if isinstance(block, list):
        return sum(nbytes_of(sample) for sample in block)
    return sum(_nbytes(column) for column in block.values())


def cut(block: Block, start: int, stop: int) -> Block:
    """Return rows ``start`` to ``stop``; of arrays a view."""
    if isinstance(block, list):
        return block[start:stop]
    return cut_columns(block, start, stop)


def cut_columns(columns: Columns, start: int, stop: int) -> Columns:
    """Return rows ``start`` to ``stop`` of columns; of arrays a view."""
    return {name: _cut(column, start, stop) for name, column in columns.items()}


def joined(blocks: Sequence[Block]) -> Block:
    """Return the rows of blocks of the same source, one block after another."""
    if len(blocks) == 1:
        return blocks[0]
    columns = [block for block in blocks if not isinstance(block, list)]
    if not columns:
        return [sample for block in blocks if isinstance(block, list) for sample in block]
    return {name: _joined([block[name] for block in columns]) for name in columns[0]}


def permuted(block: Block, order: NDArray[np.int64]) -> Block:
    """Return the rows in another order."""
    if isinstance(block, list):
        return [block[row] for row in order.tolist()]
    return {name: _permuted(column, order) for name, column in block.items()}


def samples_of(block: Block) -> Iterator[Sample]:
    """Yield row after row; an array's as a view."""
    if isinstance(block, list):
        yield from block
        return
    rows = {name: column.rows() if isinstance(column, Ragged) else column for name, column in block.items()}
    names = list(rows)
    for values in zip(*rows.values(), strict=True):
        yield dict(zip(names, values, strict=True))


def _length(column: Column) -> int:
    return len(column.lengths) if isinstance(column, Ragged) else len(column)


def _nbytes(column: Column) -> int:
    if isinstance(column, Ragged):
        return int(column.values.nbytes + column.lengths.nbytes)
    return sum(nbytes_of(value) for value in column) if isinstance(column, list) else int(column.nbytes)


def _cut(column: Column, start: int, stop: int) -> Column:
    if isinstance(column, Ragged):
        first, last = (int(column.lengths[:at].sum()) for at in (start, stop))
        return Ragged(column.values[first:last], column.lengths[start:stop])
    return column[start:stop]


def _joined(columns: Sequence[Column]) -> Column:
    ragged = [column for column in columns if isinstance(column, Ragged)]
    if ragged:
        return Ragged(np.concatenate([r.values for r in ragged]), np.concatenate([r.lengths for r in ragged]))
    arrays = [column for column in columns if isinstance(column, np.ndarray)]
    if arrays:
        return np.concatenate(arrays)
    return [value for column in columns if isinstance(column, list) for value in column]


def _permuted(column: Column, order: NDArray[np.int64]) -> Column:
    if isinstance(column, Ragged):
        rows = column.rows()
        return Ragged(np.concatenate([rows[row] for row in order.tolist()]), column.lengths[order])
    return [column[row] for row in order.tolist()] if isinstance(column, list) else np.take(column, order, 0)
