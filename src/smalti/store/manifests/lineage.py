"""Lineage by content: which values were made from which, followed from step to step to any depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Direction = Literal["downstream", "upstream"]


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of a run that read one value and wrote another.

    Attributes:
        depth: how many steps lie between this and the value that was asked about; 1 is next to it.
        run, step: what did it; ``step`` is "" for a run that has no steps.
        read, wrote: the addresses; None where the step wrote nothing, or read nothing.
        by: the value that led here, where the step used what it is a part of, or a part of it, instead; else None.
    """

    depth: int
    run: str
    step: str
    read: str | None
    wrote: str | None
    by: str | None = None


class Passage(NamedTuple):
    """A step that read a value, with the other values that it wrote; or that wrote it, with those that it read."""

    run: str
    step: str
    others: list[str]


def walk(
    address: str,
    direction: Direction,
    passages_of: Callable[[str], Iterable[Passage]],
    depth: int | None = None,
    related_to: Callable[[str], Iterable[str]] = lambda value: (value,),
) -> list[Hop]:
    """Return every hop that leads from a value to others, nearest first; each value is followed once.

    Args:
        passages_of: of a value, the steps that read it (downstream), or that wrote it (upstream).
        depth: follow so many steps at most; None: all.
        related_to: of a value, itself and the values that it is a part of or consists of, which lead on as well.
    """
    found: list[Hop] = []
    seen, followed, level, at = {address}, set[str](), [address], 0
    while level and (depth is None or at < depth):
        at += 1
        further: dict[str, None] = {}
        for near in level:
            for value in related_to(near):
                if value in followed:
                    continue
                followed.add(value)
                for run, step, others in passages_of(value):
                    ends_at: Sequence[str | None] = others or [None]
                    for other in ends_at:
                        read, wrote = (value, other) if direction == "downstream" else (other, value)
                        found.append(Hop(at, run, step, read, wrote, None if value == near else near))
                        if other is not None and other not in seen:
                            further[other] = None
        seen |= further.keys()
        level = list(further)
    return found
