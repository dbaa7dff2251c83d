"""A table out of JSON lines: one object on each line, the same kind of value under a name in all of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

import pyarrow
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from smalti.contracts.violation import shown
from smalti.formats.content import TableContent
from smalti.formats.source import Source
from smalti.formats.tables.columns import gathered, name_warnings, require_names

_WANTED = "one JSON object on each line"
_ONE_A_LINE = "write one object on each line"
_LONGEST_LINE_NBYTES = 1 << 20
_DEEPEST = 32
_BOM = b"\xef\xbb\xbf"
_FIRST_INEXACT = 2**53  # above it, not every whole number is a float64


def read(source: Source, _wanted: Collection[str] | None = None) -> TableContent:
    """Return the table; a name that a line lacks is null there, and text in the form of ISO 8601 is a timestamp.

    Whole numbers are int64, or uint64 where they need it; a column that only float64 could hold is refused where it
    would round a whole number.
    """
    with source.mapped("the file", _WANTED):
        begin = len(_BOM) if source.file.read(len(_BOM)) == _BOM else 0
        objects = _require_flat_lines(source, begin)
        source.claim("the table", source.nbytes, "split it into several files")
        reading = arrow_json.ReadOptions(use_threads=False, block_size=_LONGEST_LINE_NBYTES)
        source.file.seek(begin)
        try:
            table = arrow_json.read_json(pyarrow.PythonFile(source.file, "r"), read_options=reading)
        except pyarrow.ArrowInvalid as error:
            found = f"text that cannot be read ({shown(' '.join(str(error).split()))})"
            remedy = "mend that line, or export the table again"
            raise source.refuse("table.text", "the table", found, _WANTED, remedy) from error
        require_names(table.column_names, source)
        table = gathered(table.to_batches(), table.schema, source)
        if table.num_rows != objects:
            found = f"{table.num_rows} objects on {objects} lines"
            raise source.refuse("table.rows_differ", "the table", found, _WANTED, _ONE_A_LINE)
        table = _with_exact_integers(table, source, begin)
        return TableContent(table, violations=tuple(name_warnings(table.column_names)))


def _require_flat_lines(source: Source, begin: int) -> int:
    """Look at every line before it is parsed: its first byte, its length, how deep it may nest; return their number."""
    source.file.seek(begin)
    number = objects = 0
    while line := source.file.readline(_LONGEST_LINE_NBYTES):
        number += 1
        place = f"line {number}"
        if len(line) == _LONGEST_LINE_NBYTES:
            found, wanted = f"a line of {len(line)} bytes or more", f"less than {_LONGEST_LINE_NBYTES}"
            raise source.refuse("table.text", place, found, wanted, _ONE_A_LINE)
        objects += bool(line.strip())
        if line.strip() and not line.lstrip().startswith(b"{"):
            found = f"text that begins with {shown(line.strip()[:12].decode(errors='replace'))}"
            raise source.refuse("table.text", place, found, "a JSON object", _ONE_A_LINE)
        if line.count(b"[") + line.count(b"{") > _DEEPEST and _depth(line) > _DEEPEST:
            found = "values nested too deep"
            raise source.refuse("table.text", place, found, f"at most {_DEEPEST} levels", "flatten the table")
    return objects


def _depth(line: bytes) -> int:
    """Return how deep brackets nest, those in text included: a bound from above."""
    depth = deepest = 0
    for byte in line:
        depth += (byte in b"[{") - (byte in b"]}")
        deepest = max(deepest, depth)
    return deepest


def _with_exact_integers(table: pyarrow.Table, source: Source, begin: int) -> pyarrow.Table:
    """Read again, in Python, the columns whose whole numbers float64 may have rounded."""
    for at, name in enumerate(table.column_names):
        column = table.column(at)
        if any(_may_round(floats) for chunk in column.chunks for floats in _floats_in(chunk)):
            values = dict(_values_of(name, source, begin))
            try:
                table = table.set_column(at, name, pyarrow.chunked_array([_whole_numbers(list(values.values()))]))
            except (ValueError, OverflowError):
                _require_unrounded(name, values, source)
    return table


def _floats_in(values: pyarrow.Array) -> Iterator[pyarrow.Array]:
    if pyarrow.types.is_floating(values.type):
        yield values
    elif pyarrow.types.is_list(values.type):
        yield from _floats_in(values.flatten())
    elif pyarrow.types.is_struct(values.type):
        for each in values.flatten():
            yield from _floats_in(each)


def _may_round(floats: pyarrow.Array) -> bool:
    return bool(pc.any(pc.greater_equal(pc.abs(floats), float(_FIRST_INEXACT)), min_count=0).as_py())


def _values_of(name: str, source: Source, begin: int) -> Iterator[tuple[int, Any]]:
    source.file.seek(begin)
    for number, line in enumerate(source.file, 1):
        if line.strip():
            yield number, json.loads(line).get(name)


def _whole_numbers(values: list[Any]) -> pyarrow.Array:
    if not all(value is None or type(value) is int for value in values):
        raise ValueError("not only whole numbers")
    return pyarrow.array(values, pyarrow.uint64())


def _require_unrounded(name: str, values: dict[int, Any], source: Source) -> None:
    for line, value in values.items():
        for number in _whole_numbers_in(value):
            if int(float(number)) != number:
                found = f"{shown(str(number))}, which float64 would round"
                place, remedy = f"line {line}, column {shown(name)}", "write the numbers of that column in quotes"
                raise source.refuse("table.wide_number", place, found, "numbers that 64 bits hold", remedy)


def _whole_numbers_in(value: Any) -> Iterator[int]:
    if type(value) is int:
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _whole_numbers_in(each)
