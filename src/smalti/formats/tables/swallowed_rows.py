"""Quoted fields that look as if they held rows: one quote too many in a row, and another one in a later row.

Such a text keeps the grammar of CSV, so that no parser can tell. What tells is that each line within the field has as
many delimiters as a row has at that place, and numbers where the table has numbers.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from smalti.contracts.violation import Violation, shown
from smalti.formats.tables.csv_records import counted

_LEAST_DELIMITERS = 3  # that few in their places are chance, unless numbers are in their places too


def swallowed_rows(table: pa.Table, delimiter: str) -> Iterator[Violation]:
    """Yield a warning for each column with such fields."""
    for at, name in enumerate(table.column_names):
        column = table.column(at)
        if table.num_columns > 1 and pa.types.is_string(column.type):
            if pc.any(pc.match_substring(column, "\r"), min_count=0).as_py():
                column = pc.replace_substring_regex(column, "\r\n?", "\n")
            inner = pc.subtract(pc.count_substring(column, "\n"), pc.cast(pc.ends_with(column, "\n"), pa.int32()))
            delimiters = pc.count_substring(column, delimiter)
            wanted = pc.multiply(inner, table.num_columns - 1)
            likely = pc.indices_nonzero(pc.and_(pc.greater(inner, 0), pc.equal(delimiters, wanted))).to_pylist()
            rows = [row for row in likely if _holds_rows(column[row].as_py(), at, table.schema, delimiter)]
            if rows:
                swallowed = sum(column[row].as_py().removesuffix("\n").count("\n") for row in rows)
                found = f"{counted(swallowed, 'line')} that look like rows within {counted(len(rows), 'quoted field')}"
                found += f" (first in row {rows[0]}: {shown(column[rows[0]].as_py())})"
                remedy = "look for a quote too many in that row, or leave it if the lines belong to the text"
                yield Violation(
                    "table.swallowed_rows",
                    f"column {shown(name)}",
                    found,
                    "one row a line",
                    remedy,
                    "warning",
                    (rows[0],),
                )


def _holds_rows(text: str, at: int, schema: pa.Schema, delimiter: str) -> bool:
    """Tell whether the lines of a field of column ``at`` are the end of a row, whole rows, and the begin of one."""
    lines = [line.split(delimiter) for line in text.removesuffix("\n").split("\n")]
    first, *inner, last = lines
    width = len(schema)
    if len(first) != width - at or len(last) != at + 1 or any(len(line) != width for line in inner):
        return False
    placed = [*zip(first, schema.types[at:], strict=True), *zip(last, schema.types, strict=False)]
    placed += [pair for line in inner for pair in zip(line, schema.types, strict=True)]
    numbers = [field for field, kind in placed if pa.types.is_integer(kind) or pa.types.is_floating(kind)]
    if not all(_is_number(field) for field in numbers):
        return False
    return bool(numbers) or text.count(delimiter) >= _LEAST_DELIMITERS


def _is_number(field: str) -> bool:
    try:
        float(field or 0)
    except ValueError:
        return False
    return True
