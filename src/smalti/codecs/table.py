"""Tables, from pandas or pyarrow, as one Arrow IPC file, and a lazy table that reads columns and rows on demand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from smalti import canonical
from smalti.canonical import Json
from smalti.errors import Damaged, NotFound, Refused
from smalti.store.read.reader import Reader
from smalti.store.values import Encoded

if TYPE_CHECKING:  # both take long to import: only those who have a table pay
    import pandas as pd
    import pyarrow as pa

    from smalti.codecs.arrow.file import Layout

_FIELDS = {"kind", "columns", "rows", "batches", "dictionaries"}
_MAY_BE = {"pandas", "metadata", "bitmaps"}


class LazyTable:
    """A stored table of which nothing is read until it is asked for; what is read is verified.

    ``table[a:b]`` gives those rows as what was stored, a DataFrame or a pyarrow Table, and reads the batches they
    lie in; ``batches`` gives all, some rows after others; ``column`` and ``to_arrow`` read the columns named.
    """

    def __init__(self, header: Mapping[str, Json], reader: Reader) -> None:
        self._header = header
        self._schema, self._layout = layout_of(header)
        self._reader = reader
        check_bitmaps(header, self._layout, [nbytes for _, nbytes in reader.record.buffers])

    def __reduce__(self) -> tuple[type[LazyTable], tuple[Any, ...]]:
        """Return what a process that is spawned opens it with: the place of the store and the address, no content."""
        return LazyTable, (self._header, self._reader)

    def __repr__(self) -> str:
        columns = ", ".join(self.schema.names[:8]) + (", ..." if len(self.schema) > 8 else "")
        return f"LazyTable({self.num_rows} rows, columns {columns}, {self._reader.record.address[:19]}...)"

    def _repr_html_(self) -> str:
        from smalti.notebook import shown

        return shown(self)

    def __len__(self) -> int:
        return self.num_rows

    def __getitem__(self, rows: slice) -> Any:
        if not isinstance(rows, slice) or rows.step not in (None, 1):
            raise Refused(f"a lazy table is indexed by a range of rows, table[a:b], not {rows!r}; see also column().")
        start, stop, _ = rows.indices(self.num_rows)
        stop = max(start, stop)
        return value_of(
            self._header, self._schema, self._rows(range(len(self.schema)), start, stop), range(start, stop)
        )

    def batches(self) -> Iterator[Any]:
        """Yield the whole as it was stored, some thousand rows at a time."""
        ends = list(accumulate(self._layout.batches))
        return (self[start:stop] for start, stop in zip([0, *ends], ends, strict=False))

    @property
    def digest(self) -> str:
        """The address of the stored table, ``sha256:<hex>``."""
        return self._reader.record.address

    @property
    def nbytes(self) -> int:
        """The size of the content."""
        return self._reader.record.nbytes

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns; a pandas index that is not a plain range is among them."""
        return self._schema

    @property
    def num_rows(self) -> int:
        return int(str(self._header["rows"]))

    def column(self, name: str) -> pa.ChunkedArray:
        """Return one column, reading nothing else.

        Raises:
            NotFound: there is no such column.
            Damaged: what is stored of it is not what was stored.
        """
        return self.to_arrow([name]).column(0)

    def to_arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return all columns, or only those named and reading nothing else; a pandas index is columns too.

        Raises:
            NotFound: there is no such column.
            Damaged: what is stored of them is not what was stored.
        """
        import pyarrow as pa

        from smalti.codecs.arrow.file import table_of

        names = self.schema.names
        for name in columns or ():
            if name not in names:
                raise NotFound(f"there is no column {name!r} in this table; it has {names}.")
        chosen = [names.index(name) for name in (names if columns is None else columns)]
        schema = pa.schema([self.schema.field(i) for i in chosen], self.schema.metadata)
        return table_of(schema, self._rows(chosen, 0, self.num_rows), self.num_rows)

    def to_pandas(self) -> pd.DataFrame:
        """Return the whole as a pandas DataFrame, whatever it was stored from.

        Of a pyarrow Table, whole numbers some of which are missing become floats, as everywhere in pandas, or ``Int64``
        and ``UInt64`` where floats would round them.
        """
        from smalti.codecs.arrow.whole_numbers import frame_of

        whole = self[:]
        return whole if "pandas" in self._header else frame_of(whole)

    def _rows(self, columns: Iterable[int], start: int, stop: int) -> list[pa.ChunkedArray]:
        """Return rows ``start`` to ``stop`` of some columns, read from the batches that hold them."""
        from smalti.codecs.arrow.file import checked_column

        batches, places = self._layout.batches, self._layout.places()
        begins = list(accumulate(batches, initial=0))
        touched = [i for i in range(len(batches)) if begins[i] < stop and begins[i + 1] > start]
        skipped = begins[touched[0]] if touched else start
        chosen = [batches[i] for i in touched]

        def read(column: int) -> pa.ChunkedArray:
            content = (self._reader.read(number) for number in places[column].buffers(touched))
            return checked_column(self._layout, self._schema.field(column), chosen, content).slice(
                start - skipped, stop - start
            )

        return [read(column) for column in columns]


class TableCodec:
    """pandas DataFrames and pyarrow Tables; equal tables have equal leaves, whichever library holds them.

    A DataFrame comes back exactly (types, index, labels, ``attrs``) or is refused. A Table comes back with equal
    schema and content; how it was cut into chunks is not kept, nor are library versions in its metadata.
    """

    kind = "table"

    def accepts(self, value: Any) -> bool:
        library, name = type(value).__module__.split(".")[0], type(value).__name__
        return (library, name) in {("pandas", "DataFrame"), ("pyarrow", "Table")} or isinstance(value, LazyTable)

    def encode(self, value: Any) -> Encoded:
        if isinstance(value, LazyTable):
            value = value[:]
        import pyarrow as pa

        try:
            if isinstance(value, pa.Table):
                return _encoded(value, value.num_rows, {})
            from smalti.codecs.arrow.frame import to_arrow

            table, about = to_arrow(value)
            return _encoded(table, len(value), {"pandas": about})
        except UnicodeEncodeError as error:
            raise Refused(f"the table holds a text that is none ({error}); decode it before storing.") from error
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise Refused(f"the table cannot be written as one Arrow file ({error}); convert that column.") from error

    def decode(self, header: Mapping[str, Any], buffers: list[memoryview]) -> Any:
        from smalti.codecs.arrow.file import checked_column

        schema, layout = layout_of(header)
        check_bitmaps(header, layout, [buffer.nbytes for buffer in buffers])
        every = range(len(layout.batches))
        columns = [
            checked_column(layout, field, layout.batches, (buffers[i] for i in place.buffers(every)))
            for field, place in zip(schema, layout.places(), strict=True)
        ]
        return value_of(header, schema, columns, range(header["rows"]))

    def lazy(self, header: Mapping[str, Json], reader: Reader) -> LazyTable:
        return LazyTable(header, reader)


def _encoded(table: pa.Table, rows: int, about: dict[str, Json]) -> Encoded:
    from smalti.codecs.arrow.file import bitmaps_of, pieces_of
    from smalti.codecs.arrow.schema import describe_field, describe_metadata, plain_schema

    repeated = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if repeated:
        raise Refused(f"the table has more than one column {repeated[0]!r}; rename one, columns are found by name.")
    header: dict[str, Json] = {
        "kind": "table",
        "columns": [describe_field(field, f"column {field.name!r}") for field in table.schema],
        **about,
    }
    if table.schema.metadata:
        header["metadata"] = describe_metadata(table.schema.metadata, "the table")
    plain = plain_schema(schema_of(header))
    if table.schema.types != plain.types:
        table = table.cast(plain)
    layout, pieces = pieces_of(table, plain)
    header |= {"rows": rows, "batches": list(layout.batches), "dictionaries": list(layout.dictionaries)}
    encoded = Encoded(header, "data.arrow", pieces)
    if there := bitmaps_of(layout, [buffer.data.nbytes for buffer in encoded.buffers]):
        header["bitmaps"] = there
    return encoded


def check_bitmaps(header: Mapping[str, Any], layout: Layout, nbytes: list[int]) -> None:
    """Refuse buffers that are cut otherwise than the header, which the address is of, says."""
    from smalti.codecs.arrow.file import bitmaps_of

    if bitmaps_of(layout, nbytes) != header.get("bitmaps", ""):
        raise Refused("the nulls of this table lie elsewhere than its header says; restore it from its source.")


def schema_of(header: Mapping[str, Any]) -> pa.Schema:
    import pyarrow as pa

    from smalti.codecs.arrow.schema import field_of

    return pa.schema([field_of(described) for described in header["columns"]], header.get("metadata"))


def layout_of(header: Mapping[str, Any]) -> tuple[pa.Schema, Layout]:
    """Return the schema and the layout of a table; a header may say anything.

    Raises:
        Damaged: it is not that of a table.
    """
    import pyarrow as pa

    from smalti.codecs.arrow.batches import MAX_ROWS
    from smalti.codecs.arrow.file import Layout
    from smalti.codecs.arrow.schema import describe_field, plain_schema

    batches, dictionaries = header["batches"], header["dictionaries"]
    numbers = (header["rows"], *batches, *dictionaries)
    if header.keys() - _MAY_BE != _FIELDS or not all(type(n) is int and 0 <= n < 2**62 for n in numbers):
        raise Damaged(f"a header with the fields {sorted(header)[:8]} is not that of a table; restore it.")
    in_all = header["rows"]
    if sum(batches) != (in_all if header["columns"] else 0) or not batches or max(batches) > MAX_ROWS:
        raise Damaged(f"a header cuts {header['rows']} rows into batches of {str(batches)[:80]}; restore it.")
    if "pandas" in header and "range" in (index := header["pandas"]["index"]):
        start, stop, step = index["range"]
        if (start, step) != (start if in_all else 0, step if in_all > 1 else 1) or stop != start + step * in_all:
            raise Damaged(f"a header says that {in_all} rows are numbered by {index['range']}; restore it.")
    schema = schema_of(header)
    described = [describe_field(field, f"column {field.name!r}") for field in schema]
    names = set(schema.names)
    if canonical.dumps(described) != canonical.dumps(header["columns"]) or len(names) != len(schema):
        raise Damaged("a header describes columns as no codec does; restore it.")
    plain = plain_schema(schema)
    if len(dictionaries) != sum(map(pa.types.is_dictionary, plain.types)):
        raise Damaged(f"a header has the sizes of {len(dictionaries)} dictionaries, not one of each; restore it.")
    return schema, Layout(plain, tuple(batches), tuple(dictionaries))


def value_of(header: Mapping[str, Any], schema: pa.Schema, columns: list[pa.ChunkedArray], rows: range) -> Any:
    """Return ``rows`` of the whole, which ``columns`` hold as they are in the file, as what was stored."""
    from smalti.codecs.arrow.file import as_described, table_of

    if "pandas" in header:
        from smalti.codecs.arrow.frame import from_arrow

        return from_arrow(header["pandas"], as_described(schema, columns), rows)
    return table_of(schema, columns, len(rows))
