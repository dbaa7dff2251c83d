"""What a case of a benchmark gives: lines of the page's tables, and sections in its own words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """What was measured.

    Attributes:
        reached: None where there is nothing to be reached, or nothing was measured.
        before: what an earlier version reached, for the record.
        table: the heading of the table that the line is part of; "" for the one at the top.
    """

    measure: str
    to_reach: str
    measured: str
    reached: bool | None = None
    before: str = ""
    table: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page below the tables, in Markdown."""

    title: str
    text: str


def at_most(
    limit: float | None, measure: str, measured: float, form: str, *, note: str = "", before: str = "", table: str = ""
) -> Line:
    """Return the line of a figure that should be small; ``form`` writes it with its unit, ``note`` follows it."""
    reached = None if limit is None else measured <= limit
    return _line(limit, measure, measured, form, reached, (note, before, table))


def at_least(
    limit: float | None, measure: str, measured: float, form: str, *, note: str = "", before: str = "", table: str = ""
) -> Line:
    """Return the line of a figure that should be large; see :func:`at_most`."""
    reached = None if limit is None else measured >= limit
    return _line(limit, measure, measured, form, reached, (note, before, table), "≥ ")


def _line(
    limit: float | None,
    measure: str,
    measured: float,
    form: str,
    reached: bool | None,
    words: tuple[str, str, str],
    sign: str = "",
) -> Line:
    note, before, table = words
    to_reach = "" if limit is None else sign + form.format(limit)
    return Line(measure, to_reach, f"{form.format(measured)} {note}".rstrip(), reached, before, table)
