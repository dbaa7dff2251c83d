"""A restore drill: values come back from a backup into an empty store, verified, opened, compared with what stands."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smalti.codecs.product import Product
from smalti.contracts.violation import errors
from smalti.errors import Damaged, NotFound, SmaltiError
from smalti.products.product_file import read_product, write_product
from smalti.products.validate import validate_product
from smalti.store.commit import machine_errors

if TYPE_CHECKING:
    from smalti.store import NameVersion, Store

_PRODUCT = "product"
_MOST_LOOKED_AT = 1000


@dataclass(frozen=True, slots=True)
class Restored:
    """One value that was taken from a backup, or could not be.

    Attributes:
        name: what it is called in the backup.
        version, at, digest: which version that is there, since when (UTC, ISO 8601), and its address.
        kind: ``product``, or what else it is.
        objects, nbytes: what it consists of, as restored.
        seconds: from the first request to the last comparison.
        stands: how it compares with what the store has under that name.
        problem: why it could not be restored; "" where it was.
    """

    name: str
    version: int
    at: str
    digest: str
    kind: str = ""
    objects: int = 0
    nbytes: int = 0
    seconds: float = 0.0
    stands: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class DrillReport:
    """What a restore drill has shown.

    Attributes:
        backup: where it is.
        names: how many names it has.
        newest_at: when the newest version of a name in it was given, UTC, ISO 8601.
        restored: what was tried: a product, where one was found, and another value.
    """

    backup: str
    names: int
    newest_at: str
    restored: tuple[Restored, ...]

    @property
    def clean(self) -> bool:
        """Whether all that was tried came back whole."""
        return not any(one.problem for one in self.restored)


def drill(
    store: Store, backup: Store, choose: random.Random, *, most_nbytes: int = 2 << 30, folder: Path | None = None
) -> DrillReport:
    """Restore a product and one other value, both chosen at random, from a backup into an empty temporary store.

    Each is pulled, every byte of it is read and hashed again, and it must have the address that the backup's name
    stands for. A product is also written as HDF5, read and held against its contract. The temporary store is removed.

    Args:
        store: what the backup is of.
        choose: decides which; of at most 1,000 names the records are looked at to find a product and another value.
        most_nbytes: larger values are passed over.
        folder: where the temporary store is made; by default where temporary files go.

    Raises:
        NotFound: there is no store at the backup's place, or nothing small enough in it.
        Damaged, Refused, Unavailable: its names cannot be read.
    """
    versions = list(backup.names())
    chosen = list(_chosen(backup, versions, choose, most_nbytes))
    if not chosen:
        raise NotFound(
            f"{backup.place} has nothing to restore: none of {len(versions)} names stands for a value of at most "
            f"{most_nbytes} bytes; push the store there, or allow larger values."
        )
    restored = tuple(_restored(store, backup, one, folder) for one in chosen)
    return DrillReport(backup.place, len(versions), max(one.at for one in versions), restored)


def _chosen(
    backup: Store, versions: list[NameVersion], choose: random.Random, most_nbytes: int
) -> Iterator[tuple[NameVersion, str | SmaltiError]]:
    """Yield a product and another value, each with its kind; and what cannot be looked at, with why."""
    wanted = {True, False}
    for version in choose.sample(versions, min(len(versions), _MOST_LOOKED_AT)):
        try:
            record = backup.record(version.address)
        except (NotFound, Damaged) as error:
            yield version, error
            return
        kind = str(record.header.get("type") or record.kind)
        if record.nbytes <= most_nbytes and (is_product := kind == _PRODUCT) in wanted:
            wanted.remove(is_product)
            yield version, kind
        if not wanted:
            return


def _restored(
    store: Store, backup: Store, chosen: tuple[NameVersion, str | SmaltiError], folder: Path | None
) -> Restored:
    version, kind = chosen
    started = time.monotonic()
    said = version.name, version.version, version.at, version.address
    if isinstance(kind, SmaltiError):
        return Restored(*said, problem=str(kind))
    try:
        with (
            machine_errors("restoring into a temporary store"),
            tempfile.TemporaryDirectory(prefix="smalti-drill-", dir=folder, ignore_cleanup_errors=True) as scratch,
        ):
            objects, nbytes = _pulled(backup, version, kind, Path(scratch))
        stands = _compared(store, version)
    except SmaltiError as error:
        return Restored(*said, kind, seconds=time.monotonic() - started, problem=str(error))
    return Restored(*said, kind, objects, nbytes, time.monotonic() - started, stands)


def _pulled(backup: Store, version: NameVersion, kind: str, scratch: Path) -> tuple[int, int]:
    """Pull a value, verify it whole and open it; return how many objects and bytes of content it is.

    Raises:
        SmaltiError: that was not possible; the message says what is wrong.
    """
    from smalti import open_store

    empty = open_store(scratch / "store")
    empty.pull(backup, [version.name])
    report = empty.fsck(full=True)
    for problem in report.problems:
        raise Damaged(problem.what)
    if empty.resolve(version.name) != version.address:
        raise Damaged(
            f"{version.name} came back as {empty.resolve(version.name)}, and the backup's name stands for "
            f"{version.address}; push it again."
        )
    if kind == _PRODUCT:
        _opened(empty.get(version.name), version.name, scratch / "product.h5")
    return report.objects, report.nbytes


def _opened(product: Product, name: str, path: Path) -> None:
    """Write a product as people get it, read it and hold it against its contract."""
    write_product(path, product)
    again, result = read_product(path), validate_product(path)
    if found := errors(result.violations):
        raise Damaged(f"{name} came back, and its file breaks the contract {result.contract}: {found[0]}")
    if not np.array_equal(again.object, product.object):
        raise Damaged(f"{name} came back, and its file holds another object than the store.")


def _compared(store: Store, version: NameVersion) -> str:
    """Say how a restored value compares with what the store has under its name."""
    here = [one.address for one in store.versions(version.name)] if store.exists() else []
    if version.address not in here:
        return "not here under this name" if not here else "none of the versions here"
    newer = here[::-1].index(version.address)
    return "equal to what stands here" if not newer else f"an earlier version; {newer} came here since"
