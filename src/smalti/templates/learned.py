"""What a converter learned from training rows, as plain JSON: which columns are written, and how."""

from __future__ import annotations

from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from smalti.errors import NotFound, Refused
from smalti.templates.base_template import ClauseTemplate, texts_of
from smalti.templates.builtin import BUILT_IN
from smalti.templates.clauses import Clause
from smalti.templates.columns import ColumnDescription, describe_columns
from smalti.templates.inputs import kind_of, require_text
from smalti.templates.labels import labels_of

_MOST_CATEGORIES = 100
_SURE = 0.9

Kind = Literal["number", "text", "boolean", "date", "duration", "nothing"]


class LearnedColumn(BaseModel):
    """How a column is written.

    Attributes:
        column: its name.
        kind: what its values were; ``nothing`` where all were missing, and then they may become anything.
        label, unit, missing: of its clause; no label, where a built-in template says how it is written.
        categories: its texts, where it is a category of no more than 100.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str
    kind: Kind
    label: str = ""
    unit: str = ""
    missing: str | None = "unknown"
    categories: tuple[str, ...] = ()


class Learned(BaseModel):
    """All that was learned.

    Attributes:
        format: of this document.
        template: the name of a built-in template; None, the template is made of ``columns``.
        target: the column to be predicted, which is never written.
        columns: those that are written, in this order.
        left_out: the other columns there were, and why each is not written.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    template: str | None = None
    target: str | None = None
    columns: tuple[LearnedColumn, ...]
    left_out: dict[str, str] = {}

    def made_template(self) -> ClauseTemplate:
        """Return the template that writes the rows; raises NotFound or Refused where the document is at fault."""
        if self.template is not None:
            return built_in(self.template)
        clauses = (Clause(each.label, each.column, each.unit, each.missing) for each in self.columns)
        return ClauseTemplate("automatic", tuple(clauses))

    def texts(self, table: pa.Table) -> list[str]:
        """Return one text for each row of a table that ``table_of`` made.

        Raises:
            Refused: a column is not there, or holds another kind of value than in the training rows.
        """
        absent = [each.column for each in self.columns if each.column not in table.column_names]
        if absent:
            raise Refused(
                f"the table lacks {', '.join(map(repr, absent))} of the columns that the converter was fitted on, "
                f"{', '.join(each.column for each in self.columns)}; add what is absent, or fit on rows without it"
            )
        for each in self.columns:
            kind = _kind(table, each.column)
            if kind != each.kind and "nothing" not in (kind, each.kind):
                raise Refused(
                    f"column {each.column!r} held values of the kind {each.kind} when the converter was fitted, and "
                    f"now {kind} ({table.schema.field(each.column).type}); give it as it was"
                )
        return texts_of(self.made_template(), table)

    def new_columns(self, table: pa.Table) -> str:
        """Return, in words, which columns are left out because the training rows had none of that name."""
        known = {self.target, *self.left_out, *(each.column for each in self.columns)}
        new = ", ".join(repr(name) for name in table.column_names if name not in known)
        return f"columns that were not there when the converter was fitted are left out: {new}" if new else ""

    def new_categories(self, table: pa.Table) -> str:
        """Return, in words, which texts the training rows did not have, in columns of categories."""
        found = []
        for each in self.columns:
            if each.categories and each.column in table.column_names and _kind(table, each.column) == "text":
                distinct = table.column(each.column).drop_null().unique()
                new = distinct.filter(pc.invert(pc.is_in(distinct, pa.array(each.categories, pa.large_string()))))
                if len(new):
                    found.append(f"{each.column} {', '.join(map(repr, sorted(new.to_pylist())[:3]))}")
        said = "categories not seen when the converter was fitted are written as they are"
        return f"{said}: {'; '.join(found)}" if found else ""


def built_in(name: str) -> ClauseTemplate:
    """Return the built-in template of this name; raises NotFound."""
    for template in BUILT_IN:
        if template.name == name:
            return template
    raise NotFound(f"there is no built-in template {name!r}; there are {', '.join(each.name for each in BUILT_IN)}")


def learned_of_template(template: ClauseTemplate, table: pa.Table, target: str | None) -> Learned:
    """Return what is to be known of training rows that a built-in template writes.

    Raises:
        Refused: a column that the template asks for is not there or has no text, or the template writes the target.
    """
    if target in template.columns:
        raise Refused(f"template {template.name!r} writes the column {target!r}, which is the target; take another")
    texts_of(template, table.slice(0, 1))
    columns = tuple(LearnedColumn(column=name, kind=_kind(table, name)) for name in template.columns)
    others = [name for name in table.column_names if name not in template.columns and name != target]
    why = f"{template.name} does not ask for it"
    return Learned(template=template.name, target=target, columns=columns, left_out=dict.fromkeys(others, why))


def learned_of_schema(table: pa.Table, target: str | None) -> Learned:
    """Return how the columns of training rows are written, by their names, types and values.

    Raises:
        Refused: a column holds what has no text, as lists; there is no column but ids, constants and the target; or
            there are columns and no rows.
    """
    if table.num_columns and not table.num_rows:
        raise Refused("the table has no rows to learn from; give the training rows")
    described = [column for column in describe_columns(table, target=target).columns if column.name != target]
    left_out = {column.name: f"{column.role}: {column.reason}" for column in described if _says_nothing(column)}
    kept = [column for column in described if column.name not in left_out]
    if not kept:
        why = "; ".join(f"{name}, {reason}" for name, reason in left_out.items()) or "there are no columns"
        raise Refused(f"nothing in the table is worth writing ({why}); give columns that vary from row to row")
    require_text(table, [column.name for column in kept])
    labels = labels_of([column.name for column in kept])
    columns = [
        LearnedColumn(
            column=column.name,
            kind=_kind(table, column.name),
            label=labels[column.name].words,
            unit=labels[column.name].unit,
            missing=None if 2 * column.n_missing > table.num_rows else "unknown",
            categories=_categories(table.column(column.name)) if column.role == "category" else (),
        )
        for column in kept
    ]
    return Learned(target=target, columns=tuple(columns), left_out=left_out)


def _says_nothing(column: ColumnDescription) -> bool:
    return column.role in ("id", "constant") and column.confidence >= _SURE


def _categories(values: pa.ChunkedArray) -> tuple[str, ...]:
    if kind_of(values.type) != "text":
        return ()
    distinct = values.drop_null().unique()
    return tuple(sorted(distinct.to_pylist())) if len(distinct) <= _MOST_CATEGORIES else ()


def _kind(table: pa.Table, name: str) -> Kind:
    return kind_of(table.schema.field(name).type)  # type: ignore[return-value]
