"""Collecting what nothing needs any more: marked, condemned, left alone for a grace period, looked at again, removed.

Roots are names (every version), pins and the manifests of runs that are not released. What is younger than the grace
period is never touched, so a writer that has put children and not yet the tree that needs them loses nothing; a put
that finds an object already there makes it young again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from smalti.digest import PREFIX
from smalti.errors import Damaged, NotFound
from smalti.store.backend import Documents, Objects
from smalti.store.commit import unique_name
from smalti.store.long_work import in_order
from smalti.store.manifests import Manifests
from smalti.store.names import Names
from smalti.store.record import seal, unseal

T = TypeVar("T")

DAY_SECONDS = 24 * 3600.0
_AT_ONCE = 8
_CONDEMNED = "condemned/"
_PINS = "pins/"


@dataclass(frozen=True, slots=True)
class Unneeded:
    """An object that no name, pin or manifest leads to.

    Attributes:
        address: which.
        nbytes: bytes it takes.
        state: ``young`` (within the grace period), ``condemned`` (from now on, or still waiting) or ``removed``.
    """

    address: str
    nbytes: int
    state: str


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


class Pins:
    """Values that stay whether or not they have a name."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def add(self, address: str) -> None:
        """Pin a value; nothing happens when it is pinned already."""
        self._documents.create(_key(address), seal({"address": address}))

    def remove(self, address: str) -> None:
        """Take a pin away; nothing happens when there is none."""
        self._documents.remove(_key(address))

    def keys(self) -> Iterator[str]:
        """Yield the key of every pin's document, in order."""
        return self._documents.keys(_PINS)

    def read(self, key: str) -> str:
        """Return the address that a pin keeps.

        Raises:
            Damaged: its document is not what was written.
            NotFound: it was taken away.
        """
        address = unseal(self._documents.read(key), f"the pin {key}").get("address")
        if not isinstance(address, str) or _key(address) != key:
            raise Damaged(f"the pin {key} holds {address!r}; pin the value again.")
        return address

    def all(self) -> list[str]:
        """Return the addresses that are pinned; a pin taken away meanwhile counts no more."""
        found = []
        for key in self.keys():
            with suppress(NotFound):
                found.append(self.read(key))
        return found


def collect(
    objects: Objects,
    documents: Documents,
    names: Names,
    manifests: Manifests,
    *,
    dry_run: bool,
    grace_seconds: float = DAY_SECONDS,
) -> GcReport:
    """Condemn what nothing needs and remove what was condemned a grace period ago and is still not needed.

    A damaged name or record stops it before anything is removed: what cannot be read may be needed.

    Raises:
        Damaged: a name, a pin, a manifest or the record of an object is not what was written.
        Unavailable: the machine did not let something be removed; what was removed until then was not needed.
    """
    roots = _roots(names, Pins(documents), manifests)
    # Roots before objects: what is named while this runs is young, and so is everything it leads to.
    present = set(objects.addresses())
    unneeded = present - objects.reachable(set(roots))
    now = objects.now()
    lists = _condemned_lists(documents)
    since = {address: at for at, addresses in sorted(lists.values()) for address in addresses}  # the latest counts
    sizes = _of_each(objects.nbytes_kept, unneeded)
    states = {}
    for address, touched_at in sorted(_of_each(objects.touched_at, unneeded).items()):
        if touched_at > since.get(address, touched_at):  # found by a put since it was condemned
            del since[address]
        waited = address in since and now - since[address] >= grace_seconds
        states[address] = "young" if now - touched_at < grace_seconds else "removed" if waited else "condemned"
    _remove(objects, states, since, dry_run)
    if not dry_run:
        condemned = {address for address, state in states.items() if state == "condemned"}
        if new := sorted(condemned - since.keys()):
            documents.create(f"{_CONDEMNED}{unique_name()}.json", seal({"addresses": new, "at": now}))
        for key, (_, addresses) in lists.items():
            if (condemned & since.keys()).isdisjoint(addresses):
                documents.remove(key)
        objects.sweep(grace_seconds)
    found = tuple(Unneeded(address, sizes[address], state) for address, state in states.items())
    return GcReport(len(present), len(present) - len(unneeded), found, roots)


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


def _condemned_lists(documents: Documents) -> dict[str, tuple[float, list[str]]]:
    """Return what each collection condemned: key -> when (seconds since 1970), and which objects."""
    lists = {}
    for key in documents.keys(_CONDEMNED):
        with suppress(NotFound):  # another collection has done with it
            document = unseal(documents.read(key), key)
            lists[key] = float(document["at"]), document["addresses"]
    return lists


def _remove(objects: Objects, states: dict[str, str], since: dict[str, float], dry_run: bool) -> None:
    """Remove what is to be removed, unless something that stays needs it, and correct the states.

    Objects come before what they need. So a half-done collection leaves nothing broken, and what is found by a put
    or under a new name while this runs keeps everything below it.
    """
    if "removed" not in states.values():
        return

    def needs_of(address: str) -> set[str]:
        try:
            return objects.needs(address) & states.keys()
        except NotFound:  # another collection was quicker
            return set()

    def remove(address: str) -> bool:
        return dry_run or objects.remove(address, unless_touched_since=since[address])

    needs = _of_each(needs_of, states.keys())
    for generation in _dependents_first(needs):
        gone = _of_each(remove, {address for address in generation if states[address] == "removed"})
        for address in generation:
            if not gone.get(address, True):
                states[address] = "young"
            if states[address] != "removed":
                states.update((child, "condemned") for child in needs[address] if states[child] == "removed")


def _dependents_first(needs: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """Yield objects in generations: first those that nothing needs, then those that only these need, and so on."""
    needed_by = Counter(chain.from_iterable(needs.values()))
    generation = [address for address in needs if not needed_by[address]]
    while generation:
        yield generation
        needed_by.subtract(below := Counter(chain.from_iterable(needs[address] for address in generation)))
        generation = [address for address in below if not needed_by[address]]


def _of_each(act: Callable[[str], T], addresses: Iterable[str]) -> dict[str, T]:
    """Return what ``act`` gives for each address; most of its time is waiting, for a disk or a server."""
    order = list(addresses)
    return dict(zip(order, in_order(act, order, _AT_ONCE), strict=True))


def _key(address: str) -> str:
    return f"{_PINS}{address.removeprefix(PREFIX)}.json"
