"""A table as the pieces of one Arrow IPC file, and back from its content.

pyarrow writes the file into a list: what it hands over as a buffer is content, what it hands over as bytes is
framing. Nothing is copied. Content and header alone give the table back; the framing is for other tools.
Format: https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import pyarrow as pa

from smalti.codecs.arrow.batches import batch_lengths
from smalti.codecs.arrow.buffers import assemble, bitmaps, buffer_count, flatten
from smalti.errors import Refused, Unavailable
from smalti.store.segments import in_one
from smalti.store.values import Buffer

Pieces = tuple[bytes | Buffer, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """What must be known beside the buffers: all of it is in the header.

    Attributes:
        schema: names and types of the columns.
        batches: rows of each batch.
        dictionaries: number of values of each dictionary column, in order of the columns.
    """

    schema: pa.Schema
    batches: tuple[int, ...]
    dictionaries: tuple[int, ...]

    def places(self) -> list[Place]:
        """Return where the buffers of each column are."""
        types = self.schema.types
        dictionaries = [buffer_count(dtype.value_type) if pa.types.is_dictionary(dtype) else 0 for dtype in types]
        counts = [buffer_count(dtype) for dtype in types]
        begins = accumulate(dictionaries, initial=0)
        firsts = accumulate(counts, initial=sum(dictionaries))
        return [
            Place(range(begin, begin + some), range(first, first + count), sum(counts))
            for begin, some, first, count in zip(begins, dictionaries, firsts, counts, strict=False)
        ]


@dataclass(frozen=True, slots=True)
class Place:
    """The numbers of one column's buffers: its dictionary's, those in the first batch, and the step to the next."""

    dictionary: range
    first: range
    step: int

    def buffers(self, batches: Iterable[int]) -> Iterator[int]:
        """Yield the numbers of the dictionary's buffers, then of those in some batches."""
        yield from self.dictionary
        for batch in batches:
            yield from (number + batch * self.step for number in self.first)


def bitmaps_of(layout: Layout, nbytes: Sequence[int]) -> str:
    """Return which validity bitmaps there are, one bit for each that there may be, in hexadecimal digits.

    Header and content do not tell: a bitmap that is missing here and another that is there may leave the same bytes.

    Args:
        nbytes: the size of every buffer, in order.
    """
    types = layout.schema.types
    dictionaries = [bitmap for dtype in types if pa.types.is_dictionary(dtype) for bitmap in bitmaps(dtype.value_type)]
    batch = [bitmap for dtype in types for bitmap in bitmaps(dtype)]
    may_be = np.concatenate([np.array(dictionaries, bool), np.tile(np.array(batch, bool), len(layout.batches))])
    if len(may_be) != len(nbytes):
        raise Refused(f"a table of these columns has {len(may_be)} buffers, and there are {len(nbytes)}; restore it.")
    there = np.array(nbytes, np.int64)[may_be] > 0
    return np.packbits(there).tobytes().hex() if there.any() else ""


def pieces_of(table: pa.Table, schema: pa.Schema) -> tuple[Layout, Pieces]:
    """Return the canonical layout and file of a table; ``schema`` is its schema as it shall be in the file.

    Raises:
        pyarrow.ArrowInvalid: chunks cannot be joined, because a text column with 32-bit offsets is too long.
    """
    columns = [_one_dictionary(column) for column in table.columns]
    batches = tuple(batch_lengths(columns))
    dictionaries = [_dictionary(column) for column in columns if pa.types.is_dictionary(column.type)]
    layout = Layout(schema, batches, tuple(len(values) for values in dictionaries))
    content = [list(flatten(values)) for values in dictionaries]
    for start, count in zip(accumulate(batches, initial=0), batches, strict=False):
        parts = (_joined(column.slice(start, count)) for column in columns)
        content.append([buffer for part in parts for buffer in flatten(part)])
    buffers = [buffer for part in content for buffer in part]
    written = _write(layout, columns_of(layout, [in_one(buffer.data) for buffer in buffers]))
    return layout, tuple(_matched(written, deque(buffers)))


def columns_of(layout: Layout, buffers: Sequence[memoryview]) -> list[pa.ChunkedArray]:
    """Return all columns from all buffers of the content, in order; nothing is copied."""
    every = range(len(layout.batches))
    return [
        column_of(layout, column, layout.batches, (buffers[i] for i in place.buffers(every)))
        for column, place in enumerate(layout.places())
    ]


def column_of(layout: Layout, column: int, batches: Iterable[int], buffers: Iterator[memoryview]) -> pa.ChunkedArray:
    """Return one column of batches of so many rows from its buffers; those of a dictionary column begin with it."""
    dtype = layout.schema.field(column).type
    dictionary = None
    if pa.types.is_dictionary(dtype):
        before = sum(pa.types.is_dictionary(other) for other in layout.schema.types[:column])
        dictionary = assemble(dtype.value_type, layout.dictionaries[before], buffers)
    return pa.chunked_array([assemble(dtype, count, buffers, dictionary) for count in batches], dtype)


def checked_column(
    layout: Layout, field: pa.Field, batches: Iterable[int], buffers: Iterator[memoryview]
) -> pa.ChunkedArray:
    """Return the same of content that is not trusted: no offset, index or text of it leads beyond the buffers.

    Args:
        field: the column as the schema of the value has it.

    Raises:
        Refused: one does, as in what somebody else made.
    """
    try:
        found = column_of(layout, layout.schema.get_field_index(field.name), batches, buffers)
        found.validate(full=True)
    except (
        pa.ArrowException,
        ArithmeticError,
        LookupError,
        RuntimeError,
        StopIteration,
        TypeError,
        ValueError,
    ) as error:
        raise _none_of_its_type(field, error) from error
    return found


def table_of(schema: pa.Schema, columns: Sequence[pa.ChunkedArray], rows: int) -> pa.Table:
    """Return the Arrow table of these columns; one without columns has rows all the same."""
    if not columns:
        return pa.table([pa.nulls(rows)], schema=pa.schema({"": pa.null()}, schema.metadata)).select([])
    return pa.Table.from_arrays(as_described(schema, columns), schema=schema)


def as_described(schema: pa.Schema, columns: Sequence[pa.ChunkedArray]) -> list[pa.ChunkedArray]:
    """Return the columns as they are in their file in the types that the schema of the value has.

    Raises:
        Refused: a column that is to be cast is none of its type, as in what somebody else made.
    """
    return [_cast(column, field) for column, field in zip(columns, schema, strict=True)]


def _cast(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    if column.type.equals(field.type):
        return column
    try:
        return column.cast(field.type)
    except pa.ArrowException as error:
        raise _none_of_its_type(field, error) from error


def _none_of_its_type(field: pa.Field, error: Exception) -> Refused:
    return Refused(f"the column {field.name!r} is no {field.type} ({error}); restore it from its source.")


class _Parts(list[bytes | pa.Buffer]):
    """A file that keeps what is written to it as it came."""

    closed = False

    def write(self, part: bytes | pa.Buffer) -> int:
        self.append(part)
        return len(part)

    def tell(self) -> int:
        return sum(map(len, self))

    def flush(self) -> None: ...
    def close(self) -> None: ...


def _write(layout: Layout, columns: list[pa.ChunkedArray]) -> list[bytes | pa.Buffer]:
    parts = _Parts()
    with pa.ipc.new_file(pa.PythonFile(parts, mode="w"), layout.schema) as writer:
        for i in range(len(layout.batches)):
            arrays = [column.chunk(i) for column in columns]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=layout.schema))
    return parts


def _matched(parts: list[bytes | pa.Buffer], buffers: deque[Buffer]) -> Iterator[bytes | Buffer]:
    """Yield framing as bytes, joined, and content as the buffer it is; empty buffers are nowhere in the file."""
    framing = b""
    for part in parts:
        if isinstance(part, bytes):
            framing += part
            continue
        yield framing
        framing = b""
        while buffers and not buffers[0].data.nbytes:
            yield buffers.popleft()
        if not buffers or buffers[0].data.nbytes != part.size:
            raise Unavailable(f"pyarrow {pa.__version__} writes Arrow files in an order not known here; use another.")
        yield buffers.popleft()
    yield framing
    yield from buffers


def _one_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column


def _dictionary(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0).dictionary if column.num_chunks else pa.array([], column.type.value_type)


def _joined(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
