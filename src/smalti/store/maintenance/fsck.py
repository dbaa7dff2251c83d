"""fsck: read what should exist, then prove that it does."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial

from smalti.errors import Damaged, NotFound, Refused, Unavailable
from smalti.store.format.record import Record
from smalti.store.long_work import OnProgress, Progress, in_order
from smalti.store.maintenance.notes import Notes
from smalti.store.maintenance.problems import FsckReport, Problem, spread
from smalti.store.maintenance.push import Side
from smalti.store.maintenance.references import references
from smalti.store.maintenance.transfer import restore
from smalti.store.objects.object_store import ObjectStore


def fsck(side: Side, *, full: bool, repair_from: Side | None = None, progress: OnProgress | None = None) -> FsckReport:
    """Check every name, pin, manifest, record and list of files, and content.

    Content is read whole where a file does not look as it did when it was last read whole, else a sample of it.
    References are read before objects, so that a writer at work beside the check is never mistaken for damage. What
    cannot be read is one problem, and the check goes on.

    Args:
        full: read every byte; interrupted, the next full check within a week goes on where this one stopped.
        repair_from: where to fetch sound copies of what is damaged or missing; what a newer version wrote is left.
    """
    objects, documents = side.objects, side.documents
    problems: list[Problem] = []
    wanted = references(documents, repair_from.documents if repair_from else None, problems)
    addresses = _listed(objects, problems)
    notes = Notes(objects, documents) if full else None
    read = notes.read if notes else partial(objects.verify, whole=False)
    nbytes = 0
    children: set[str] = set()
    damaged: dict[str, str] = {}
    newer: set[str] = set()

    def checked(address: str) -> Record:
        record = read(address)
        if record.kind != "tree":
            side.codecs.check_header(record.header, [size for _, size in record.buffers])
        return record

    try:
        with closing(examine_all(objects, addresses, checked, progress)) as examined:
            for one in examined:
                nbytes += one.nbytes
                children.update(one.children)
                if one.damage:
                    damaged[one.address] = one.damage
                if one.newer:
                    newer.add(one.address)
                if notes:
                    notes.take(one)
    except BaseException:
        if notes:
            notes.save()
        raise
    for address in sorted({*wanted, *children}.difference(addresses)):
        with suppress(Unavailable):  # it may be in a folder that cannot be read, which is a problem already
            if not objects.has(address):
                damaged[address] = f"{address} is missing; restore it from another store or put the same value again."
    affected = spread(wanted, _needs(objects, addresses)) if damaged else {}
    failures = dict.fromkeys(damaged, "")
    if repair_from:
        failures = dict.fromkeys(newer, "") | _repair(objects, repair_from, damaged.keys() - newer)
    for address, what in sorted(damaged.items()):
        names = tuple(sorted(affected.get(address, ())))
        problems.append(Problem(address, what + failures.get(address, ""), names, address not in failures))
    if notes:
        notes.remove()
    return FsckReport(len(addresses), nbytes, tuple(problems))


def _listed(objects: ObjectStore, problems: list[Problem]) -> list[str]:
    """Return the addresses of all objects; a folder of them that cannot be listed is one problem."""
    try:
        return list(objects.addresses())
    except Unavailable:
        found: list[str] = []
        for number in range(256):
            try:
                found += objects.addresses(f"{number:02x}")
            except Unavailable as error:
                problems.append(Problem(f"data/{number:02x}/", str(error)))
        return found


@dataclass(frozen=True, slots=True)
class Examined:
    """What reading one object has shown."""

    address: str
    nbytes: int = 0
    children: tuple[str, ...] = ()
    damage: str = ""
    present: bool = True
    newer: bool = False  # whether this version does not know what it is


def examine_all(
    objects: ObjectStore,
    addresses: Collection[str],
    read: Callable[[str], Record],
    progress: OnProgress | None,
    nbytes: Mapping[str, int] | None = None,
) -> Generator[Examined, None, None]:
    """Read objects, several at a time; yield in order what that shows."""

    def examine(address: str) -> Examined:
        try:
            record = read(address)
        except NotFound:  # of what was listed: collected meanwhile
            return Examined(address, present=False)
        except (Damaged, Refused, Unavailable) as error:  # what is wrong with one is no reason to stop at the others
            with suppress(Unavailable):
                if not objects.has(address):  # collected while it was read
                    return Examined(address, present=False)
            return Examined(address, damage=str(error), newer=isinstance(error, Refused))
        return Examined(address, record.content_nbytes, tuple(record.children.values()))

    sizes = nbytes or {}
    done, done_nbytes, of_nbytes = 0, 0, sum(sizes.values()) if nbytes else None
    at_once = max(objects.parallel, os.cpu_count() or 1)
    for one in in_order(examine, addresses, at_once, lambda address: sizes.get(address, 0)):
        done, done_nbytes = done + 1, done_nbytes + one.nbytes
        yield one
        if progress:
            progress(Progress(done, len(addresses), done_nbytes, of_nbytes))


def _needs(objects: ObjectStore, addresses: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return what each object needs, its sources too, as far as that can be read."""

    def needs(address: str) -> frozenset[str]:
        try:
            return objects.needs(address)
        except (NotFound, Damaged, Refused, Unavailable):
            return frozenset()

    some = list(addresses)
    return dict(zip(some, in_order(needs, some, objects.parallel), strict=True))


def _repair(objects: ObjectStore, source: Side, damaged: Collection[str]) -> dict[str, str]:
    """Write what is damaged or missing anew; return why that failed, for those where it did."""
    failures = {}
    needs = _needs(objects, damaged)
    for address in sorted(damaged, key=lambda one: (len(needs[one].intersection(damaged)), one)):
        try:
            if not objects.intact(address, whole=True):  # it may be, now that what it takes leaves from is
                restore(source.objects, objects, address, source.codecs)
        except (NotFound, Damaged, Refused, Unavailable) as error:
            failures[address] = f" It could not be repaired: {error}"
    return failures
