"""CSV as people write it: every row is read, or the file is refused by a sentence that says where and what to do."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from smalti.errors import ContractBroken
from smalti.formats import TableContent, read_file
from smalti.formats.tables.csv_records import count_records

LAW = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(folder: Path, text: str | bytes, name: str = "t.csv") -> TableContent:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    content = read_file(folder / name)
    assert isinstance(content, TableContent)
    return content


def refused(folder: Path, text: str | bytes, name: str = "t.csv") -> str:
    with pytest.raises(ContractBroken) as caught:
        read(folder, text, name)
    return str(caught.value)


def read_or_refused(folder: Path, text: str) -> TableContent | str:
    try:
        return read(folder, text)
    except ContractBroken as error:
        return str(error)


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "unclosed quote": ('a,b\n1,x\n2,"y\n3,z\n4,w\n', "line 3: found a quote that is never closed and swallows the 2"),
    "unclosed quote at the end": ('a,b\n1,"x', "line 2: found a quote that is never closed, wanted"),
    "unclosed after a field of two lines": ('a,b\n1,"x\ny"\n2,"z\n3,w\n', "line 4: found a quote that is never closed"),
    "stray pair": ('a,b\n1,"x\n2,y\n3,"z\n', "line 2: found a quoted field that ends within text in line 4 and"),
    "text after a closing quote": ('a,b\n1,"x"y\n', "line 2: found a quoted field that ends within text (1,\"x\"y)"),
    "quote within a field": ('a,b\n1,5" pipe\n', "line 2: found a quote within an unquoted field (1,5\" pipe)"),
    "quote after a space": ('a,b\n1, "x, y"\n', "line 2: found a quote within an unquoted field"),
    "backslash before a quote": ('a,b\n1,"x\\"y"\n', "not with a backslash"),
    "zero byte": (b"a,b\n1,x\n2,y\0\n", "line 3: found a zero byte"),
    "UTF-16 without a mark": ("a,b\n1,2\n".encode("utf-16-le"), "line 1: found a zero byte"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "save it as UTF-8"),
    "Latin-1": ("a,b\n1,x\n2,é\n".encode("latin-1"), "line 3: found the byte 0xe9 that is no UTF-8 (é in Latin-1)"),
    "Latin-1 in the header": ("é,b\n1,x\n".encode("latin-1"), "line 1: found the byte 0xe9"),
    "line end in a name": ('"a\nb",c\n1,2\n', r"column 1: found the name 'a\nb', wanted a printable name"),
    "name twice": ("a,b,a\n1,2,3\n", "column a: found the same name twice"),
    "index of pandas": (",a\n0,1\n", "leave it out (pandas: to_csv(..., index=False))"),
    "delimiter at the end of lines": ("a,b,\n1,2,\n", "remove the commas at the ends of the lines"),
    "delimiter at the end of rows": ("a,b\n1,2,\n3,4,\n", "line 1: found 2 fields (a,b), and 3 in every row"),
    "comment before the header": ("# by X\na,b\n1,2\n", "line 1: found 1 field (# by X), and 2 in every row"),
    "comment at the end": ("a,b\n1,2\n3,4\n# end\n", "line 4: found 1 field (# end), wanted 2, as in the header"),
    "row after empty lines": ("a,b\n\n1,2\n3\n", "row 1: found 1 field (3)"),
    "semicolons": ("a;b\n1;2\n", "or write sep=; as its first line"),
    "unknown sep": ("sep=xy\na,b\n1,2\n", "line 1: found sep=xy"),
    "row of 13 MB": ("a,b\n1," + "x" * (13 << 20) + "\n", "found a row longer than 4194304 bytes"),
    "numbers for names": ("1,2\n3,4\n", "line 1: found numbers (1, 2)"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "says"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_certain_reading_is_refused_where_it_begins(tmp_path: Path, text: str | bytes, says: str) -> None:
    assert says in refused(tmp_path, text)


READ: dict[str, tuple[str | bytes, dict[str, list[Any]]]] = {
    "sep line": ("sep=;\na;b\n1;x,y\n", {"a": [1], "b": ["x,y"]}),
    "sep line of Excel": ("\ufeffsep=\t\r\na\tb\r\n1\t2\r\n", {"a": [1], "b": [2]}),
    "empty lines before the header": ("\n\r\na,b\n1,2\n", {"a": [1], "b": [2]}),
    "empty lines between rows": ("a,b\n1,2\n\n3,4\n\n", {"a": [1, 3], "b": [2, 4]}),
    "old Mac line ends": ("a,b\r1,2\r3,4", {"a": [1, 3], "b": [2, 4]}),
    "line ends of two kinds": ("a,b\r\n1,2\n3,4\r\n", {"a": [1, 3], "b": [2, 4]}),
    "quotes": ('a,b\n1,"x ""y"", z\n\n"\n2,""\n', {"a": [1, 2], "b": ['x "y", z\n\n', ""]}),
    "name with a comma": ('"a, b",c\n1,2\n', {"a, b": [1], "c": [2]}),
    "one column": ('a\n1\n""\n2\n', {"a": [1, None, 2]}),
    "no rows": ("a,b\n", {"a": [], "b": []}),
}


@pytest.mark.parametrize(("text", "columns"), READ.values(), ids=READ)
def test_what_has_one_reading_is_read(tmp_path: Path, text: str | bytes, columns: dict[str, list[Any]]) -> None:
    content = read(tmp_path, text)
    assert content.table.to_pydict() == columns
    assert content.violations == ()


def test_the_delimiter_of_a_sep_line_is_recorded(tmp_path: Path) -> None:
    assert read(tmp_path, "sep=;\na;b\n1;2\n").conversions == (
        "semicolons between the columns, as the first line says",
    )


WARNED: dict[str, tuple[str, str, str]] = {
    "swallowed rows": (
        'id,name,price\n1,"a,1.5\n2,b,2.5\n3,c",3.5\n4,d,4.5\n',
        "table.swallowed_rows",
        "column name: found 2 lines that look like rows within 1 quoted field (first in row 0",
    ),
    "space in a name": ("a, b\n1,2\n", "table.name", "column 2: found the name ' b', which begins or ends with"),
    "comment sign": ("# a,b\n1,2\n", "table.name", "column 1: found the name '# a', which begins with a #"),
    "empty line in one column": ("a\n1\n\n2\n", "table.empty_line", "line 3: found 1 empty line"),
    "line ends of three kinds": ("a,b\r\n1,2\n3,4\r5,6\n", "table.line_ends", "found 1 carriage return alone"),
    "marker in text": ("a,b\nx,NA\ny,z\n", "table.missing_marker", "the table: found the texts NA in the columns b"),
    "footer": ("a,b\n" + "1,2\n" * 20 + "Total,40\n", "table.number_as_text", "numbers but for 1 of 21 rows"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "code", "says"), WARNED.values(), ids=WARNED)
def test_what_could_be_read_in_two_ways_is_read_with_a_warning(tmp_path: Path, text: str, code: str, says: str) -> None:
    [warning] = read(tmp_path, text).violations
    assert (warning.code, warning.severity) == (code, "warning")
    assert says in str(warning)


def test_text_of_several_lines_is_not_taken_for_rows(tmp_path: Path) -> None:
    reviews = "".join(f'{i},"good, but\nnot cheap, and\nslow",{i}.5\n' for i in range(5))
    content = read(tmp_path, f"id,review,stars\n{reviews}")
    assert content.table.num_rows == 5
    assert content.violations == ()


cells = st.text(st.sampled_from("ab1 .,;\t|\"'\n\r\\é#"), max_size=6)
rows = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=0, max_size=6)
)
DELIMITERS = {",": "", ";": "sep=;\n", "\t": "sep=\t\n", "|": "sep=|\n"}


@st.composite
def written(draw: st.DrawFn) -> tuple[str, list[list[str]]]:
    """A table as the csv module writes it, and its rows."""
    table, delimiter = draw(rows), draw(st.sampled_from([*DELIMITERS]))
    names = [f"c{i}" for i in range(len(table[0]) if table else 3)]
    out = io.StringIO()
    style = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    if style == csv.QUOTE_MINIMAL:  # before Python 3.13 it quotes no line end but its own
        table = [[cell.translate({ord(c): None for c in "\r\n" if c not in end}) for cell in row] for row in table]
    csv.writer(out, delimiter=delimiter, quoting=style, lineterminator=end).writerows([names, *table])
    return DELIMITERS[delimiter] + out.getvalue(), table


def as_text(content: TableContent) -> list[list[str]]:
    """The cells, where every column is text."""
    return [list(row) for row in zip(*(column.to_pylist() for column in content.table.columns), strict=True)]


@LAW
@given(written())
def test_what_the_csv_module_writes_is_read_to_the_byte(tmp_path: Path, case: tuple[str, list[list[str]]]) -> None:
    text, table = case
    content = read(tmp_path, text)
    assert content.table.num_rows == len(table)
    for at, column in enumerate(content.table.columns):
        if pa.types.is_string(column.type):
            assert column.to_pylist() == [row[at] for row in table]


@LAW
@given(written(), st.data())
def test_one_quote_more_or_less_never_loses_a_row_in_silence(
    tmp_path: Path, case: tuple[str, list[list[str]]], data: st.DataObject
) -> None:
    text, table = case
    begin = text.index("c0") - 1 if text[text.index("c0") - 1] == '"' else text.index("c0")
    quotes = [at for at in range(begin, len(text)) if text[at] == '"']
    if quotes and data.draw(st.booleans()):
        at = data.draw(st.sampled_from(quotes))
        damaged = text[:at] + text[at + 1 :]
    else:
        at = data.draw(st.integers(begin, len(text)))
        damaged = text[:at] + '"' + text[at:]
    content = read_or_refused(tmp_path, damaged)
    if isinstance(content, TableContent):
        assert content.table.num_rows == len(table)
    else:
        assert "line " in content


@LAW
@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["", "a", "b c"])), min_size=1, max_size=6), st.data())
def test_two_quotes_too_many_never_lose_a_row_in_silence(
    tmp_path: Path, table: list[tuple[int, str]], data: st.DataObject
) -> None:
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = "".join(f"{at},{name},{at}.5{end}" for at, name in table)
    first, second = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    content = read_or_refused(tmp_path, f'id,name,price{end}{text[:first]}"{text[first:second]}"{text[second:]}')
    if isinstance(content, TableContent) and content.table.num_rows < len(table):
        assert {warning.code for warning in content.violations} & {"table.swallowed_rows", "table.line_ends"}


@LAW
@given(st.text(st.sampled_from('a1,"\n\r'), max_size=30))
def test_the_count_of_records_is_that_of_a_strict_parser(text: str) -> None:
    try:
        strict = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error:
        strict = None
    records = count_records(io.BytesIO(text.encode()), ",")
    if strict is None:
        assert records.breach is not None
    elif records.breach is None:
        assert records.count == len(strict)
    else:
        assert "a quote within an unquoted field" in records.breach.found


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from('a,"\n\r'), max_size=25), st.integers(1, 5))
def test_where_a_block_ends_does_not_matter(text: str, nbytes: int) -> None:
    data = text.encode()
    whole = count_records(io.BytesIO(data), ",")
    cut = count_records(io.BytesIO(data), ",", block_nbytes=nbytes)
    if whole.breach is None:
        assert cut == whole
    else:
        assert cut.breach is not None
        assert cut.breach.place == whole.breach.place


frames = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.none() | st.integers(-(2**31), 2**31),
        st.integers(2**63, 2**64 - 1),
        st.floats(allow_nan=False),
        st.booleans(),
        st.datetimes(pd.Timestamp("1700-01-01"), pd.Timestamp("2200-01-01")).map(
            lambda at: at.replace(second=1, microsecond=0)
        ),
        cells.map(lambda text: f"text {text}".replace("\r", "")),
    ),
    min_size=1,
    max_size=6,
)


@settings(LAW, max_examples=40)
@given(frames, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
def test_what_pandas_writes_is_read_as_the_same_values(
    tmp_path: Path, table: list[tuple[Any, ...]], quoting: int
) -> None:
    names = ["whole", "gaps", "unsigned", "number", "flag", "at", "text"]
    assume(any(row[1] is not None for row in table))
    frame = pd.DataFrame({name: [row[i] for row in table] for i, name in enumerate(names)})
    frame["gaps"], frame["unsigned"] = frame["gaps"].astype("Int64"), frame["unsigned"].astype("uint64")
    content = read(tmp_path, frame.to_csv(index=False, quoting=quoting))
    assert content.table.to_pylist() == [dict(zip(names, row, strict=True)) for row in table]
    assert [str(kind) for kind in content.table.schema.types[:5]] == ["int64", "int64", "uint64", "double", "bool"]
