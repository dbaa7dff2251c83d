"""Which column is to be predicted, and what kind of competition that makes.

Evidence, strongest first: the column is in the training table and not in the test table; it has, as its whole name, one
that targets are known to have; it is the last one. No part of a name counts: ``Pclass`` is not ``class``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from smalti.templates.column_roles import FEW_ROWS, ColumnFacts, Judgement

_AHEAD = 0.25  # by how much the best candidate has to lead
_ENOUGH = 0.6
_WORTH_A_WORD = 0.2
_MOST_CLASSES = 50

# Whole names, in small letters and without separators; the figure is how sure the name alone makes it.
_KNOWN = {
    **dict.fromkeys(("target", "label", "y", "survived", "saleprice", "medhouseval", "medianhousevalue"), 0.9),
    **dict.fromkeys(("targets", "labels", "medv", "isfraud", "transported"), 0.85),
    **dict.fromkeys(("class", "outcome", "churn", "sentiment"), 0.8),
    **dict.fromkeys(("species", "diagnosis", "response", "exited", "loanstatus", "progression"), 0.7),
    **dict.fromkeys(("quality", "price", "rating"), 0.6),
}


@dataclass(frozen=True, slots=True)
class TargetCandidate:
    """A column that may be the target: how sure that is, from 0 to 1, and why, in words."""

    name: str
    confidence: float
    reason: str


class Competition(NamedTuple):
    """A kind of competition, spelt as the values of ``CompetitionType``; how sure that is, from 0 to 1, and why."""

    kind: str
    confidence: float
    reason: str


def is_known_target(name: str) -> bool:
    """Tell whether a column of this whole name is most often a target."""
    return _KNOWN.get(_plain(name), 0) >= 0.8


def candidates_of(
    columns: Sequence[ColumnFacts], roles: Sequence[Judgement], test: Collection[str] | None
) -> tuple[TargetCandidate, ...]:
    """Return the columns that may be the target, best first.

    Args:
        columns: those of the training table.
        roles: what each of them holds.
        test: the names of the columns of the test table, where there is one.
    """
    only_here = [facts.name for facts in columns if facts.name not in test] if test is not None else []
    found = []
    for facts, role in zip(columns, roles, strict=True):
        if only_here and facts.name not in only_here:
            continue
        candidate = _candidate(facts, role, facts.position == len(columns) - 1, len(only_here))
        if candidate.confidence >= _WORTH_A_WORD:
            found.append(candidate)
    return tuple(sorted(found, key=lambda candidate: -candidate.confidence))


def clear_winner(candidates: Sequence[TargetCandidate]) -> TargetCandidate | None:
    """Return the first candidate if it is likely and clearly ahead of the second."""
    if not candidates or candidates[0].confidence < _ENOUGH:
        return None
    second = candidates[1].confidence if len(candidates) > 1 else 0
    return candidates[0] if candidates[0].confidence - second >= _AHEAD else None


def competition_of(facts: ColumnFacts) -> Competition:
    """Return the kind of competition that predicting the column is."""
    competition = _competition(facts)
    if facts.n_rows >= FEW_ROWS or competition.kind == "unknown":
        return competition
    return competition._replace(confidence=min(competition.confidence, 0.6))


def _candidate(facts: ColumnFacts, role: Judgement, is_last: bool, n_only_here: int) -> TargetCandidate:
    suits = role.role in ("number", "category", "boolean")
    known = _KNOWN.get(_plain(facts.name), 0.0)
    reasons = [f"{facts.name} is a name that targets have"] if known else []
    if n_only_here:
        alone = n_only_here == 1
        confidence = 0.98 if alone else max(known, 0.5)
        others = "the only column" if alone else f"one of {n_only_here} columns"
        reasons.append(f"{others} that the test table lacks")
    else:
        confidence = known or (0.4 if is_last and suits else 0.0)
    if is_last:
        confidence = min(0.98, confidence + 0.05) if known or n_only_here else confidence
        reasons.append("the last column")
    if not suits:
        confidence *= 0.6
        reasons.append(f"but it looks like {_AS_WORDS.get(role.role, role.role)}")
    return TargetCandidate(facts.name, round(confidence, 2), ", ".join(reasons) or "nothing speaks for it")


_AS_WORDS = {"id": "an id", "text": "free text", "date": "dates", "constant": "a constant", "other": "no single value"}


def _competition(facts: ColumnFacts) -> Competition:
    if facts.kind not in ("number", "text", "boolean"):
        return Competition("unknown", 0.0, f"{facts.name} holds {facts.values.type}")
    n_distinct = len(facts.distinct)
    if n_distinct < 2:
        return Competition("unknown", 0.0, f"{facts.name} has no two different values")
    if n_distinct == 2:
        return Competition("binary_classification", 0.95, f"{facts.name} has two different values")
    by_values = _competition_of_texts if facts.kind == "text" else _competition_of_numbers
    return by_values(facts, n_distinct)


def _competition_of_numbers(facts: ColumnFacts, n_distinct: int) -> Competition:
    if not facts.is_whole:
        return Competition("regression", 0.97, f"{facts.name} holds numbers with fractions")
    counts_on = facts.span == n_distinct - 1
    if counts_on and n_distinct <= _MOST_CLASSES and facts.n_rows >= 5 * n_distinct:
        confidence = 0.9 if n_distinct <= 10 else 0.7
        reason = f"{facts.name} holds {n_distinct} whole numbers without a gap, each often"
        return Competition("multiclass_classification", confidence, reason)
    if n_distinct <= 10 and facts.n_rows >= 5 * n_distinct:
        return Competition("multiclass_classification", 0.6, f"{facts.name} holds only {n_distinct} different numbers")
    if n_distinct <= 10:
        held = f"{facts.name} holds {n_distinct} whole numbers in {facts.n_rows} rows"
        return Competition("unknown", 0.0, f"{held}, too few to tell whether they are classes")
    return Competition("regression", 0.9, f"{facts.name} holds {n_distinct} different numbers")


def _competition_of_texts(facts: ColumnFacts, n_distinct: int) -> Competition:
    if 2 * n_distinct > facts.n_rows:
        return Competition("unknown", 0.0, f"{facts.name} holds texts that hardly repeat")
    confidence = 0.95 if n_distinct <= _MOST_CLASSES else 0.7
    return Competition("multiclass_classification", confidence, f"{facts.name} holds {n_distinct} different texts")


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter not in " _-.")
