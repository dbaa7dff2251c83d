"""A table out of CSV or TSV: UTF-8, a header of names, one delimiter, and the same number of fields in each row."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from typing import Any

import pyarrow
from pyarrow import csv as arrow_csv

from smalti.contracts.violation import Violation, shown
from smalti.formats.columns import gathered, require_names
from smalti.formats.sniff import suffix_of
from smalti.formats.source import Source

_WANTED = "a table of text in UTF-8"
_BOM = b"\xef\xbb\xbf"
_LONGEST_HEADER_NBYTES = 1 << 20
_BLOCK_NBYTES = 4 << 20
_ROWS_SHOWN = 3
_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}


def read(source: Source, _wanted: Collection[str] | None = None) -> pyarrow.Table:
    """Return the table: each column of the type that all its values have, else text; an empty number is null."""
    delimiter = "\t" if suffix_of(source.name) == ".tsv" else ","
    with source.mapped("the file", _WANTED):
        names = _header(source, delimiter)
        source.require(_header_breaches(names, delimiter))
        require_names(names, source)
        source.claim("the table", source.nbytes, "split it into several files")
        wrong = _WrongRows()
        try:
            table = _parsed(source, delimiter, wrong)
        except pyarrow.ArrowInvalid as error:
            raise _refusal(source, error) from error
        source.require(wrong.breaches(delimiter))
        source.require(_encoding_breaches(table))
        return table


def _parsed(source: Source, delimiter: str, wrong: _WrongRows) -> pyarrow.Table:
    parsing = arrow_csv.ParseOptions(
        delimiter=delimiter, newlines_in_values=True, invalid_row_handler=wrong, ignore_empty_lines=True
    )
    reading = arrow_csv.ReadOptions(use_threads=False, block_size=_BLOCK_NBYTES)
    converting = arrow_csv.ConvertOptions(strings_can_be_null=False)
    table = arrow_csv.read_csv(
        pyarrow.PythonFile(source.file, "r"), read_options=reading, parse_options=parsing, convert_options=converting
    )
    return gathered(table.to_batches(), table.schema, source)


def _header(source: Source, delimiter: str) -> list[str]:
    line = source.file.readline(_LONGEST_HEADER_NBYTES)
    source.file.seek(0)
    if len(line) == _LONGEST_HEADER_NBYTES:
        found = f"a first line of {_LONGEST_HEADER_NBYTES} bytes or more"
        raise source.refuse("table.header", "line 1", found, "the names of the columns", "write them in the first line")
    if b"\0" in line:
        raise source.refuse("table.text", "line 1", "zero bytes", _WANTED, "save it as text in UTF-8")
    try:
        text = line.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        found = f"the byte 0x{line[error.start]:02x} that is no UTF-8"
        raise source.refuse("table.encoding", "line 1", found, "text in UTF-8", "save it as UTF-8") from error
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    return rows[0] if rows else []


def _header_breaches(names: list[str], delimiter: str) -> Iterator[Violation]:
    others = [d for d in _DELIMITERS if d != delimiter and len(names) == 1 and d in names[0]]
    if others:
        wanted = f"{_DELIMITERS[delimiter]} between the columns"
        remedy = f"save it with {_DELIMITERS[delimiter]}, and with points in its decimals"
        yield Violation("table.delimiter", "line 1", f"{_DELIMITERS[others[0]]}", wanted, remedy)
    elif names and all(_is_number(name) for name in names):
        found = f"numbers ({shown(', '.join(names))})"
        remedy = "write the names of the columns in the first line"
        yield Violation("table.header", "line 1", found, "the names of the columns", remedy)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _encoding_breaches(table: pyarrow.Table) -> Iterator[Violation]:
    for column in table.schema:
        if pyarrow.types.is_binary(column.type):
            place = f"column {shown(column.name)}"
            yield Violation("table.encoding", place, "bytes that are no UTF-8", "text in UTF-8", "save it as UTF-8")


class _WrongRows:
    """Rows whose number of fields is not that of the header, gathered while they are skipped."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[Any] = []

    def __call__(self, row: Any) -> str:
        self.count += 1
        if len(self.first) < _ROWS_SHOWN:
            self.first.append((row.number, row.actual_columns, row.expected_columns))
        return "skip"

    def breaches(self, delimiter: str) -> Iterator[Violation]:
        for number, actual, expected in self.first:
            place = f"line {number}" if number else f"one of {self.count} rows"
            remedy = f"complete the row, or quote text that contains {_DELIMITERS[delimiter]}"
            yield Violation("table.row_length", place, f"{actual} fields", f"{expected}, as in the header", remedy)


def _refusal(source: Source, error: pyarrow.ArrowInvalid) -> Exception:
    said = " ".join(str(error).split())
    if "UTF8" in said or "UTF-8" in said:
        return source.refuse(
            "table.encoding", "the table", "bytes that are no UTF-8", "text in UTF-8", "save it as UTF-8"
        )
    remedy = "mend that place, or export the table again"
    return source.refuse("table.text", "the table", f"text that cannot be read ({shown(said)})", _WANTED, remedy)
