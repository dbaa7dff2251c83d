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

from smalti.errors import Damaged, NotFound, Refused, Unavailable
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
    """What a collection found and did; of a dry run, what its plan says.

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
    """What a collection is to do, decided before anything is changed; a dry run reports it as it is.

    Attributes:
        roots: what is kept for its own sake -> why.
        objects: how many there are.
        states: of what is not needed: ``young``, ``condemned`` or ``removed``.
        since: when each was condemned, by the backend's clock.
        seconds_left: of what is not needed, how long at least until a collection does more with it.
        at: when this was planned, by the backend's clock.
        lists: the lists of what earlier collections condemned: key -> their addresses.
        needs: of what is not needed, what each needs of it.
        nbytes: what each that is not needed takes.
    """

    roots: Mapping[str, str]
    objects: int
    states: Mapping[str, str]
    since: Mapping[str, float]
    seconds_left: Mapping[str, float]
    at: float
    lists: Mapping[str, list[str]]
    needs: Mapping[str, frozenset[str]]
    nbytes: Mapping[str, int]

    def report(self) -> GcReport:
        """Return what people are shown of it."""
        found = tuple(map(self._unneeded, self.states))
        return GcReport(self.objects, self.objects - len(found), found, self.roots)

    def _unneeded(self, address: str) -> Unneeded:
        state, since = self.states[address], self.since.get(address)
        condemned_seconds = None if since is None or state == "young" else self.at - since
        return Unneeded(address, self.nbytes[address], state, condemned_seconds, self.seconds_left[address])


def plan(
    objects: ObjectStore, documents: Documents, names: Names, manifests: Manifests, grace_seconds: float
) -> GcPlan:
    """Decide what to condemn and what to remove; nothing is changed.

    Raises:
        Damaged, Refused: a name, a pin or a manifest is not what was written, or of a newer version; or an object that
            is needed is missing, or what says what it needs is damaged. Nothing is removed then.
        Unavailable: one of them cannot be read now.
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
    states: dict[str, str] = {}
    seconds_left: dict[str, float] = {}
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
    nbytes = _of_each(objects, lambda address: _nbytes(objects, address), states)
    return GcPlan(roots, len(present), states, since, seconds_left, now, kept, needs, nbytes)


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
    if not dry_run:
        planned = _carry_out(objects, documents, planned)
        objects.backend.sweep(grace_seconds)
        manifests.sweep_views()
    return planned.report()


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
        condemned_at = objects.backend.clock()
        documents.create(f"{_CONDEMNED}{unique_name()}.json", seal({"addresses": new, "at": condemned_at}))
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
        Damaged: one of them is missing, or what says what it needs is damaged.
        Refused, Unavailable: a newer version wrote it, or it cannot be read now.
    """
    found = dict(roots)  # address -> why it is needed

    def needs_of(address: str) -> frozenset[str]:
        try:
            return objects.needs(address)
        except NotFound as error:
            raise Damaged(
                f"{address}, which {found[address]} needs, is missing in {objects.location}; nothing was removed: "
                "restore it (smalti fsck --repair-from STORE), or let go of what needs it."
            ) from error
        except (Damaged, Refused, Unavailable) as error:
            raise type(error)(f"{error} {found[address]} needs it; nothing was removed.") from error

    generation = list(roots)

    while generation:
        below: dict[str, str] = {}
        for address, needs in _of_each(objects, needs_of, generation).items():
            if needs:
                below.update((child, found[address]) for child in needs if child not in found)
        found |= below
        generation = list(below)
    return found.keys() & present


def _needs_of_garbage(objects: ObjectStore, states: Mapping[str, str]) -> dict[str, frozenset[str]]:
    def needs_of(address: str) -> frozenset[str]:
        try:
            return objects.needs(address) & states.keys()
        except (NotFound, Damaged, Refused, Unavailable):  # another collection was quicker, or it is of no use
            return frozenset()

    return _of_each(objects, needs_of, states)


def _nbytes(objects: ObjectStore, address: str) -> int:
    try:
        return objects.nbytes_stored(address)
    except Unavailable:  # what cannot be looked into takes no less for that
        return 0


def _condemned_lists(documents: Documents) -> dict[str, tuple[float, list[str]]]:
    """Return what each collection condemned: key -> when, and which objects; what was condemned by a damaged list waits
    anew."""
    lists: dict[str, tuple[float, list[str]]] = {}
    for key in documents.keys(_CONDEMNED):
        with suppress(NotFound):  # another collection has done with it
            lists[key] = 0.0, []
            with suppress(Damaged, LookupError, TypeError, ValueError):
                document = unseal(documents.read(key), key)
                lists[key] = float(document["at"]), [str(address) for address in document["addresses"]]
    return lists


def _dependents_first(needs: Mapping[str, frozenset[str]]) -> Iterator[list[str]]:
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
