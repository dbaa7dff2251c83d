"""One breach of a contract: what was found where, what was wanted, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from smalti.errors import ContractBroken

Severity = Literal["error", "warning"]

_SHOWN_LENGTH = 80
_SHOWN_VIOLATIONS = 12


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach, and a sentence about it.

    Attributes:
        code: stable name of the rule that was broken, e.g. ``dimension.mismatch``; for programs.
        place: where: an array, a column, a member of the archive, a field of the card, or the file.
        found: what is there, as a noun phrase.
        wanted: what the rule asks for, as a noun phrase.
        remedy: what a person does about it, as a command.
        severity: an ``error`` rejects the input, a ``warning`` accepts it and is shown.
        index: of the first value in ``place`` that breaks the rule, counted from 0; empty where there is no one value.

    >>> print(Violation("array.rank", "xcoords", "shape (5, 3)", "shape (N)", "save one column"))
    xcoords: found shape (5, 3), wanted shape (N); save one column.
    """

    code: str
    place: str
    found: str
    wanted: str
    remedy: str
    severity: Severity = "error"
    index: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.place}: found {self.found}, wanted {self.wanted}; {self.remedy}."


def errors(violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """Return those that reject the input."""
    return tuple(v for v in violations if v.severity == "error")


def broken(source: str, violations: Iterable[Violation]) -> ContractBroken:
    """Return the error to raise: one line for each violation, each naming ``source``, up to twelve."""
    listed = tuple(violations)
    sentences = [f"{shown(source)}: {violation}" for violation in listed[:_SHOWN_VIOLATIONS]]
    if len(listed) > _SHOWN_VIOLATIONS:
        sentences.append(f"{shown(source)}: and {len(listed) - _SHOWN_VIOLATIONS} more violations.")
    return ContractBroken("\n".join(sentences), listed)


def shown(name: str) -> str:
    """Return a foreign name as it may be printed: no control or bidirectional characters, bounded length.

    A long one loses its middle: a path keeps the name of its file.

    >>> shown("scan.npz"), shown("a\\nb")
    ('scan.npz', 'a\\\\nb')
    """
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)
    return plain if len(plain) <= _SHOWN_LENGTH else f"{plain[:36]}...{plain[36 + 3 - _SHOWN_LENGTH :]}"
