"""fsck: read what should exist, then prove that it does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial

from smalti.errors import Damaged, NotFound, Refused, Unavailable
from smalti.store.format.record import Record
from smalti.store.long_work import OnProgress, Progress, in_order
from smalti.store.maintenance.checked import Checked, Thoroughness, last_checks, remember
from smalti.store.maintenance.notes import Notes
from smalti.store.maintenance.problems import FsckReport, Problem, SampledReport, spread
from smalti.store.maintenance.push import Side
from smalti.store.maintenance.references import references
from smalti.store.maintenance.sampling import Round, Sample
from smalti.store.maintenance.transfer import restore
from smalti.store.manifests import now
from smalti.store.objects.object_store import ObjectStore


def fsck(
    side: Side,
    *,
    full: bool,
    sample: Sample | None = None,
    repair_from: Side | None = None,
    progress: OnProgress | None = None,
) -> FsckReport:
    """Check every name, pin and manifest, that what they stand for is there, and objects: records, files, content.

    There are three kinds. A *quick* check looks at every object, and reads content whole where a file does not look as
    it did when it was last read whole, else a few leaves of it. A *full* one reads every byte. A *sampled* one reads
    every byte of some objects, and nothing of the others: the next part of a round through all of them, and whatever
    the last checks found damaged. Each that ends leaves behind when it was and what it found (``checked``).

    References are read before objects, so that a writer at work beside the check is never mistaken for damage. What
    cannot be read is one problem, and the check goes on.

    Args:
        full: interrupted, the next full check within a week goes on where this one stopped.
        sample: how much a sampled check reads; the report is a ``SampledReport``.
        repair_from: where to fetch sound copies of what is damaged or missing; what a newer version wrote is left.

    Raises:
        Refused: both full and sampled are asked for.
    """
    if full and sample:
        raise Refused("a check is either full or sampled; a full one reads what a sampled one would.")
    started = time.monotonic()
    objects, documents = side.objects, side.documents
    problems: list[Problem] = []
    wanted = references(documents, repair_from.documents if repair_from else None, problems)
    addresses = _listed(objects, problems)
    before = last_checks(documents)
    again = {address for check in before.values() for address in check.damaged}
    rounds = Round(objects, documents, sample, again) if sample else None
    notes: Notes | Round | None = rounds or (Notes(objects, documents) if full else None)
    read = notes.read if notes else partial(objects.verify, whole=False)
    part = rounds.choose(addresses) if rounds else addresses

    def checked(address: str) -> Record:
        record = read(address)
        if record.kind != "tree":
            side.codecs.check_header(record.header, [size for _, size in record.buffers])
        return record

    found = _examined(objects, part, checked, notes, progress)
    damaged = found.damaged
    for address in sorted({*wanted, *found.children}.difference(addresses)):
        with suppress(Unavailable):  # it may be in a folder that cannot be read, which is a problem already
            if not objects.has(address):
                damaged[address] = f"{address} is missing; restore it from another store or put the same value again."
    affected = spread(wanted, _needs(objects, addresses)) if damaged else {}
    failures = dict.fromkeys(damaged, "")
    if repair_from:
        failures = dict.fromkeys(found.newer, "") | _repair(objects, repair_from, damaged.keys() - found.newer)
    for address, what in sorted(damaged.items()):
        names = tuple(sorted(affected.get(address, ())))
        problems.append(Problem(address, what + failures.get(address, ""), names, address not in failures))
    if notes:
        notes.finish()
    left = sum(not problem.repaired for problem in problems)
    kind: Thoroughness = "full" if full else "sampled" if sample else "quick"
    still = tuple(sorted(damaged.keys() & failures.keys()))
    seconds = time.monotonic() - started
    remember(documents, Checked(kind, now(), seconds, found.objects, found.nbytes, left, still))
    if rounds is None:
        return FsckReport(len(addresses), found.nbytes, tuple(problems))
    said = len(addresses), found.objects < len(part), rounds.whole_since
    return SampledReport(found.objects, found.nbytes, tuple(problems), *said)


@dataclass(slots=True)
class _Found:
    """What reading objects has shown: how many there were, their content, what they name, and what is wrong."""

    objects: int = 0
    nbytes: int = 0
    children: set[str] = field(default_factory=set)
    damaged: dict[str, str] = field(default_factory=dict)
    newer: set[str] = field(default_factory=set)


def _examined(
    objects: ObjectStore,
    addresses: Collection[str],
    read: Callable[[str], Record],
    notes: Notes | Round | None,
    progress: OnProgress | None,
) -> _Found:
    """Read objects until the notes say that it is enough; interrupted, how far that came is noted."""
    found = _Found()
    try:
        with closing(examine_all(objects, addresses, read, progress)) as examined:
            for one in examined:
                found.objects, found.nbytes = found.objects + 1, found.nbytes + one.nbytes
                found.children.update(one.children)
                if one.damage:
                    found.damaged[one.address] = one.damage
                if one.newer:
                    found.newer.add(one.address)
                if notes:
                    notes.take(one, one.nbytes)
                    if notes.is_spent:
                        break
    except BaseException:
        if notes:
            notes.save()
        raise
    return found


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
