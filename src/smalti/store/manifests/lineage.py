"""Lineage by content: which values were made from which, followed from step to step to any depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from smalti.store.manifests.manifest import Step

Direction = Literal["downstream", "upstream"]


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of a run that read one value and wrote another.

    Attributes:
        depth: how many steps lie between this and the value that was asked about; 1 is next to it.
        run, step: what did it; ``step`` is "" for a run that has no steps.
        read, wrote: the addresses; None where the step wrote nothing, or read nothing.
    """

    depth: int
    run: str
    step: str
    read: str | None
    wrote: str | None


def walk(
    address: str,
    direction: Direction,
    steps_of: Callable[[str], Iterable[tuple[str, Step]]],
    depth: int | None = None,
) -> list[Hop]:
    """Return every hop that leads from a value to others, nearest first; each value is followed once.

    Args:
        steps_of: of a value, the run and the step that read it (downstream), or that wrote it (upstream).
        depth: follow so many steps at most; None: all.
    """
    found: list[Hop] = []
    seen, level, at = {address}, [address], 0
    while level and (depth is None or at < depth):
        at += 1
        further: dict[str, None] = {}
        for value in level:
            for run, step in steps_of(value):
                used = step.outputs if direction == "downstream" else step.inputs
                others: Iterable[str | None] = sorted({*used.values()} - {value}) or [None]
                for other in others:
                    ends = (value, other) if direction == "downstream" else (other, value)
                    found.append(Hop(at, run, step.name, *ends))
                    if other is not None and other not in seen:
                        further[other] = None
        seen |= further.keys()
        level = list(further)
    return found
