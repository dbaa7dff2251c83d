"""What a template is: a name, the columns it asks for, and the texts it makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pyarrow as pa

from smalti.errors import Refused
from smalti.templates.clauses import Clause, DerivedClause, joined
from smalti.templates.inputs import require_text

_ROWS_AT_ONCE = 1 << 16


@runtime_checkable
class TextTemplate(Protocol):
    """What a template has; ``ClauseTemplate`` is the one to write.

    Attributes:
        name: what it is asked for by. It ends in a version, as ``titanic_v1``: texts that a model was trained on must
            be made again as they were, so a template that is changed gets another name.
        columns: the names of the columns that must be there.
    """

    @property
    def name(self) -> str: ...

    @property
    def columns(self) -> tuple[str, ...]: ...

    def texts(self, columns: Mapping[str, pa.Array]) -> pa.Array:
        """Return N texts, none of them null, from arrays of N values, one for each of ``columns``.

        Text comes as large_string and floating point numbers as float64, where NaN is null. A text depends on its own
        row only: rows come in batches, and one by one.
        """
        ...


@dataclass(frozen=True, slots=True)
class ClauseTemplate:
    """A template made of clauses, written in their order: ``sex female, class 3, age 22 years``."""

    name: str
    clauses: tuple[Clause | DerivedClause, ...]

    def __post_init__(self) -> None:
        if not self.clauses:
            raise Refused(f"template {self.name!r} has no clauses; give it one for each column that is to be written")
        labels = [clause.label for clause in self.clauses]
        repeated = sorted({label for label in labels if labels.count(label) > 1})
        if repeated:
            raise Refused(
                f"template {self.name!r} has several clauses labelled {repeated[0]!r}; label each differently"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns its clauses are written from, in the order in which they are first used."""
        return tuple(dict.fromkeys(name for clause in self.clauses for name in clause.columns))

    def texts(self, columns: Mapping[str, pa.Array]) -> pa.Array:
        """Return one text for each row."""
        return joined([clause.texts(columns) for clause in self.clauses])


def texts_of(template: TextTemplate, table: pa.Table) -> list[str]:
    """Return the texts of the rows of a table that ``table_of`` made.

    Raises:
        Refused: a column that the template asks for is not there or holds what has no text, or the template did not
            give one text for each row.
    """
    absent = [name for name in template.columns if name not in table.column_names]
    if absent:
        raise Refused(
            f"template {template.name!r} asks for {', '.join(map(repr, absent))}, and the table has only "
            f"{', '.join(table.column_names) or 'no columns'}; add what is absent, or take another template"
        )
    require_text(table, template.columns)
    texts: list[str] = []
    for start in range(0, table.num_rows, _ROWS_AT_ONCE):
        rows = table.slice(start, _ROWS_AT_ONCE)
        made = template.texts({name: _one_array(rows.column(name)) for name in template.columns})
        if len(made) != rows.num_rows or made.null_count:
            found = f"{len(made)} of which {made.null_count} are null"
            raise Refused(f"template {template.name!r} made of {rows.num_rows} rows not as many texts, but {found}")
        texts += made.to_pylist()
    return texts


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], column.type)])
