"""What the columns of a table hold, which of them is the target, and what kind of competition that makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smalti.errors import NotFound
from smalti.templates.column_roles import ColumnFacts, Judgement, Role, role_of
from smalti.templates.inputs import table_of
from smalti.templates.labels import label_of
from smalti.templates.targets import Competition, TargetCandidate, candidates_of, clear_winner, competition_of

if TYPE_CHECKING:
    from smalti.templates.inputs import TableLike


@dataclass(frozen=True, slots=True)
class ColumnDescription:
    """What one column holds.

    Attributes:
        name: its name.
        role: ``target``, ``id``, ``number``, ``category``, ``text``, ``date`` (days, times and moments), ``boolean``,
            ``constant``, or ``other`` for what has no one text, as lists.
        confidence: how sure the role is, from 0 to 1.
        reason: why, in words.
        unit: of its numbers, where its name says so; else empty.
        n_missing: in how many rows the value is missing; empty text is a missing value.
    """

    name: str
    role: Role
    confidence: float
    reason: str
    unit: str
    n_missing: int


@dataclass(frozen=True, slots=True)
class TableDescription:
    """What a table holds.

    Attributes:
        columns: in the table's order.
        target: the column to be predicted; None, where no column is clearly ahead of the others.
        candidates: the columns that may be the target, best first.
        competition_type: ``binary_classification``, ``multiclass_classification``, ``regression`` or ``unknown``, spelt
            as the values of ``CompetitionType``.
        competition_confidence: how sure that is, from 0 to 1, given that ``target`` is the target.
        competition_reason: why, in words.
    """

    columns: tuple[ColumnDescription, ...]
    target: str | None
    candidates: tuple[TargetCandidate, ...]
    competition_type: str
    competition_confidence: float
    competition_reason: str

    def __getitem__(self, name: str) -> ColumnDescription:
        """Return the description of the column of this name; raises NotFound."""
        for column in self.columns:
            if column.name == name:
                return column
        raise NotFound(f"there is no column {name!r}; there are {', '.join(column.name for column in self.columns)}")


def describe_columns(data: TableLike, test: TableLike | None = None, target: str | None = None) -> TableDescription:
    """Return what the columns of a table hold; it depends on names and values, not on the form or dtypes of the table.

    Args:
        data: the training table: a pandas DataFrame, a pyarrow Table or a dict of columns.
        test: the table to predict on, which lacks the target: the strongest evidence of which column that is.
        target: the column to be predicted, where it is known; then nothing is inferred about that.

    Raises:
        NotFound: there is no column ``target``.
        Refused: the data is no table.
    """
    table = table_of(data)
    columns = [ColumnFacts(name, at, table.column(name)) for at, name in enumerate(table.column_names)]
    roles = [role_of(facts) for facts in columns]
    if target is None:
        test_names = set(table_of(test).column_names) if test is not None else None
        candidates = candidates_of(columns, roles, test_names)
        chosen = clear_winner(candidates)
    else:
        if target not in table.column_names:
            raise NotFound(f"there is no column {target!r} to be the target; there are {', '.join(table.column_names)}")
        chosen = TargetCandidate(target, 1.0, "it was given as the target")
        candidates = (chosen,)
    competition = _competition(columns, chosen, candidates)
    described = tuple(_described(facts, role, chosen) for facts, role in zip(columns, roles, strict=True))
    return TableDescription(described, chosen.name if chosen else None, candidates, *competition)


def _described(facts: ColumnFacts, role: Judgement, chosen: TargetCandidate | None) -> ColumnDescription:
    if chosen is not None and facts.name == chosen.name:
        role = Judgement("target", chosen.confidence, chosen.reason)
    unit = label_of(facts.name).unit if facts.kind == "number" else ""
    return ColumnDescription(facts.name, *role, unit, facts.n_missing)


def _competition(
    columns: list[ColumnFacts], chosen: TargetCandidate | None, candidates: tuple[TargetCandidate, ...]
) -> Competition:
    if chosen is not None:
        return competition_of(next(facts for facts in columns if facts.name == chosen.name))
    named = ", ".join(f"{each.name} ({each.confidence:g})" for each in candidates)
    return Competition(
        "unknown", 0.0, f"the target is not clear: {named}" if named else "no column looks like a target"
    )
