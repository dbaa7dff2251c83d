"""Bringing what one store keeps to another, so that the copy answers what the first one did.

Objects go first (``transfer``), then names with their versions, then pins, then manifests: whatever is named there is
whole. What both have stays. A push that is interrupted goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from smalti.errors import NotFound, Refused
from smalti.store.documents import Documents
from smalti.store.long_work import OnProgress
from smalti.store.maintenance.histories import Merge, to_append, to_bring
from smalti.store.maintenance.transfer import TransferReport, transfer
from smalti.store.manifests import Manifest, Manifests
from smalti.store.names import HISTORIES, Names, NameVersion
from smalti.store.objects.object_store import ObjectStore
from smalti.store.objects.taking import Codecs
from smalti.store.pins import Pins


@dataclass(frozen=True, slots=True)
class Side:
    """One of two stores."""

    objects: ObjectStore
    documents: Documents
    manifests: Manifests
    codecs: Codecs

    @property
    def names(self) -> Names:
        return Names(self.documents)

    @property
    def pins(self) -> Pins:
        return Pins(self.documents)


@dataclass(frozen=True, slots=True)
class Carried:
    """What goes to another store.

    Attributes:
        names: of each name its versions, oldest first.
        values: addresses of what goes without a name.
        pins: addresses that are pinned there, too.
        manifests: of runs; what those that are not released used goes with them.
        whole: whether these are all versions of the names: then none takes the place of what a name stands for there.
    """

    names: dict[str, list[NameVersion]]
    values: frozenset[str] = frozenset()
    pins: tuple[str, ...] = ()
    manifests: tuple[Manifest, ...] = ()
    whole: bool = False

    def addresses(self) -> dict[str, set[str]]:
        """Return the address of every value that goes, and what it goes for."""
        found: dict[str, set[str]] = {address: {address} for address in self.values}
        for name, versions in self.names.items():
            for version in versions:
                found.setdefault(version.address, set()).add(name)
        for address in self.pins:
            found.setdefault(address, set()).add("a pin")
        for manifest in self.manifests:
            for address in manifest.addresses():
                found.setdefault(address, set()).add(f"the run {manifest.run}")
        return found


def everything(side: Side) -> Carried:
    """Return all that a store keeps: every version of every name, pins, and the manifests of all runs.

    Raises:
        Damaged, Refused: a document is not what was written, or of a newer version: what it keeps cannot be known.
    """
    manifests, pins = tuple(side.manifests.all()), tuple(side.pins.all())
    names: dict[str, list[NameVersion]] = {}
    for version in _all_versions(side.names):
        names.setdefault(version.name, []).append(version)
    return Carried(names, frozenset(), pins, manifests, whole=True)


def chosen(side: Side, refs: Iterable[str], resolve: Callable[[str], str]) -> Carried:
    """Return what references lead to: a name with what it stands for now, that of a directory with all its versions.

    Raises:
        NotFound, Ambiguous: a reference fits nothing, or several things.
    """
    names: dict[str, list[NameVersion]] = {}
    values = set()
    for ref in refs:
        versions: list[NameVersion] = []
        with suppress(Refused):  # it cannot be a name
            versions = side.names.versions(ref)
        if versions:
            names[ref] = versions if ref.startswith(HISTORIES) else versions[-1:]
        else:
            values.add(resolve(ref))
    return Carried(names, frozenset(values))


def push(source: Side, target: Side, carried: Carried, progress: OnProgress | None = None) -> TransferReport:
    """Bring it to another store.

    Raises:
        NotFound: the source has no such value.
        Damaged: something of the source is not what was stored; what was sent until then is whole.
        Refused: a value is none that its header describes, or a name or a run stands for something else there: what
            else there is was brought.
        Unavailable: the target could not be written; the same call again goes on from there.
    """
    report = transfer(source.objects, target.objects, carried.addresses(), source.codecs, progress)
    refused: list[str] = []
    brought = [name for name in sorted(carried.names) if _tried(refused, partial(_bring, target, carried, name))]
    for address in carried.pins:  # else a collection there would remove what only a pointer file in git refers to
        target.pins.add(address)
    for manifest in carried.manifests:
        _tried(refused, partial(target.manifests.bring, manifest))
    if refused:
        others = f" {len(refused) - 1} more were left as they are there: {' '.join(refused[1:])}" * (len(refused) > 1)
        raise Refused(f"all else was brought to {target.objects.location}, but {refused[0]}{others}")
    return replace(report, names=tuple(brought))


def _bring(target: Side, carried: Carried, name: str) -> None:
    """Bring a name.

    Raises:
        Refused: it stands for something there that ours did not come of, or some versions do not fit.
    """
    ours = carried.names[name]
    while True:
        theirs = target.names.versions(name)
        merge = to_bring(ours, theirs, target.objects.location)
        if not carried.whole and (merge.left or _latest([*theirs, *merge.brought]).address != ours[-1].address):
            merge = Merge(tuple(to_append(ours, theirs)))
        elif not carried.whole and theirs and theirs[-1].address == ours[-1].address and len(ours) == 1:
            merge = Merge(())  # it stands for that there already, given at another time
        if all(target.names.bring(version) for version in merge.brought):
            break  # otherwise somebody gave it meanwhile: look again
    if merge.left:
        raise Refused(merge.left)


def _latest(versions: Sequence[NameVersion]) -> NameVersion:
    return max(versions, key=lambda one: one.version)


def _tried(refused: list[str], act: Callable[[], object]) -> bool:
    try:
        act()
    except Refused as error:
        refused.append(str(error))
        return False
    return True


def _all_versions(names: Names) -> Iterator[NameVersion]:
    for key in names.keys():  # noqa: SIM118 (not a mapping)
        with suppress(NotFound):  # taken away meanwhile
            yield names.read(key)
