"""What goes into a crate: the runs upstream of a value or a run, and of the values they used, which are at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from smalti.errors import NotFound
from smalti.provenance.facts import Facts, facts_of
from smalti.provenance.subject import Subject, lineage_of
from smalti.provenance.told import DETAILS, DIFF, SOURCE, environments_of, names_in, with_arrival

if TYPE_CHECKING:
    from smalti.store import Manifest, Store


@dataclass(frozen=True)
class Contents:
    """What goes into a crate.

    Attributes:
        subject: what it is about.
        runs: the manifests, the nearest first.
        on_path: the values that lead to the subject, and its own: the nearest first.
        facts: of every value that a run used, by address.
        environments: what each run says of its environment, by run.
    """

    subject: Subject
    runs: tuple[Manifest, ...]
    on_path: tuple[str, ...]
    facts: Mapping[str, Facts]
    environments: Mapping[str, Mapping[str, Any]]

    @cached_property
    def called(self) -> dict[str, str]:
        """What each value was called where it was written, else where it was read."""
        found = names_in(self.runs)
        for run in self.runs:
            what = {
                run.code.get(DIFF): f"changes of {run.run}",
                run.code.get(SOURCE): f"source of {run.run}",
                run.environment.get(DETAILS): "environment",
            }
            found |= {address: what.get(address, f"description of {run.run}") for address in run.described_by()}
        for address, facts in self.facts.items():
            if facts.filename:
                found[address] = facts.filename
        return found

    @property
    def at_hand(self) -> list[str]:
        """The values on the path that can be read."""
        return [address for address in self.on_path if not self.facts[address].gone]


def contents_of(store: Store, subject: Subject, depth: int | None) -> Contents:
    """Return the whole upstream of a value or a run, as far as is recorded.

    Args:
        depth: follow so many steps at most; None: all.
    """
    hops = lineage_of(store, subject.addresses, "upstream", depth)
    parts = {} if subject.run is None else dict.fromkeys([subject.run.run, *_below(store, subject.run.run)])
    runs: list[Manifest] = []
    for name in parts | dict.fromkeys(hop.run for hop in hops):
        try:
            runs.append(store.manifest(name))
        except NotFound:  # removed by hand
            continue
    own = {address for run in runs if run.run in parts for address in run.used()}
    on_path = dict.fromkeys([*subject.addresses, *sorted(own)])
    on_path |= dict.fromkeys(a for hop in hops for a in (hop.wrote, hop.read) if a)
    on_path |= dict.fromkeys(address for run in runs for address in sorted(run.described_by()))
    every = dict.fromkeys([*on_path, *sorted({a for run in runs for a in run.used()})])
    writers: dict[str, list[Manifest]] = {}
    for run in runs:
        for address in {*run.outputs.values()}:
            writers.setdefault(address, []).append(run)
    facts = {address: with_arrival(facts_of(store, address), writers.get(address, [])) for address in every}
    return Contents(subject, tuple(runs), tuple(on_path), facts, environments_of(store, runs))


def _below(store: Store, run: str) -> Iterable[str]:
    """Return the runs that are parts of a run, however deep."""
    found: dict[str, None] = dict.fromkeys(store.children_of(run))
    if not found:
        return ()
    children: dict[str, list[str]] = {}
    for manifest in store.manifests():  # all at once: asking for the children of each may look at all of them each time
        if manifest.parent:
            children.setdefault(manifest.parent, []).append(manifest.run)
    waiting = list(found)
    while waiting:
        further = [child for child in children.get(waiting.pop(), ()) if child not in found and child != run]
        found |= dict.fromkeys(further)
        waiting += further
    return list(found)
