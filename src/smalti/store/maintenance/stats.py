"""How much a store holds, of what, and what keeping every piece once saves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from smalti.errors import Damaged, NotFound, Refused
from smalti.store.documents import Documents
from smalti.store.format.record import Record
from smalti.store.long_work import OnProgress, Progress, in_order
from smalti.store.names import Names, NameVersion
from smalti.store.objects.object_store import ObjectStore
from smalti.store.pins import Pins

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class KindStats:
    """Objects of one kind: how many, their content, and what their files take."""

    kind: str
    objects: int
    nbytes: int
    nbytes_kept: int


@dataclass(frozen=True, slots=True)
class NameStats:
    """What the last version of a name stands for, and its size, children included."""

    name: str
    digest: str
    nbytes: int


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What a store holds.

    Attributes:
        objects, names, versions: how many there are.
        nbytes: content of every version of every name, every pin, and every other value that is part of none: what
            all of them would take if each was kept by itself.
        nbytes_kept: what the objects' files take.
        kinds: the same by kind, largest first.
        largest: the names, largest first.
    """

    objects: int
    names: int
    versions: int
    nbytes: int
    nbytes_kept: int
    kinds: tuple[KindStats, ...]
    largest: tuple[NameStats, ...]

    @property
    def nbytes_saved(self) -> int:
        """Bytes that are kept once and not several times; negative where records take more than that saves."""
        return self.nbytes - self.nbytes_kept


def stats(
    objects: ObjectStore,
    documents: Documents,
    progress: OnProgress | None = None,
    unreadable: list[str] | None = None,
) -> StoreStats:
    """Read every record and add up.

    Args:
        unreadable: takes the names, pins and records that are damaged, and they are left out; None: they are raised.

    Raises:
        Damaged, Refused: a name, a pin or a record is not what was written, or of a newer version.
    """
    names, pins = Names(documents), Pins(documents)

    def readable(key: str, read: Callable[[str], Found]) -> Found | None:
        try:
            return read(key)
        except NotFound:  # taken away, or collected, meanwhile
            return None
        except (Damaged, Refused):
            if unreadable is None:
                raise
            unreadable.append(key)
            return None

    latest: dict[str, NameVersion] = {}
    versions = []
    for key in names.keys():  # noqa: SIM118 (not a mapping)
        if version := readable(key, names.read):
            latest[version.name] = version  # in order, so the last one stays
            versions.append(version.address)

    def measured(address: str) -> tuple[Record, int]:
        return objects.record(address), objects.nbytes_stored(address)

    def look(address: str) -> tuple[Record, int] | None:
        return readable(address, measured)

    addresses = list(objects.addresses())
    nbytes: dict[str, int] = {}
    contained: set[str] = set()
    kinds: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for done, found in enumerate(in_order(look, addresses, objects.parallel), 1):
        if found:
            record, kept = found
            nbytes[record.address] = record.nbytes
            contained.update(record.children.values())
            kinds[record.kind].append((record.content_nbytes, kept))
        if progress:
            progress(Progress(done, len(addresses), 0))
    pinned = {address for key in pins.keys() if (address := readable(key, pins.read))}.difference(versions)  # noqa: SIM118
    loose = nbytes.keys() - contained - pinned - set(versions)
    by_kind = [
        KindStats(kind, len(some), sum(a for a, _ in some), sum(b for _, b in some)) for kind, some in kinds.items()
    ]
    by_name = [NameStats(one.name, one.address, nbytes.get(one.address, 0)) for one in latest.values()]
    return StoreStats(
        objects=len(nbytes),
        names=len(latest),
        versions=len(versions),
        nbytes=sum(nbytes.get(address, 0) for address in [*versions, *pinned, *loose]),
        nbytes_kept=sum(kind.nbytes_kept for kind in by_kind),
        kinds=tuple(sorted(by_kind, key=lambda kind: (-kind.nbytes_kept, kind.kind))),
        largest=tuple(sorted(by_name, key=lambda name: (-name.nbytes, name.name))),
    )
