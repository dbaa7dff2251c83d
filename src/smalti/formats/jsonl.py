"""A table out of JSON lines: one object on each line, the same kind of value under a name in all of them."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow
from pyarrow import json as arrow_json

from smalti.contracts.violation import shown
from smalti.formats.columns import gathered, require_names
from smalti.formats.source import Source

_WANTED = "one JSON object on each line"
_LONGEST_LINE_NBYTES = 1 << 20
_DEEPEST = 32


def read(source: Source, _wanted: Collection[str] | None = None) -> pyarrow.Table:
    """Return the table; a name that a line lacks is null there."""
    with source.mapped("the file", _WANTED):
        _require_flat_lines(source)
        source.claim("the table", source.nbytes, "split it into several files")
        reading = arrow_json.ReadOptions(use_threads=False, block_size=_LONGEST_LINE_NBYTES)
        try:
            table = arrow_json.read_json(pyarrow.PythonFile(source.file, "r"), read_options=reading)
        except pyarrow.ArrowInvalid as error:
            found = f"text that cannot be read ({shown(' '.join(str(error).split()))})"
            remedy = "mend that line, or export the table again"
            raise source.refuse("table.text", "the table", found, _WANTED, remedy) from error
        require_names(table.column_names, source)
        return gathered(table.to_batches(), table.schema, source)


def _require_flat_lines(source: Source) -> None:
    """Look at every line before it is parsed: its first byte, its length, and how deep it may nest."""
    number = 0
    while line := source.file.readline(_LONGEST_LINE_NBYTES):
        number += 1
        place = f"line {number}"
        if len(line) == _LONGEST_LINE_NBYTES:
            found, wanted = f"a line of {len(line)} bytes or more", f"less than {_LONGEST_LINE_NBYTES}"
            raise source.refuse("table.text", place, found, wanted, "write one object on each line")
        if line.strip() and not line.lstrip().startswith(b"{"):
            found = f"text that begins with {shown(line.strip()[:12].decode(errors='replace'))}"
            raise source.refuse("table.text", place, found, "a JSON object", "write one object on each line")
        if line.count(b"[") + line.count(b"{") > _DEEPEST and _depth(line) > _DEEPEST:
            found = "values nested too deep"
            raise source.refuse("table.text", place, found, f"at most {_DEEPEST} levels", "flatten the table")
    source.file.seek(0)


def _depth(line: bytes) -> int:
    """Return how deep brackets nest, those in text included: a bound from above."""
    depth = deepest = 0
    for byte in line:
        depth += (byte in b"[{") - (byte in b"]}")
        deepest = max(deepest, depth)
    return deepest
