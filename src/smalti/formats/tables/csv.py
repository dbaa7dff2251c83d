"""A table out of CSV or TSV: UTF-8, a header of names, one delimiter, and the same number of fields in each row.

Rows are counted twice, by the parser and by :mod:`smalti.formats.tables.csv_records`, and both must agree.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow
from pyarrow import csv as arrow_csv

from smalti.contracts.violation import Violation, shown
from smalti.formats.content import TableContent
from smalti.formats.sniff import suffix_of
from smalti.formats.source import Source
from smalti.formats.tables.columns import gathered, name_warnings, require_names
from smalti.formats.tables.csv_records import Records, count_records, counted
from smalti.formats.tables.swallowed_rows import swallowed_rows
from smalti.formats.tables.text_columns import typed

_WANTED = "a table of text in UTF-8"
_NAMES = "the names of the columns"
_BOM = b"\xef\xbb\xbf"
_LONGEST_HEADER_NBYTES = 1 << 20
_BLOCK_NBYTES = 4 << 20
_ROWS_SHOWN = 3
_NAMES_SHOWN = 6
_DELIMITERS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_SEPARATOR_LINE = re.compile(rb'"?sep=([^\r\n]*?)"?(\r\n|\n|\r|$)', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Dialect:
    """The delimiter, and the byte and line where the header may begin."""

    delimiter: str
    offset: int
    first_line: int
    stated: bool

    @property
    def delimiters(self) -> str:
        return _DELIMITERS[self.delimiter]


def read(source: Source, _wanted: Collection[str] | None = None) -> TableContent:
    """Return the table: each column of the type that all its values have without loss, else text as it is.

    The types, and what counts as missing, are those of :func:`smalti.formats.tables.text_columns.typed`. A first line
    ``sep=;`` states the delimiter, as Excel writes it. Empty lines are no rows.
    """
    with source.mapped("the file", _WANTED):
        dialect = _dialect(source)
        source.file.seek(dialect.offset)
        records = count_records(source.file, dialect.delimiter, dialect.first_line)
        source.require([records.breach] if records.breach else [])
        names = _header(source, dialect)
        source.require(_header_breaches(names, dialect))
        require_names(names, source)
        source.claim("the table", source.nbytes, "split it into several files")
        wrong = _WrongRows()
        source.file.seek(dialect.offset)
        text = _parsed(source, names, dialect, records, wrong)
        source.require(wrong.breaches(names, dialect, records))
        if text.column_names != names or text.num_rows != records.count - 1:
            found = f"{text.num_rows} rows by one reading and {records.count - 1} by its quotes and line ends"
            raise source.refuse("table.rows_differ", "the table", found, "one reading", "export the table again")
        return _typed(text, dialect, records)


def _dialect(source: Source) -> _Dialect:
    head = source.file.read(_LONGEST_HEADER_NBYTES)
    offset = len(_BOM) if head.startswith(_BOM) else 0
    said = _SEPARATOR_LINE.match(head, offset)
    if said is None:
        return _Dialect("\t" if suffix_of(source.name) == ".tsv" else ",", offset, 1, stated=False)
    delimiter = said[1].decode("latin-1")
    if delimiter not in _DELIMITERS:
        wanted = f"one of {', '.join(_DELIMITERS.values())} after sep="
        raise source.refuse("table.delimiter", "line 1", f"sep={shown(delimiter)}", wanted, "correct that line")
    return _Dialect(delimiter, said.end(), 2, stated=True)


def _header(source: Source, dialect: _Dialect) -> list[str]:
    source.file.seek(dialect.offset)
    head = source.file.read(_LONGEST_HEADER_NBYTES)
    lines = io.StringIO(head.decode(errors="surrogateescape"), newline="")
    place = f"line {dialect.first_line}"
    try:
        names = next((row for row in csv.reader(lines, delimiter=dialect.delimiter) if row), [])
    except csv.Error:  # a name longer than 131072 characters
        names = []
    if len(head) == _LONGEST_HEADER_NBYTES and (not names or not lines.read(1)):
        found = f"a first line of {_LONGEST_HEADER_NBYTES} bytes or more"
        raise source.refuse("table.header", place, found, _NAMES, "write them in the first line")
    if foreign := re.search("[\udc80-\udcff]", "".join(names)):
        byte = ord(foreign[0]) - 0xDC00
        raise source.refuse("table.encoding", place, _foreign_byte(byte), "text in UTF-8", "save it as UTF-8")
    return names


def _header_breaches(names: list[str], dialect: _Dialect) -> Iterator[Violation]:
    place = f"line {dialect.first_line}"
    others = [d for d in _DELIMITERS if d != dialect.delimiter and len(names) == 1 and d in names[0]]
    if others and not dialect.stated:
        sep = f"sep={others[0]}" if others[0] != "\t" else "sep= and a tab"
        remedy = f"save it with {dialect.delimiters}, or write {sep} as its first line"
        yield Violation(
            "table.delimiter", place, _DELIMITERS[others[0]], f"{dialect.delimiters} between the columns", remedy
        )
    elif names and all(_is_number(name) for name in names):
        found = f"numbers ({shown(', '.join(names))})"
        yield Violation("table.header", place, found, _NAMES, f"write {_NAMES} in the first line")
    elif len(names) > 1 and not names[0] and all(names[1:]):
        remedy = "name it, or leave it out (pandas: to_csv(..., index=False))"
        yield Violation("table.name", "column 1", "no name, as of an index", "a printable name", remedy)
    elif len(names) > 1 and not names[-1] and all(names[:-1]):
        remedy = f"remove the {dialect.delimiters} at the ends of the lines, or name the column"
        yield Violation("table.name", f"column {len(names)}", "no name", "a printable name", remedy)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parsed(source: Source, names: list[str], dialect: _Dialect, records: Records, wrong: _WrongRows) -> pyarrow.Table:
    """Return every column as text."""
    parsing = arrow_csv.ParseOptions(
        delimiter=dialect.delimiter,
        newlines_in_values=records.multiline,
        invalid_row_handler=wrong,
        ignore_empty_lines=True,
    )
    reading = arrow_csv.ReadOptions(use_threads=False, block_size=_BLOCK_NBYTES)
    converting = arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False
    )
    try:
        table = arrow_csv.read_csv(
            pyarrow.PythonFile(source.file, "r"),
            read_options=reading,
            parse_options=parsing,
            convert_options=converting,
        )
    except pyarrow.ArrowInvalid as error:
        raise _refusal(source, error) from error
    return gathered(table.to_batches(), table.schema, source)


def _typed(text: pyarrow.Table, dialect: _Dialect, records: Records) -> TableContent:
    columns = [typed(name, text.column(name)) for name in text.column_names]
    table = pyarrow.Table.from_arrays([column.values for column in columns], text.column_names)
    conversions = [column.conversion for column in columns if column.conversion]
    if dialect.stated:
        conversions.insert(0, f"{dialect.delimiters} between the columns, as the first line says")
    warnings = [*name_warnings(text.column_names), *(column.warning for column in columns if column.warning)]
    if table.num_columns == 1 and records.empty_lines:
        found, place = counted(records.empty_lines, "empty line"), f"line {records.first_empty_line}"
        remedy = 'write "" where a value is missing'
        warnings.append(Violation("table.empty_line", place, found, "a value; they are no rows", remedy, "warning"))
    if records.lone_returns:
        found = f"{counted(records.lone_returns, 'carriage return')} alone, and line feeds at other line ends"
        wanted = "one kind of line end; outside of quotes each is read as one"
        warnings.append(Violation("table.line_ends", "the table", found, wanted, "save it with one kind", "warning"))
    marked = {name: column.markers for name, column in zip(text.column_names, columns, strict=True) if column.markers}
    if marked:
        markers = ", ".join(sorted({marker for each in marked.values() for marker in each}))
        listed = ", ".join(shown(name) for name in [*marked][:_NAMES_SHOWN])
        listed += f" and {len(marked) - _NAMES_SHOWN} more" if len(marked) > _NAMES_SHOWN else ""
        found, wanted = f"the texts {markers} in the columns {listed}", "text; they are read as text, not as missing"
        remedy = "leave the field empty where a value is missing"
        warnings.append(Violation("table.missing_marker", "the table", found, wanted, remedy, "warning"))
    return TableContent(table, tuple(conversions), (*warnings, *swallowed_rows(table, dialect.delimiter)))


@dataclass(slots=True)
class _WrongRows:
    """Rows whose number of fields is not that of the header, gathered while they are skipped."""

    count: int = 0
    first: list[Any] = field(default_factory=list)
    widths: set[int] = field(default_factory=set)

    def __call__(self, row: Any) -> str:
        self.count += 1
        self.widths.add(row.actual_columns)
        if len(self.first) < _ROWS_SHOWN:
            self.first.append(row)
        return "skip"

    def breaches(self, names: list[str], dialect: _Dialect, records: Records) -> Iterator[Violation]:
        if self.count > 1 and self.count == records.count - 1 and len(self.widths) == 1:
            header = shown(dialect.delimiter.join(names))
            found = f"{counted(len(names), 'field')} ({header}), and {max(self.widths)} in every row"
            remedy = "remove what stands before the names, or name every column"
            yield Violation("table.header", f"line {dialect.first_line}", found, _NAMES, remedy)
            return
        lines_are_rows = not records.multiline and not records.empty_lines
        for row in self.first:
            place = f"line {dialect.first_line + row.number - 1}" if lines_are_rows else f"row {row.number - 2}"
            found = f"{counted(row.actual_columns, 'field')} ({shown(row.text)})"
            remedy = f"complete the row, or quote text that contains {dialect.delimiters}"
            yield Violation("table.row_length", place, found, f"{len(names)}, as in the header", remedy)


def _refusal(source: Source, error: pyarrow.ArrowInvalid) -> Exception:
    said = " ".join(str(error).split())
    if "UTF8" in said or "UTF-8" in said:
        source.file.seek(0)
        for number, line in enumerate(source.file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as foreign:
                found = _foreign_byte(line[foreign.start])
                return source.refuse("table.encoding", f"line {number}", found, "text in UTF-8", "save it as UTF-8")
    if "straddling" in said:
        found, remedy = (
            f"a row longer than {_BLOCK_NBYTES} bytes",
            "keep long texts in files, and their names in the table",
        )
        return source.refuse("table.text", "the table", found, "shorter rows", remedy)
    remedy = "mend that place, or export the table again"
    return source.refuse("table.text", "the table", f"text that cannot be read ({shown(said)})", _WANTED, remedy)


def _foreign_byte(byte: int) -> str:
    character = bytes((byte,)).decode("latin-1")
    return f"the byte 0x{byte:02x} that is no UTF-8" + (f" ({character} in Latin-1)" if character.isprintable() else "")
