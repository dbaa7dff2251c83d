"""What is not as it was stored, and what needs it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

Wanted = dict[str, set[str]]  # address -> what it is needed by


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it was stored.

    Attributes:
        place: the object's address, or the key of a name, pin or manifest.
        what: what is wrong, in a sentence; and why it could not be repaired where that was tried.
        names: what needs this object: names, ``a pin``, ``the run r``.
        repaired: whether it is as it should be again.
    """

    place: str
    what: str
    names: tuple[str, ...] = ()
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class FsckReport:
    """What a check found: ``problems`` is empty when everything is as it was stored."""

    objects: int
    nbytes: int
    problems: tuple[Problem, ...]

    @property
    def clean(self) -> bool:
        """Whether everything is as it was stored now, repairs included."""
        return all(problem.repaired for problem in self.problems)


@dataclass(frozen=True, slots=True)
class SampledReport(FsckReport):
    """What a sampled check found.

    Attributes:
        of_objects: how many there are; ``objects`` of them were read.
        bounded: whether a bound stopped it before it had read its part.
        whole_since: everything there is was written or read whole since then (UTC, ISO 8601); "" before the first round
            through all objects has ended.
    """

    of_objects: int = 0
    bounded: bool = False
    whole_since: str = ""


def spread(wanted: Wanted, needs: Mapping[str, Collection[str]]) -> Wanted:
    """Spread the names from the values they stand for down to every object those need."""
    needed = {address: set(names) for address, names in wanted.items()}
    queue = list(needed)
    while queue:
        address = queue.pop()
        for below in needs.get(address, ()):
            have = needed.setdefault(below, set())
            if not needed[address] <= have:
                have |= needed[address]
                queue.append(below)
    return needed
