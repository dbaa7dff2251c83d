"""How the versions that a name has in one store go on those it has in another: decided here, written elsewhere.

A version is the same in both where its address and its time are; its number may differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from smalti.store.names import NameVersion


def aligned(ours: Sequence[NameVersion], theirs: Sequence[NameVersion]) -> list[int | None]:
    """Return for each of our versions the number it has in the other store, in one order; None where it lacks it."""
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for one in theirs:
        places[one.address, one.at].append(one.version)
    found: list[int | None] = []
    last = 0
    for one in ours:
        place = next((number for number in places[one.address, one.at] if number > last), None)
        last = place or last
        found.append(place)
    return found


@dataclass(frozen=True, slots=True)
class Merge:
    """What comes of two histories of a name.

    Attributes:
        brought: the versions that the other store lacks, in order, each with the number it gets there.
        left: why some are left out, in a sentence; "" where none is.
    """

    brought: tuple[NameVersion, ...]
    left: str = ""


def to_bring(ours: Sequence[NameVersion], theirs: Sequence[NameVersion], where: str) -> Merge:
    """Return which of our versions are to be written to the other store.

    What is there stays, and the order of both is kept. A version keeps its number where the other store has none of
    that name, and where that number is free. What the name stands for there changes only where ours came of it.

    Args:
        ours, theirs: the versions, oldest first.
        where: the other store, for the message.
    """
    places = aligned(ours, theirs)
    taken = {one.version for one in theirs}
    last = max(taken, default=0)
    if theirs and None in places and last not in places and not _follows(ours, theirs):
        return Merge((), _went_on(ours[-1], theirs[-1], where))
    above: list[int | None] = [None] * len(ours)  # the next number that is there already
    for at in range(len(ours) - 1, 0, -1):
        above[at - 1] = places[at] or above[at]
    brought: list[NameVersion] = []
    below = left = 0
    for one, place, after in zip(ours, places, above, strict=True):
        number = place
        if number is None:
            end = after or (last + 2 if taken else one.version + 1)
            fitting = (n for n in (one.version, *range(below + 1, end)) if below < n < end and n not in taken)
            if (number := next(fitting, None)) is None:
                left += 1
                continue
            brought.append(replace(one, version=number))
            taken.add(number)
            last = max(last, number)
        below = number
    return Merge(tuple(brought), _no_room(ours[-1].name, left, where) if left else "")


def to_append(ours: Sequence[NameVersion], theirs: Sequence[NameVersion]) -> list[NameVersion]:
    """Return what is to follow the versions that are there so that the name stands there for what it does here."""
    places = aligned(ours, theirs)
    new = [one for one, place in zip(ours[:-1], places, strict=False) if place is None]
    if new or not theirs or theirs[-1].address != ours[-1].address:
        new.append(ours[-1])
    first = theirs[-1].version + 1 if theirs else ours[0].version
    return [replace(one, version=number) for number, one in enumerate(new, first)]


def _follows(ours: Sequence[NameVersion], theirs: Sequence[NameVersion]) -> bool:
    """Tell whether ours came later, and those in between were forgotten here."""
    return bool(ours) and ours[0].version > theirs[-1].version and ours[0].at >= theirs[-1].at


def _went_on(ours: NameVersion, theirs: NameVersion, where: str) -> str:
    return (
        f"the name {ours.name!r} stands for {theirs.address} in {where} since {theirs.at}, and for {ours.address} here "
        f"since {ours.at}, and neither came of the other; it was left as it is there: push it by its name to let it "
        "stand there for what it does here."
    )


def _no_room(name: str, count: int, where: str) -> str:
    versions, have = ("1 version", "has") if count == 1 else (f"{count} versions", "have")
    return (
        f"{versions} of the name {name!r} {have} no room between those that are in {where}: forget the name there and "
        "push again to bring all."
    )
