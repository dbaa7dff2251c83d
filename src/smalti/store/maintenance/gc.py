"""Collecting what nothing needs any more: planned, condemned, left alone for a grace period, planned again, removed.

Roots are names (every version), pins and the manifests of runs that are not released. What each object needs is read
from its own files, every time: no cache has a say in what is removed. Where a root, or anything that a root needs, is
missing or damaged, nothing is removed: what cannot be read may be needed. What is younger than the grace period is
never touched, so a writer that has put children and not yet the tree that needs them loses nothing; a put that finds an
object renews its lease.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeVar

from smalti.errors import Damaged, NotFound
from smalti.store.commit import unique_name
from smalti.store.documents import Documents
from smalti.store.format.sealed import seal, unseal
from smalti.store.long_work import in_order
from smalti.store.manifests import Manifests
from smalti.store.names import Names
from smalti.store.objects.object_store import ObjectStore
from smalti.store.pins import Pins

T = TypeVar("T")

DAY_SECONDS = 24 * 3600.0
_REMOVED_AT_ONCE = 1000
_CONDEMNED = "condemned/"


@dataclass(frozen=True, slots=True)
class Unneeded:
    """An object that no name, pin or manifest leads to.

    Attributes:
        address: which.
        nbytes: bytes it takes.
        state: ``young`` (within the grace period), ``condemned`` (from now on, or still waiting) or ``removed``.
        condemned_seconds: how long ago it was condemned; None: not before this collection.
        seconds_left: how long at least until a collection does more with it, if nothing needs it until then.
    """

    address: str
    nbytes: int
    state: str
    condemned_seconds: float | None = None
    seconds_left: float = 0.0


@dataclass(frozen=True, slots=True)
class GcReport:
    """What a collection found and did; of a dry run, what it would do.

    Attributes:
        objects, needed: how many there were, and how many of them are needed.
        unneeded: the others.
        roots: what is kept for its own sake -> why; all that is needed is needed by these.
    """

    objects: int
    needed: int
    unneeded: tuple[Unneeded, ...]
    roots: Mapping[str, str]

    def nbytes(self, state: str) -> int:
        """Return the bytes of all unneeded objects in one state."""
        return sum(item.nbytes for item in self.unneeded if item.state == state)


@dataclass(frozen=True, slots=True)
class GcPlan:
    """What a collection is to do, decided before anything is changed.

    Attributes:
        roots: what is kept for its own sake -> why.
        objects: how many there are.
        states: of what is not needed: ``young``, ``condemned`` or ``removed``.
        since: when each was condemned, by the backend's clock.
        seconds_left: of what is not needed, how long at least until a collection does more with it.
        at: when this was planned, by the backend's clock.
        lists: the lists of what earlier collections condemned: key -> their addresses.
        needs: of what is not needed, what each needs of it.
    """

    roots: Mapping[str, str]
    objects: int
    states: Mapping[str, str]
    since: Mapping[str, float]
    seconds_left: Mapping[str, float]
    at: float
    lists: Mapping[str, list[str]]
    needs: Mapping[str, set[str]]


def plan(
    objects: ObjectStore, documents: Documents, names: Names, manifests: Manifests, grace_seconds: float
) -> GcPlan:
    """Decide what to condemn and what to remove; nothing is changed.

    Raises:
        Damaged: a name, a pin, a manifest or an object that is needed is missing or not what was written.
    """
    roots = _roots(names, Pins(documents), manifests)
    # Roots before objects: what is named while this runs is young, and so is everything it leads to.
    present = set(objects.addresses())
    needed = _closure(objects, roots, present)
    unneeded = sorted(present - needed)
    lists = _condemned_lists(documents)
    since = {address: at for at, some in sorted(lists.values()) for address in some}  # the latest counts
    leases = _of_each(objects, lambda address: objects.backend.lease(address, renew=False), unneeded)
    now = objects.backend.clock()
    states, seconds_left = {}, {}
    for address, lease in leases.items():
        if lease > since.get(address, lease):  # found by a put since it was condemned
            del since[address]
        waited = address in since and now - since[address] >= grace_seconds
        states[address] = "young" if now - lease < grace_seconds else "removed" if waited else "condemned"
        began = lease if states[address] == "young" else since.get(address, now)
        seconds_left[address] = max(0.0, began + grace_seconds - now)
    needs = _needs_of_garbage(objects, states) if "removed" in states.values() else {}
    for generation in _dependents_first(needs):  # what something that stays needs stays
        for address in generation:
            if states[address] != "removed":
                states.update((child, "condemned") for child in needs[address] if states[child] == "removed")
    kept = {key: addresses for key, (_, addresses) in lists.items()}
    return GcPlan(roots, len(present), states, since, seconds_left, now, kept, needs)


def collect(
    objects: ObjectStore,
    documents: Documents,
    names: Names,
    manifests: Manifests,
    *,
    dry_run: bool,
    grace_seconds: float = DAY_SECONDS,
) -> GcReport:
    """Plan a collection and, unless it is a dry run, carry it out.

    Raises:
        Damaged: see :func:`plan`; nothing was removed.
        Unavailable: the machine did not let something be removed; what was removed until then was not needed.
    """
    planned = plan(objects, documents, names, manifests, grace_seconds)
    sizes = _of_each(objects, objects.nbytes_stored, planned.states)
    if not dry_run:
        planned = _carry_out(objects, documents, planned)
        objects.backend.sweep(grace_seconds)
    found = tuple(_unneeded(planned, address, sizes[address]) for address in planned.states)
    return GcReport(planned.objects, planned.objects - len(found), found, planned.roots)


def _unneeded(planned: GcPlan, address: str, nbytes: int) -> Unneeded:
    state, since = planned.states[address], planned.since.get(address)
    condemned_seconds = None if since is None or state == "young" else planned.at - since
    return Unneeded(address, nbytes, state, condemned_seconds, planned.seconds_left[address])


def _carry_out(objects: ObjectStore, documents: Documents, planned: GcPlan) -> GcPlan:
    """Remove and condemn; return the plan as it came about.

    Objects go before what they need, so that a collection that is interrupted leaves nothing broken, and what a put has
    found meanwhile keeps everything below it.
    """
    states = dict(planned.states)
    for generation in _dependents_first(planned.needs):
        going = [address for address in generation if states[address] == "removed"]
        for at in range(0, len(going), _REMOVED_AT_ONCE):
            some = {address: planned.since[address] for address in going[at : at + _REMOVED_AT_ONCE]}
            states.update((address, "young") for address in some.keys() - objects.remove(some))
        for address in generation:
            if states[address] != "removed":
                states.update((child, "condemned") for child in planned.needs[address] if states[child] == "removed")
    condemned = {address for address, state in states.items() if state == "condemned"}
    if new := sorted(condemned - planned.since.keys()):
        now = objects.backend.clock()
        documents.create(f"{_CONDEMNED}{unique_name()}.json", seal({"addresses": new, "at": now}))
    for key, addresses in planned.lists.items():
        if (condemned & planned.since.keys()).isdisjoint(addresses):
            documents.remove(key)
    return replace(planned, states=states)


def _roots(names: Names, pins: Pins, manifests: Manifests) -> dict[str, str]:
    """Return what is kept for its own sake, and why; of several reasons the first."""
    roots: dict[str, str] = {}
    for key in names.keys():  # noqa: SIM118 (not a mapping)
        with suppress(NotFound):  # taken away meanwhile
            version = names.read(key)
            roots.setdefault(version.address, f"the name {version.name}")
    for address in pins.all():
        roots.setdefault(address, "a pin")
    for manifest in manifests.kept():
        for address in manifest.addresses():
            roots.setdefault(address, f"the run {manifest.run}")
    return roots


def _closure(objects: ObjectStore, roots: Mapping[str, str], present: set[str]) -> set[str]:
    """Return the roots and all they need, as their files say.

    Raises:
        Damaged: one of them is missing or damaged.
    """
    found = dict(roots)  # address -> why it is needed
    generation = list(roots)

    def needs_of(address: str) -> set[str]:
        try:
            return objects.needs(address)
        except (NotFound, Damaged) as error:
            raise Damaged(f"{error} It is needed by {found[address]}, so nothing was removed.") from error

    while generation:
        for address in generation:
            if address not in present and not objects.has(address):
                raise Damaged(
                    f"{address}, which {found[address]} needs, is missing in {objects.location}; nothing was removed: "
                    "restore it (smalti fsck --repair-from STORE), or let go of what needs it."
                )
        below: dict[str, str] = {}
        for address, needs in _of_each(objects, needs_of, generation).items():
            below.update((child, found[address]) for child in needs if child not in found)
        found |= below
        generation = list(below)
    return set(found)


def _needs_of_garbage(objects: ObjectStore, states: Mapping[str, str]) -> dict[str, set[str]]:
    def needs_of(address: str) -> set[str]:
        try:
            return objects.needs(address) & states.keys()
        except (NotFound, Damaged):  # another collection was quicker; what is damaged is of no use to anybody
            return set()

    return _of_each(objects, needs_of, states)


def _condemned_lists(documents: Documents) -> dict[str, tuple[float, list[str]]]:
    """Return what each collection condemned: key -> when, and which objects."""
    lists = {}
    for key in documents.keys(_CONDEMNED):
        with suppress(NotFound):  # another collection has done with it
            document = unseal(documents.read(key), key)
            try:
                lists[key] = float(document["at"]), [str(address) for address in document["addresses"]]
            except (LookupError, TypeError, ValueError) as error:
                raise Damaged(f"{key} is no list of what was condemned; remove it.") from error
    return lists


def _dependents_first(needs: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """Yield objects in generations: first those that nothing needs, then those that only these need, and so on."""
    needed_by = Counter(chain.from_iterable(needs.values()))
    generation = [address for address in needs if not needed_by[address]]
    while generation:
        yield generation
        needed_by.subtract(below := Counter(chain.from_iterable(needs[address] for address in generation)))
        generation = [address for address in below if not needed_by[address]]


def _of_each(objects: ObjectStore, act: Callable[[str], T], addresses: Iterable[str]) -> dict[str, T]:
    """Return what ``act`` gives for each address, some side by side where most of its time is waiting for a server."""
    order = list(addresses)
    return dict(zip(order, in_order(act, order, objects.parallel), strict=True))
