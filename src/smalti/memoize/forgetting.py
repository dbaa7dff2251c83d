"""Forgetting what was remembered, and what that frees."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smalti.errors import NotFound
from smalti.memoize.calls import FOLDER

if TYPE_CHECKING:
    from smalti.store import Store


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was remembered: how many results, and the bytes of content that nothing else in the store needs."""

    results: int
    nbytes: int


def forget_all(store: Store, *, dry_run: bool = False) -> Forgotten:
    """Take the names of all remembered results away, so that ``gc`` may collect them; a dry run only counts.

    Raises:
        Damaged: a name or a record is not what was written; nothing was forgotten.
    """
    names = {version.name for version in store.names()}
    remembered, others = set[str](), {*store.pins()}.union(*(manifest.addresses() for manifest in store.manifests()))
    for name in names:
        addresses = remembered if name.startswith(FOLDER) else others
        addresses.update(version.address for version in store.versions(name))
    only_theirs = _reachable(store, remembered) - _reachable(store, others)
    records = [store.record(address) for address in only_theirs]
    forgotten = {name for name in names if name.startswith(FOLDER)}
    if not dry_run:
        for name in sorted(forgotten):
            store.forget(name)
    return Forgotten(len(forgotten), sum(record.nbytes for record in records if record.kind != "tree"))


def _reachable(store: Store, roots: Iterable[str]) -> set[str]:
    """Return these objects and all their children, as far as they are there."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        address = waiting.pop()
        if address not in found:
            with suppress(NotFound):
                waiting.extend(store.record(address).children.values())
                found.add(address)
    return found
