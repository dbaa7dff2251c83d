"""What a table takes on disk, and what an edited one adds."""

from __future__ import annotations

from benchmarks.line import Line, Section, at_most
from benchmarks.store.measure import allocated_nbytes
from benchmarks.store.setup import Setup
from benchmarks.store.workload import table, table_edits
from smalti import open_store

_PERCENT = {"appended": (1.2, "1.14 %"), "inserted": (1.0, "0.41 %"), "deleted": (1.0, "0.31 %")}
_TABLE = "A table"


def measure(setup: Setup) -> list[Line | Section]:
    """Store a table and its edits, each edit into a store that holds the first table."""
    first = table(setup.scale.table_rows)
    lines: list[Line | Section] = []
    with setup.in_memory() as folder:
        store = open_store(folder)
        store.put(first)
        size = first_nbytes = allocated_nbytes(folder)
        for name, edited in table_edits(first).items():
            store.put(edited)
            previous, size = size, allocated_nbytes(folder)
            limit, before = _PERCENT.get(name.rsplit(" ", 1)[-1], (None, ""))
            percent, note = 100 * (size - previous) / first_nbytes, f"({(size - previous) / 1e6:.2f} MB)"
            what = f"bytes added: {name}"
            lines.append(at_most(limit, what, percent, "{:.2f} %", note=note, before=before, table=_TABLE))
    first_line = Line(f"a table of {len(first):,} rows", "", f"{first_nbytes / 1e6:.1f} MB", table=_TABLE)
    return [first_line, *lines]
