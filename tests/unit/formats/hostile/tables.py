"""Hostile and broken tables and tensors: CSV, TSV, JSON lines, Parquet, Arrow, safetensors."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from tests.unit.formats.hostile.making import Case, holding


def csv(text: str | bytes, says: str, name: str = "table.csv") -> Case:
    return Case(holding(text if isinstance(text, bytes) else text.encode()), says, name)


def jsonl(text: str, says: str) -> Case:
    return csv(text, says, "table.jsonl")


def plain_table(rows: int = 50) -> pyarrow.Table:
    return pyarrow.table({"number": range(rows), "text": [f"word {i}" for i in range(rows)]})


def parquet_bytes(table: pyarrow.Table | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(plain_table() if table is None else table, buffer, **options)
    return buffer.getvalue()


def arrow_bytes(table: pyarrow.Table | None = None, compression: str | None = None) -> bytes:
    table, buffer = plain_table() if table is None else table, io.BytesIO()
    options = pyarrow.ipc.IpcWriteOptions(compression=compression)
    with pyarrow.ipc.new_file(buffer, table.schema, options=options) as file:
        file.write_table(table)
    return buffer.getvalue()


def parquet_case(data: bytes, says: str) -> Case:
    return Case(holding(data), says, "table.parquet")


def arrow_case(data: bytes, says: str) -> Case:
    return Case(holding(data), says, "table.arrow")


def repeated_word() -> pyarrow.Table:
    """A text of 100 kB on each of 20,000 rows: 2 GB that a dictionary keeps in a few hundred bytes."""
    words = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 20_000, "int32"), ["x" * 100_000])
    return pyarrow.table({"text": words})


def nested_columns() -> pyarrow.Table:
    """A number within 300 structures."""
    values = pyarrow.array([1])
    for _ in range(300):
        values = pyarrow.StructArray.from_arrays([values], ["a"])
    return pyarrow.table({"a": values})


def wild_offsets() -> bytes:
    """Text whose offsets lead out of its buffer."""
    data = arrow_bytes(pyarrow.table({"text": ["abcdefgh" * 4, "ijkl"]}))
    offsets = np.array([0, 32, 36], "<i4").tobytes()
    return data.replace(offsets, np.array([0, 1 << 30, 36], "<i4").tobytes())


def tensors(table: dict[str, Any] | bytes, data: bytes = bytes(24), says: str = "", length: int | None = None) -> Case:
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    head = (len(text) if length is None else length).to_bytes(8, "little")
    return Case(holding(head + text + data), says, "model.safetensors")


def tensor(start: int, end: int, shape: Any = (3,), dtype: str = "F64") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape if isinstance(shape, str) else list(shape), "data_offsets": [start, end]}


ROWS = "".join(f"{i},{i * i},word\n" for i in range(40))
PARQUET, ARROW = parquet_bytes(), arrow_bytes()

CASES = {
    # CSV
    "short row": csv(f"a,b,c\n{ROWS}1,2\n{ROWS}", "2 fields"),
    "long row": csv(f"a,b,c\n{ROWS}1,2,3,4\n{ROWS}", "4 fields"),
    "semicolons": csv("a;b;c\n1;2;3\n", "semicolons"),
    "tabs in CSV": csv("a\tb\tc\n1\t2\t3\n", "tabs"),
    "commas in TSV": csv("a,b,c\n1,2,3\n", "commas", "table.tsv"),
    "no header": csv(ROWS.replace("word", "7"), "write the names of the columns"),
    "same column twice": csv("a,b,a\n1,2,3\n", "the same name twice"),
    "column without a name": csv("a,,c\n1,2,3\n", "no name"),
    "control character in a name": csv("a,b\x1b[2J,c\n1,2,3\n", "a printable name"),
    "5000 columns": csv(",".join(f"c{i}" for i in range(5000)) + "\n", "1 to 4096"),
    "endless first line": csv("a" * (2 << 20), "a first line of"),
    "Latin-1": csv(f"a,b,c\n{ROWS}".encode() + "1,2,Läufe\n".encode("latin-1"), "save it as UTF-8"),
    "Latin-1 header": csv("größe,b\n1,2\n".encode("latin-1"), "save it as UTF-8"),
    "UTF-16": csv("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
    "zero bytes": csv(b"a,b\0\n1,2\n", "a zero byte"),
    "zeros behind a header": csv(b"a,b,c\n" + bytes(5000), "line 2: found a zero byte"),
    "open quote": csv(f'a,b,c\n1,"2,3\n{ROWS}', "line 2: found a quote that is never closed and swallows the 40 lines"),
    "only a header": csv("a,b,c\n", "table.csv"),
    "empty table": csv("", "an empty file"),
    "only line ends": csv("\n\n\n", "columns"),
    "a web page as CSV": csv("<!DOCTYPE html><html></html>", "a web page"),
    # JSON lines
    "line that is no JSON": jsonl('{"a": 1}\n{"a": oops}\n', "text that cannot be read"),
    "array of objects": jsonl('[{"a": 1}, {"a": 2}]\n', "write one object on each line"),
    "line cut short": jsonl('{"a": 1}\n{"a": ', "text that cannot be read"),
    "same name twice in a line": jsonl('{"a": 1, "a": 2}\n', "text that cannot be read"),
    "number and text": jsonl('{"a": 1}\n{"a": "one"}\n', "text that cannot be read"),
    "50,000 brackets": jsonl('{"a": ' + "[" * 50_000 + "]" * 50_000 + "}\n", "nested too deep"),
    "one line of 2 MB": jsonl('{"a": "' + "x" * (2 << 20) + '"}\n', "write one object on each line"),
    "5000 names": jsonl(json.dumps({f"c{i}": 1 for i in range(5000)}) + "\n", "1 to 4096"),
    "a name of its own on each line": jsonl("".join(f'{{"c{i}": 1}}\n' for i in range(20_000)), "table.jsonl"),
    "name with a control character": jsonl('{"a\\u001b": 1}\n', "a printable name"),
    # Parquet
    "Parquet cut in half": parquet_case(PARQUET[: len(PARQUET) // 2], "a whole Parquet file"),
    "Parquet cut by a byte": parquet_case(PARQUET[:-1], "a whole Parquet file"),
    "Parquet without a footer": parquet_case(b"PAR1" + bytes(100), "a whole Parquet file"),
    "footer of 2 GB": parquet_case(PARQUET[:-8] + b"\xff\xff\xff\x7fPAR1", "a whole Parquet file"),
    "footer of ones": parquet_case(PARQUET[:-80] + b"\xff" * 72 + PARQUET[-8:], "a whole Parquet file"),
    "pages of ones": parquet_case(PARQUET[:4] + b"\xff" * 200 + PARQUET[204:], "a whole Parquet file"),
    "encrypted Parquet": parquet_case(b"PARE" + bytes(100) + b"PARE", "decrypt it first"),
    "5000 columns of Parquet": parquet_case(parquet_bytes(pyarrow.table({f"c{i}": [1] for i in range(4100)})), "4096"),
    "dictionary bomb": parquet_case(parquet_bytes(repeated_word(), store_schema=False), "table.parquet"),
    "zeros bomb": parquet_case(parquet_bytes(pyarrow.table({"a": np.zeros(10 << 20)}), compression="zstd"), "at most"),
    "control character in a column": parquet_case(parquet_bytes(pyarrow.table({"a\n": [1]})), "a printable name"),
    "300 structures deep": parquet_case(parquet_bytes(nested_columns()), "table.parquet"),
    "no columns": parquet_case(parquet_bytes(pyarrow.table({})), "0 columns"),
    # Arrow
    "Arrow cut in half": arrow_case(ARROW[: len(ARROW) // 2], "a whole Arrow file"),
    "Arrow cut by a byte": arrow_case(ARROW[:-1], "a whole Arrow file"),
    "Arrow of nothing": arrow_case(b"ARROW1\0\0" + bytes(100), "a whole Arrow file"),
    "Arrow footer of ones": arrow_case(ARROW[:-60] + b"\xff" * 50 + ARROW[-10:], "a whole Arrow file"),
    "Arrow stream of nothing": arrow_case(b"\xff\xff\xff\xff\xff\xff\xff\x7f", "a whole Arrow file"),
    "offsets that lead out": arrow_case(wild_offsets(), "a whole Arrow file"),
    "Arrow bomb": arrow_case(arrow_bytes(pyarrow.table({"a": np.zeros(10 << 20)}), "zstd"), "at most"),
    "same Arrow column twice": arrow_case(arrow_bytes(pyarrow.Table.from_arrays([[1], [2]], ["a", "a"])), "twice"),
    "Feather 1": arrow_case(b"FEA1" + bytes(100) + b"FEA1", "Feather file of version 1"),
    # safetensors
    "table of 8 EB": tensors({"x": tensor(0, 24)}, length=(1 << 63) - 1, says="a table of 9223372036854775807 bytes"),
    "table longer than the file": tensors({"x": tensor(0, 24)}, length=9999, says="a table of 9999 bytes"),
    "table that is no JSON": tensors(b'{"x": oops}', says="a whole safetensors file"),
    "tensor twice": tensors(b'{"x": %b, "x": %b}' % ((json.dumps(tensor(0, 24)).encode(),) * 2), says="given twice"),
    "tensors that overlap": tensors({"x": tensor(0, 24), "y": tensor(8, 24, (2,))}, says="overlap"),
    "hole between tensors": tensors({"x": tensor(8, 24, (2,))}, says="a hole"),
    "data behind the tensors": tensors({"x": tensor(0, 24)}, bytes(30), says="30 bytes of data"),
    "tensors cut short": tensors({"x": tensor(0, 24)}, bytes(20), says="20 bytes of data"),
    "shape that lies": tensors({"x": tensor(0, 24, (1 << 40,))}, says="wanted 8796093022208 bytes"),
    "negative offsets": tensors({"x": tensor(-24, 0)}, says="numbers that are no sizes"),
    "shape in words": tensors({"x": tensor(0, 24, "three")}, says="numbers that are no sizes"),
    "unknown dtype": tensors({"diffraction": tensor(0, 24, (24,), "F8_E4M3")}, says="convert it to F32"),
    "table nested deep": tensors(b'{"x": ' + b"[" * 99_999 + b"]" * 99_999 + b"}", says="a whole safetensors file"),
}  # fmt: skip
