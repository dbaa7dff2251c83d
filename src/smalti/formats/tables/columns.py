"""What every table must have before a contract is asked: columns with names of their own, and sound buffers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow

from smalti.contracts.violation import Violation, shown
from smalti.formats.source import Source

_LONGEST_NAME = 255
_REMEDY = "give each column a name of its own"


def require_names(names: list[str], source: Source) -> None:
    """Raise ContractBroken unless there are columns, not too many, each with a plain name of its own."""
    source.require(_name_breaches(names, source))


def name_warnings(names: list[str]) -> Iterator[Violation]:
    """Yield a warning for each name that is not what it seems when it is printed; names are kept to the byte."""
    for at, name in enumerate(names):
        spaces = name != name.strip()
        if spaces or (name.startswith("#") and len(name) > 1):
            found = f"the name {shown(repr(name))}, which begins {'or ends with a space' if spaces else 'with a #'}"
            remedy = "leave it out of the name, unless it belongs to it"
            yield Violation("table.name", f"column {at + 1}", found, "a plain name", remedy, "warning")


def gathered(batches: Iterable[pyarrow.RecordBatch], schema: pyarrow.Schema, source: Source) -> pyarrow.Table:
    """Return the table that the batches make; each is validated before anything follows its offsets.

    Raises:
        ContractBroken: together they are more than a file of this size may hold.
    """
    kept, nbytes = [], 0
    for batch in batches:
        batch.validate(full=True)
        nbytes += batch.nbytes
        source.require(source.expansion_breaches("the table", nbytes, source.stored_nbytes, "split it into files"))
        kept.append(batch)
    return pyarrow.Table.from_batches(kept, schema)


def _name_breaches(names: list[str], source: Source) -> Iterator[Violation]:
    most = source.limits.columns
    if not 0 < len(names) <= most:
        yield Violation("table.columns", "the table", f"{len(names)} columns", f"1 to {most}", "split the table")
        return
    repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    for name in repeated[:3]:
        yield Violation("table.duplicate", f"column {shown(name)}", "the same name twice", "each name once", _REMEDY)
    for at, name in enumerate(names):
        if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
            found = f"the name {shown(repr(name))}" if name else "no name"
            yield Violation("table.name", f"column {at + 1}", found, "a printable name", _REMEDY)
            return
