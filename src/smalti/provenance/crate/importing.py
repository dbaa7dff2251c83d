"""Values and runs out of a crate, back into a store: every digest is computed anew and has to be the one stated."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti import canonical
from smalti.errors import NotFound, Refused, SmaltiError
from smalti.provenance.crate.about import About, Elsewhere, Kept, read_about
from smalti.provenance.crate.source import CrateFiles, opened_crate

if TYPE_CHECKING:
    from smalti.store import Encoded, Manifest, Ref, Store
    from smalti.store.long_work import OnProgress

Advanced = Callable[[int, int], None]

_AT_ONCE, _AT_ONCE_NBYTES = 256, 16 * 1024 * 1024  # small values that share the wait for the disk


@dataclass(frozen=True, slots=True)
class Imported:
    """What was brought back.

    Attributes:
        subject: the address of the value that the crate is about; "" where it is about a run.
        values: how many objects the crate holds, each with the digest that it states.
        nbytes: their content.
        runs: whose manifests are here now.
        released: those of them that keep nothing, because not all of their values are here.
        pinned: values that nothing else would keep.
        missing: values that the runs used, that are neither in the crate nor in the store.
    """

    subject: str
    values: int
    nbytes: int
    runs: tuple[str, ...]
    released: tuple[str, ...]
    pinned: tuple[str, ...]
    missing: tuple[Elsewhere, ...]


def import_crate(store: Store, path: Path, *, dry_run: bool = False, progress: OnProgress | None = None) -> Imported:
    """Bring the values and the runs of a crate into a store.

    All is checked first; nothing is written where anything is not what it should be. The manifest of a run whose values
    are not all here is brought as a released one: it says what it said, and ``runs find`` finds it, but it keeps
    nothing; of its values those that are here are pinned.

    Args:
        path: a folder, or a zip file.
        dry_run: check everything, write nothing.
        progress: called after each piece of work: files checked, values written, runs recorded.

    Raises:
        NotFound: there is no crate, or it lacks a file.
        Refused: another tool wrote it, it is not to be trusted, a file has another digest than stated, or a run has
            another manifest here.
        Damaged: an archive cannot be unpacked.
        Unavailable: the machine did not let it be read, or written.
    """
    with opened_crate(path) as files:
        about = read_about(files)
        order = _ordered(files, about.values)
        _check_trees(files, about.values)
        _check_runs(store, about.manifests)
        advanced = _counted(about, dry_run, progress)
        nbytes = _check_files(files, about.values, advanced)
        here = _Here(store, about.values)
        runs = tuple(manifest.run for manifest in about.manifests)
        released = tuple(m.run for m in about.manifests if m.released_at or not all(map(here.has, m.addresses())))
        kept = {a for m in about.manifests if m.run not in released for a in m.addresses()}
        tops = dict.fromkeys(
            [about.subject, *(a for m in about.manifests for a in sorted(m.used() | m.described_by()))]
        )
        pinned = tuple(a for a in tops if a in about.values and a not in kept)
        missing = tuple(one for one in about.elsewhere if not here.has(one.address))
        if not dry_run:
            _write(store, files, about.values, order, advanced)
            for address in pinned:
                store.pin(address)
            for manifest in about.manifests:
                lets_go = manifest.run in released and not manifest.released_at
                store.bring_manifest(replace(manifest, released_at=manifest.created_at) if lets_go else manifest)
                advanced(1, 0)
        return Imported(about.subject, len(about.values), nbytes, runs, released, pinned, missing)


def _counted(about: About, dry_run: bool, progress: OnProgress | None) -> Advanced:
    """Return what is told of work done (objects, bytes): files are checked, then all is written, then the runs."""
    from smalti.store.long_work import Progress

    leaves = [kept for kept in about.values.values() if kept.kind != "tree"]
    of_nbytes = sum(kept.nbytes for kept in leaves) * (1 if dry_run else 2)
    of_objects = len(leaves) + (0 if dry_run else len(about.values) + len(about.manifests))
    objects = nbytes = 0

    def advanced(more_objects: int, more_nbytes: int) -> None:
        nonlocal objects, nbytes
        objects, nbytes = objects + more_objects, nbytes + more_nbytes
        if progress:
            progress(Progress(objects, of_objects, nbytes, of_nbytes))

    return advanced


class _Here:
    """Whether a value is in the crate, or already in the store."""

    def __init__(self, store: Store, values: Mapping[str, Kept]) -> None:
        self._store, self._known = store, dict.fromkeys(values, True)

    def has(self, address: str) -> bool:
        if address not in self._known:
            try:
                self._store.record(address)
                self._known[address] = True
            except SmaltiError:
                self._known[address] = False
        return self._known[address]


def _ordered(files: CrateFiles, values: Mapping[str, Kept]) -> list[str]:
    """Return the addresses, each after its children.

    Raises:
        Refused: a tree has a child that is not in the crate, or is a part of itself.
    """
    for address, kept in values.items():
        for name, child in kept.children.items():
            if child not in values:
                raise Refused(f"{files.where} holds {address} without its part {name!r}, {child}; get the whole crate.")
    try:
        return list(TopologicalSorter({a: kept.children.values() for a, kept in values.items()}).static_order())
    except CycleError as error:
        raise Refused(f"{files.where} holds a tree that is a part of itself; it is not to be trusted.") from error


def _check_trees(files: CrateFiles, values: Mapping[str, Kept]) -> None:
    from smalti.store.format.record import header_record

    for address, kept in values.items():
        if kept.kind != "tree":
            continue
        header = _restored(kept.header)
        attrs = header.get("attrs", {})
        if not isinstance(attrs, dict) or header_record(header, 0).address != address:
            raise _other(files, kept, address)
        if kept.order and sorted(kept.order) != sorted([*kept.children, *attrs]):
            raise _other(files, kept, address)


def _check_files(files: CrateFiles, values: Mapping[str, Kept], advanced: Advanced) -> int:
    from smalti.store.format.record import canonical_header
    from smalti.store.objects.hashing import record_of

    nbytes = 0
    for address, kept in values.items():
        if kept.kind == "tree":
            continue
        encoded = _encoded(files, kept)
        record = record_of(encoded)
        header = encoded.header if kept.kind == "json" else _restored(kept.header)
        if record.address != address or record.canonical_header != canonical_header(header)[1]:
            raise _other(files, kept, address)
        nbytes += encoded.nbytes
        advanced(1, encoded.nbytes)
    return nbytes


def _encoded(files: CrateFiles, kept: Kept) -> Encoded:
    """Return the object that the value in a file is stored as.

    Raises:
        Refused: the file does not hold a value as the crate describes it.
    """
    from smalti.codecs import CODECS
    from smalti.store import Encoded

    content = files.mapped(kept.path)
    buffers = [content[offset : offset + nbytes] for offset, nbytes in kept.buffers]
    if any(len(found) != nbytes for found, (_, nbytes) in zip(buffers, kept.buffers, strict=True)):
        raise Refused(f"{kept.path} in {files.where} is cut short; get the crate again.")
    try:
        if kept.kind == "json":
            return Encoded(_header_of_document(files, kept, bytes(content)))
        header = _restored(kept.header)
        if kept.kind == "table":
            _check_table(header, buffers)
        encoded = CODECS.encode(CODECS.decode(header, buffers))
    except Exception as error:  # the header is foreign, and each codec stumbles over what it does not expect elsewhere
        raise Refused(
            f"{kept.path} in {files.where} is not the {kept.kind[:40]} that the crate says it is "
            f"({type(error).__name__}: {' '.join(str(error).split())[:500]}); get the crate again."
        ) from error
    assert isinstance(encoded, Encoded)
    return encoded


def _header_of_document(files: CrateFiles, kept: Kept, content: bytes) -> dict[str, Any]:
    """Return the header of a JSON document, which holds it, with the types that its file does not tell apart."""
    plain, _ = canonical.describe(canonical.loads(content))
    if isinstance(plain, dict):
        raise Refused(
            f"{kept.path} in {files.where} is a mapping, which would be stored as a tree; get the crate again."
        )
    return _restored({**kept.header, "value": plain})


def _restored(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return a header with the types that JSON does not tell apart.

    Raises:
        Refused: they do not fit.
    """
    plain = copy.deepcopy({name: said for name, said in header.items() if name != "types"})
    restored: dict[str, Any] = canonical.restore(plain, header.get("types", {}))
    return restored


def _check_table(header: Mapping[str, Any], buffers: list[memoryview]) -> None:
    """Look at every offset and text of a table before anything follows them."""
    from smalti.codecs import CODECS

    table = CODECS.decode({name: said for name, said in header.items() if name != "pandas"}, buffers)
    table.validate(full=True)


def _write(store: Store, files: CrateFiles, values: Mapping[str, Kept], order: list[str], advanced: Advanced) -> None:
    refs: dict[str, Ref] = {}
    level: dict[str, int] = {}
    for address in order:
        level[address] = max((level[child] + 1 for child in values[address].children.values()), default=0)
    for some in _batches(sorted(order, key=level.__getitem__), values, level):
        kept = [values[address] for address in some]
        put = store.put_all(_tree(one, refs) if one.kind == "tree" else _encoded(files, one) for one in kept)
        for address, ref in zip(some, put, strict=True):
            if ref.digest != address:
                raise _other(files, values[address], address)
            refs[address] = ref
        advanced(len(some), sum(one.nbytes for one in kept))


def _tree(kept: Kept, refs: Mapping[str, Ref]) -> Any:
    from smalti.store import Tree

    header = _restored(kept.header)
    attrs, kind = header.get("attrs", {}), header.get("type")
    if not isinstance(attrs, dict) or not (kind is None or isinstance(kind, str)):
        raise Refused(f"{kept.path} is described as a tree with other attributes than a tree has.")
    return Tree({name: refs[child] for name, child in kept.children.items()}, attrs, kind, kept.order)


def _batches(order: list[str], values: Mapping[str, Kept], level: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield what is put together: small values of one level, of which none is a part of another."""
    batch: list[str] = []
    nbytes = 0
    for address in order:
        size = values[address].nbytes
        full = len(batch) >= _AT_ONCE or nbytes + size > _AT_ONCE_NBYTES
        if batch and (full or level[batch[0]] != level[address]):
            yield batch
            batch, nbytes = [], 0
        batch.append(address)
        nbytes += size
    if batch:
        yield batch


def _check_runs(store: Store, manifests: tuple[Manifest, ...]) -> None:
    """Raise where a run has another manifest here, or would be a part of itself."""
    parents = {manifest.run: manifest.parent for manifest in manifests}
    if len(parents) != len(manifests):
        raise Refused("the crate holds two manifests of one run; it is not to be trusted.")
    for manifest in manifests:
        try:
            there = store.manifest(manifest.run)
        except NotFound:
            there = None
        if there and there.created_at != manifest.created_at:
            raise Refused(
                f"the run {manifest.run!r} has another manifest in the store at {store.place}, written at "
                f"{there.created_at}; the crate's is of {manifest.created_at}. Import it into another store."
            )
        seen, above = {manifest.run}, manifest.parent
        while above:
            if above in seen:
                raise Refused(f"the run {manifest.run!r} of the crate is a part of itself; it is not to be trusted.")
            seen.add(above)
            above = parents[above] if above in parents else _parent_of(store, above)


def _parent_of(store: Store, run: str) -> str:
    try:
        return store.manifest(run).parent
    except (NotFound, Refused):
        return ""


def _other(files: CrateFiles, kept: Kept, address: str) -> Refused:
    return Refused(
        f"{kept.path} in {files.where} is not {address} as the crate states: it was changed; get the crate again."
    )
