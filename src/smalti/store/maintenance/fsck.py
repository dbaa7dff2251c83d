"""fsck and verify: read what should exist, then prove that it does."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from smalti.errors import Damaged, NotFound, Refused, Unavailable
from smalti.store.documents import Documents
from smalti.store.format.record import Record
from smalti.store.format.sealed import seal, unseal
from smalti.store.long_work import OnProgress, Progress, in_order
from smalti.store.maintenance.transfer import needed_by, restore
from smalti.store.manifests import Manifests, now
from smalti.store.manifests.manifest import RELEASED, dump, run_of
from smalti.store.names import Names
from smalti.store.objects.object_store import ObjectStore
from smalti.store.pins import Pins

_NOTES = "checks/"
_NOTES_HOLD_FOR_SECONDS = 7 * 24 * 3600.0
_NOTED_EVERY_SECONDS = 20.0

Reference = TypeVar("Reference")
Wanted = dict[str, set[str]]  # address -> what it is needed by
Sound = Callable[[Documents, str], bytes]  # of another store's documents and a key: what belongs under it


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


def fsck(
    objects: ObjectStore,
    documents: Documents,
    *,
    full: bool,
    repair_from: ObjectStore | None = None,
    documents_from: Documents | None = None,
    progress: OnProgress | None = None,
) -> FsckReport:
    """Check every name, pin, manifest, record and list of files, and content.

    Content is read whole where a file does not look as it did when it was last read whole, else a sample of it.
    References are read before objects, so that a writer at work beside the check is never mistaken for damage.

    Args:
        full: read every byte; interrupted, the next full check within a week goes on where this one stopped.
        repair_from, documents_from: where to fetch sound copies of what is damaged or missing.
    """
    problems: list[Problem] = []
    wanted = _references(documents, documents_from, problems)
    addresses = list(objects.addresses())
    notes = _Notes(objects, documents) if full else None
    read = notes.read if notes else partial(objects.verify, whole=False)
    nbytes = 0
    children: set[str] = set()
    damaged: dict[str, str] = {}
    try:
        with closing(_examine(objects, addresses, read, progress)) as examined:
            for one in examined:
                nbytes += one.nbytes
                children.update(one.children)
                if one.damage:
                    damaged[one.address] = one.damage
                if notes:
                    notes.take(one)
    except BaseException:
        if notes:
            notes.save()
        raise
    for address in sorted({*wanted, *children}.difference(addresses)):
        if not objects.has(address):
            damaged[address] = f"{address} is missing; restore it from another store or put the same value again."
    affected = _spread(wanted, _needs(objects, addresses)) if damaged else {}
    failures = _repair(objects, repair_from, damaged) if repair_from else dict.fromkeys(damaged, "")
    for address, what in sorted(damaged.items()):
        names = tuple(sorted(affected.get(address, ())))
        problems.append(Problem(address, what + failures.get(address, ""), names, address not in failures))
    if notes:
        notes.remove()
    return FsckReport(len(addresses), nbytes, tuple(problems))


def verify(source: ObjectStore, target: ObjectStore, wanted: Wanted, progress: OnProgress | None = None) -> FsckReport:
    """Read in ``target``, whole, every object that these values of ``source`` consist of.

    Raises:
        NotFound, Damaged: a record of the source cannot be read, so what is needed is not known.
    """
    needed = needed_by(source, set(wanted))
    affected = _spread(wanted, needed.children)
    nbytes, problems = 0, []
    with closing(_examine(target, list(needed.children), target.verify, progress, needed.nbytes)) as examined:
        for one in examined:
            nbytes += one.nbytes
            what = one.damage or (
                "" if one.present else f"{one.address} is missing in {target.location}; push it again."
            )
            if what:
                problems.append(Problem(one.address, what, tuple(sorted(affected.get(one.address, ())))))
    return FsckReport(len(needed.children), nbytes, tuple(problems))


@dataclass(frozen=True, slots=True)
class _Examined:
    """What reading one object has shown."""

    address: str
    nbytes: int = 0
    children: tuple[str, ...] = ()
    damage: str = ""
    present: bool = True


def _examine(
    objects: ObjectStore,
    addresses: Collection[str],
    read: Callable[[str], Record],
    progress: OnProgress | None,
    nbytes: Mapping[str, int] | None = None,
) -> Generator[_Examined, None, None]:
    """Read objects, several at a time; yield in order what that shows."""

    def examine(address: str) -> _Examined:
        try:
            record = read(address)
        except NotFound:  # of what was listed: collected meanwhile
            return _Examined(address, present=False)
        except (Damaged, Refused, Unavailable) as error:  # what is wrong with one is no reason to stop at the others
            gone = not objects.has(address)  # collected while it was read
            return _Examined(address, present=False) if gone else _Examined(address, damage=str(error))
        return _Examined(address, record.content_nbytes, tuple(record.children.values()))

    sizes = nbytes or {}
    done, done_nbytes, of_nbytes = 0, 0, sum(sizes.values()) if nbytes else None
    at_once = max(objects.parallel, os.cpu_count() or 1)
    for one in in_order(examine, addresses, at_once, lambda address: sizes.get(address, 0)):
        done, done_nbytes = done + 1, done_nbytes + one.nbytes
        yield one
        if progress:
            progress(Progress(done, len(addresses), done_nbytes, of_nbytes))


class _Notes:
    """How far a full check has come, left behind as a document for the one that goes on.

    A note says up to which address everything was read whole since the check began, and what of that was damaged.
    """

    def __init__(self, objects: ObjectStore, documents: Documents) -> None:
        self._objects = objects
        self._documents = documents
        self._began_at = self._saved_at = time.time()
        self._upto, self._damaged = "", set[str]()
        for key in documents.keys(_NOTES):
            with suppress(NotFound, Damaged):  # what is not known to have been read is read
                note = unseal(documents.read(key), key)
                if time.time() - note["began_at"] < _NOTES_HOLD_FOR_SECONDS and note["upto"] > self._upto:
                    self._began_at, self._upto, self._damaged = note["began_at"], note["upto"], set(note["damaged"])
        self._read_before = self._upto
        self._damaged_before = frozenset(self._damaged)

    def read(self, address: str) -> Record:
        """Read an object whole; of one that was read before, and that no put has found since, only the record."""
        was_sound = address <= self._read_before and address not in self._damaged_before
        if was_sound and self._objects.backend.lease(address, renew=False) < self._began_at:
            return self._objects.record(address)
        return self._objects.verify(address)

    def take(self, one: _Examined) -> None:
        """Note what reading the next object has shown."""
        self._upto = max(self._upto, one.address)
        (self._damaged.add if one.damage else self._damaged.discard)(one.address)
        if time.time() - self._saved_at > _NOTED_EVERY_SECONDS:
            self.save()

    def save(self) -> None:
        """Leave a note in place of earlier ones."""
        self._saved_at = time.time()
        earlier = list(self._documents.keys(_NOTES))
        note = {"began_at": self._began_at, "upto": self._upto, "damaged": sorted(self._damaged)}
        with suppress(Unavailable):  # a store that may only be read is checked from the beginning each time
            if self._upto:
                self._documents.create(f"{_NOTES}{time.time_ns()}.json", seal(note))
            for key in earlier:
                self._documents.remove(key)

    def remove(self) -> None:
        """Take the notes away: the check is complete."""
        for key in list(self._documents.keys(_NOTES)):
            self._documents.remove(key)


def _references(documents: Documents, source: Documents | None, problems: list[Problem]) -> Wanted:
    """Return what needs each address: names, pins, runs. What cannot be read is added to ``problems``.

    Args:
        source: what is damaged is replaced by what lies there; None: it is left as it is.
    """
    names, pins, manifests = Names(documents), Pins(documents), Manifests(documents)
    wanted: Wanted = defaultdict(set)
    seen: dict[str, list[int]] = defaultdict(list)

    def readable(keys: Iterable[str], read: Callable[[str], Reference], sound: Sound) -> Iterator[Reference]:
        for key in keys:
            try:
                yield read(key)
            except NotFound:  # taken away meanwhile
                continue
            except (Refused, Unavailable) as error:  # a newer version's, or unreadable; what it keeps cannot be known
                problems.append(Problem(key, str(error)))
            except Damaged as error:
                why = _restore_document(documents, source, key, sound) if source else ""
                problems.append(Problem(key, f"{error}{why or ''}", repaired=why is None))
                if why is None:
                    yield read(key)

    for version in readable(names.keys(), names.read, _sound_name):
        wanted[version.address].add(version.name)
        seen[version.name].append(version.version)
    for address in readable(pins.keys(), pins.read, _sound_pin):
        wanted[address].add("a pin")
    for manifest in readable(manifests.keys(), manifests.read, _sound_manifest):
        for address in manifest.addresses():
            wanted[address].add(f"the run {manifest.run}")
    for name, versions in seen.items():
        if gaps := sorted(set(range(min(versions), max(versions))) - set(versions)):
            problems.append(Problem(f"names/{name}", f"version {gaps[0]} of the name {name!r} is missing; restore it."))
    return wanted


def _restore_document(documents: Documents, source: Documents, key: str, sound: Sound) -> str | None:
    """Put what another store has in the place of a damaged document; return why that failed, None where it did not."""
    try:
        if documents.replace(key, sound(source, key), documents.read(key)):
            return None
        return " It could not be repaired: it was changed meanwhile."
    except (NotFound, Damaged, Refused, Unavailable) as error:
        return f" It could not be repaired: {error}"


def _sound_name(source: Documents, key: str) -> bytes:
    Names(source).read(key)
    return source.read(key)


def _sound_pin(source: Documents, key: str) -> bytes:
    Pins(source).read(key)
    return source.read(key)


def _sound_manifest(source: Documents, key: str) -> bytes:
    """Return what the other store says of a run; whether it is released, the key here says."""
    manifest = Manifests(source).get(run_of(key))
    released_at = (manifest.released_at or now()) if key.startswith(RELEASED) else ""
    return dump(replace(manifest, released_at=released_at))


def _needs(objects: ObjectStore, addresses: Iterable[str]) -> dict[str, set[str]]:
    """Return what each object needs, its sources too, as far as that can be read."""

    def needs(address: str) -> set[str]:
        try:
            return objects.needs(address)
        except (NotFound, Damaged, Refused, Unavailable):
            return set()

    some = list(addresses)
    return dict(zip(some, in_order(needs, some, objects.parallel), strict=True))


def _spread(wanted: Wanted, needs: Mapping[str, Collection[str]]) -> Wanted:
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


def _repair(objects: ObjectStore, source: ObjectStore, damaged: Collection[str]) -> dict[str, str]:
    """Write what is damaged or missing anew; return why that failed, for those where it did."""
    failures = {}
    needs = _needs(objects, damaged)
    for address in sorted(damaged, key=lambda one: len(needs[one].intersection(damaged))):
        try:
            if not objects.intact(address, whole=True):  # it may be, now that what it takes leaves from is
                restore(source, objects, address)
        except (NotFound, Damaged, Refused, Unavailable) as error:
            failures[address] = f" It could not be repaired: {error}"
    return failures
