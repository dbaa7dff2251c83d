"""Collecting what nothing needs any more: marked, condemned, left alone for a grace period, looked at again, removed.

Roots are names (every version) and pins. What is younger than the grace period is never touched, so a writer that has
put children and not yet the tree that needs them loses nothing; a put that finds an object already there makes it
young again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from smalti.digest import PREFIX
from smalti.errors import Damaged, NotFound
from smalti.store.backend import Documents, Objects
from smalti.store.names import Names
from smalti.store.record import seal, unseal

DAY_SECONDS = 24 * 3600.0
_CONDEMNED = "condemned/"
_PINS = "pins/"


@dataclass(frozen=True, slots=True)
class Unneeded:
    """An object that no name and no pin leads to.

    Attributes:
        address: which.
        nbytes: bytes it takes.
        verdict: ``young`` (within the grace period), ``condemned`` (from now on, or still waiting) or ``removed``.
    """

    address: str
    nbytes: int
    verdict: str


@dataclass(frozen=True, slots=True)
class GcReport:
    """What a collection found and did; of a dry run, what it would do."""

    objects: int
    needed: int
    unneeded: tuple[Unneeded, ...]

    def nbytes(self, verdict: str) -> int:
        """Return the bytes of all unneeded objects with a verdict."""
        return sum(item.nbytes for item in self.unneeded if item.verdict == verdict)


class Pins:
    """Values that stay whether or not they have a name."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def add(self, address: str) -> None:
        """Pin a value; nothing happens when it is pinned already."""
        self._documents.create(_key(_PINS, address), seal({"address": address}))

    def remove(self, address: str) -> None:
        """Take a pin away; nothing happens when there is none."""
        self._documents.remove(_key(_PINS, address))

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
        if not isinstance(address, str) or _key(_PINS, address) != key:
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
    objects: Objects, documents: Documents, names: Names, *, dry_run: bool, grace_seconds: float = DAY_SECONDS
) -> GcReport:
    """Condemn what nothing needs and remove what was condemned a grace period ago and is still not needed.

    A damaged name or record stops it before anything is removed: what cannot be read may be needed.

    Raises:
        Damaged: a name, a pin or the record of a needed object is not what was written.
        Unavailable: the machine did not let something be removed; what was removed until then was not needed.
    """
    roots = names.addresses() | set(Pins(documents).all())
    # Roots before objects: what is named while this runs is young, and so is everything it leads to.
    present = set(objects.addresses())
    needed = objects.reachable(roots) & present
    now = time.time()
    condemned = _read_condemned(documents)
    unneeded = []
    for address in _dependents_first(objects, present - needed):
        nbytes = objects.nbytes_kept(address)
        touched_at = objects.touched_at(address)
        since = condemned.get(address)
        if since is not None and touched_at > since:  # found by a put since then
            if not dry_run:
                documents.remove(_key(_CONDEMNED, address))
            since = None
        if now - touched_at < grace_seconds:
            verdict = "young"
        elif since is None or now - since < grace_seconds:
            verdict = "condemned"
            if since is None and not dry_run:
                documents.create(_key(_CONDEMNED, address), seal({"address": address, "at": now}))
        else:
            verdict = "removed"
            if not dry_run:
                verdict = "removed" if objects.remove(address, unless_touched_since=since) else "young"
                documents.remove(_key(_CONDEMNED, address))
        unneeded.append(Unneeded(address, nbytes, verdict))
    if not dry_run:
        for address in condemned.keys() & needed:
            documents.remove(_key(_CONDEMNED, address))
        objects.sweep(grace_seconds)
    return GcReport(len(present), len(needed), tuple(unneeded))


def _read_condemned(documents: Documents) -> dict[str, float]:
    """Return when each condemned object was condemned, seconds since 1970."""
    found = [unseal(documents.read(key), key) for key in documents.keys(_CONDEMNED)]
    return {str(document["address"]): float(document["at"]) for document in found}


def _dependents_first(objects: Objects, addresses: set[str]) -> Iterable[str]:
    """Order objects so that none comes before one that needs it: a half-done collection leaves nothing broken."""
    needs = {}
    for address in sorted(addresses):
        try:
            needs[address] = objects.needs(address) & addresses
        except NotFound:  # another collection was quicker
            continue
    needed_by = dict.fromkeys(needs, 0)
    for some in needs.values():
        for address in some & needs.keys():
            needed_by[address] += 1
    ready = [address for address, count in needed_by.items() if not count]
    while ready:
        address = ready.pop()
        yield address
        for child in needs[address] & needs.keys():
            needed_by[child] -= 1
            if not needed_by[child]:
                ready.append(child)


def _key(folder: str, address: str) -> str:
    return f"{folder}{address.removeprefix(PREFIX)}.json"
