"""fsck: read what should exist, then prove that it does, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from smalti.errors import Damaged, NotFound
from smalti.store.backend import Objects
from smalti.store.gc import Pins
from smalti.store.names import Names


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it was stored.

    Attributes:
        place: the object's address, or the path of a name file.
        what: what is wrong, in a sentence.
        names: the names whose value needs this object.
    """

    place: str
    what: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FsckReport:
    """What a check found: ``problems`` is empty when the store is clean."""

    objects: int
    nbytes: int
    problems: tuple[Problem, ...]

    @property
    def clean(self) -> bool:
        return not self.problems


def fsck(objects: Objects, names: Names, pins: Pins, report: Callable[[int, int], None] | None = None) -> FsckReport:
    """Check every name, pin, record, leaf and file. References are read before objects, so that a writer at work
    beside the check is never mistaken for damage."""
    problems: list[Problem] = []
    wanted = _references(names, pins, problems)
    addresses = list(objects.addresses())
    children: dict[str, Iterable[str]] = {}
    damaged: dict[str, str] = {}
    nbytes = 0
    for done, address in enumerate(addresses):
        try:
            record = objects.verify(address)
            children[address] = record.children.values()
            nbytes += record.nbytes if record.filename else 0
        except NotFound:  # collected meanwhile
            continue
        except Damaged as error:
            damaged[address] = str(error)
        if report:
            report(done + 1, len(addresses))
    for address in _missing({*wanted, *(c for some in children.values() for c in some)}, addresses, objects):
        damaged[address] = f"{address} is missing; restore it from another store or put the same value again."
    needed_by = _needed_by(wanted, children)
    problems += [Problem(a, what, tuple(sorted(needed_by.get(a, ())))) for a, what in sorted(damaged.items())]
    return FsckReport(len(addresses), nbytes, tuple(problems))


def _references(names: Names, pins: Pins, problems: list[Problem]) -> dict[str, set[str]]:
    """Return the names and pins that need each address; what cannot be read is added to ``problems``."""
    wanted: dict[str, set[str]] = {}  # address -> the names that need it
    seen: dict[str, list[int]] = {}
    for key in names.keys():  # noqa: SIM118 (not a mapping)
        try:
            version = names.read(key)
            wanted.setdefault(version.address, set()).add(version.name)
            seen.setdefault(version.name, []).append(version.version)
        except NotFound:  # taken away meanwhile
            continue
        except Damaged as error:
            problems.append(Problem(key, str(error)))
    for key in pins.keys():  # noqa: SIM118 (not a mapping)
        try:
            wanted.setdefault(pins.read(key), set()).add("a pin")
        except NotFound:  # taken away meanwhile
            continue
        except Damaged as error:
            problems.append(Problem(key, str(error)))
    for name, versions in seen.items():
        if gaps := sorted(set(range(min(versions), max(versions))) - set(versions)):
            problems.append(Problem(f"names/{name}", f"version {gaps[0]} of the name {name!r} is missing; restore it."))
    return wanted


def _missing(wanted: set[str], present: list[str], objects: Objects) -> list[str]:
    return [address for address in sorted(wanted - set(present)) if not objects.has(address)]


def _needed_by(wanted: dict[str, set[str]], children: dict[str, Iterable[str]]) -> dict[str, set[str]]:
    """Spread the names from the trees they are given to down to every object those need."""
    needed = {address: set(names) for address, names in wanted.items()}
    queue = list(needed)
    while queue:
        address = queue.pop()
        for child in children.get(address, ()):
            have = needed.setdefault(child, set())
            if not needed[address] <= have:
                have |= needed[address]
                queue.append(child)
    return needed
