"""Taking a value in: the objects it consists of, children before the tree that names them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from smalti.canonical import Json, normalise
from smalti.errors import NotFound, Refused, SmaltiError
from smalti.store.format.record import Record, header_record
from smalti.store.objects.object_store import ObjectStore
from smalti.store.objects.writer import Writer
from smalti.store.values import Encoded, Ref, Tree

if TYPE_CHECKING:
    from smalti.store.read.reader import Reader


class Codecs(Protocol):
    """What turns Python values into objects and trees, and back."""

    def encode(self, value: Any) -> Encoded | Tree: ...
    def encode_rows(self, blocks: Iterable[Any], file: Path) -> Encoded: ...
    def decode(self, header: Mapping[str, Json], buffers: list[memoryview]) -> Any: ...
    def lazy(self, header: Mapping[str, Json], reader: Reader) -> Any: ...
    def assemble(self, tree: Tree) -> Any: ...
    def file_of(self, header: Mapping[str, Any]) -> list[bytes] | None: ...
    def check_header(self, header: Mapping[str, Any], sizes: Sequence[int]) -> None: ...
    def check_object(
        self, header: Mapping[str, Any], buffers: Sequence[memoryview], framing: bytes, offsets: list[int]
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Taken:
    """A value that was taken in.

    Attributes:
        record: its own.
        addresses: of all objects that were written for it, or found there.
    """

    record: Record
    addresses: frozenset[str]

    def ref(self, added: Mapping[str, int]) -> Ref:
        """Return the reference, given the bytes that each address added."""
        new_bytes = sum(added[address] for address in self.addresses)
        return Ref(self.record.address, self.record.kind, self.record.nbytes, new_bytes)


def take(
    value: Any,
    codecs: Codecs,
    objects: ObjectStore,
    writer: Writer,
    before: str | None,
    just_put: Mapping[str, int],
    path: tuple[str, ...] = (),
) -> Taken:
    """Take a value in.

    Args:
        before: what its name stood for until now, as the most likely to share leaves with it.
        just_put: address -> nbytes of objects that are there and young.
        path: names of the children that lead to the value, for messages.

    Raises:
        Refused: no codec stores it exactly; the sentence names the child.
        NotFound: it is a reference to nothing.
    """
    if isinstance(value, Ref):
        record = objects.record(value.digest)
        keep(objects, record.address)
        return Taken(record, frozenset())
    encoded = value if isinstance(value, Encoded) else _encoded(value, codecs, path)
    if isinstance(encoded, Encoded):
        record = writer.put(encoded, [before] if before else [])
        return Taken(record, writer.parts.get(record.address, frozenset()) | {record.address})
    earlier = _record_if_possible(objects, before) if before else None
    children_before = earlier.children if earlier else {}
    kept = _kept_refs(encoded, earlier, children_before, just_put, objects)
    children = {
        name: take(child, codecs, objects, writer, children_before.get(name), just_put, (*path, name))
        for name, child in encoded.children.items()
        if name not in kept.addresses
    }
    addresses = {name: child.record.address for name, child in children.items()} | kept.addresses
    nbytes = kept.nbytes + sum(child.record.nbytes for child in children.values())
    # Names as they were given: kept references were found apart from the others.
    ordered = {name: addresses[name] for name in encoded.children}
    record = header_record(_tree_header(encoded, ordered, path), nbytes, tuple(encoded.order))
    writer.write(record, None)
    return Taken(record, frozenset({record.address}).union(*(child.addresses for child in children.values())))


@dataclass(frozen=True, slots=True)
class _Kept:
    """References of a tree that need not be looked at: name -> address, and their size."""

    addresses: dict[str, str]
    nbytes: int


def _kept_refs(
    tree: Tree, earlier: Record | None, before: Mapping[str, str], just_put: Mapping[str, int], objects: ObjectStore
) -> _Kept:
    """Return what need not be looked at one by one: it was put just now, or an earlier tree has it in the same place.

    Where a tree is, so are its children, and making it young keeps them: a collection removes trees before children.
    Their size is what the earlier tree has without its other children.
    """
    refs = {name: child.digest for name, child in tree.children.items() if isinstance(child, Ref)}
    fresh = {name: address for name, address in refs.items() if address in just_put} if just_put else {}
    fresh_nbytes = sum(just_put[address] for address in fresh.values())
    same = {name: address for name, address in refs.items() if before.get(name) == address and name not in fresh}
    if earlier is None or not same:
        return _Kept(fresh, fresh_nbytes)
    try:
        gone = sum(objects.record(address).nbytes for name, address in before.items() if name not in same)
        keep(objects, earlier.address)
    except SmaltiError:  # what is damaged or gone is no help
        return _Kept(fresh, fresh_nbytes)
    return _Kept(same | fresh, earlier.nbytes - gone + fresh_nbytes)


def _record_if_possible(objects: ObjectStore, address: str) -> Record | None:
    """Return the record of an earlier version, which is only a hint; None where it is damaged or gone."""
    try:
        return objects.record(address)
    except SmaltiError:
        return None


def keep(objects: ObjectStore, address: str) -> None:
    """Make an object that is needed from now on young, lest a collection that is at work removes it.

    Raises:
        NotFound: it is not there any more.
    """
    if not objects.lease(address):
        raise NotFound(f"{address} is not in {objects.location}, or was removed just now; put the value again.")


def _encoded(value: Any, codecs: Codecs, path: tuple[str, ...]) -> Encoded | Tree:
    """Return what a value is stored as; where it is refused, the sentence names the child."""
    try:
        return codecs.encode(value)
    except Refused as error:
        if not path:
            raise
        raise Refused(f"{'/'.join(path)}: {error}") from error


def _tree_header(tree: Tree, addresses: Mapping[str, str], path: tuple[str, ...]) -> dict[str, Any]:
    header: dict[str, Any] = {"kind": "tree", "children": dict(addresses)}
    if tree.attrs:
        normalise(tree.attrs, f"the attributes{' of ' * bool(path)}{'/'.join(path)}")  # refuses, and says where
        header["attrs"] = dict(tree.attrs)
    if tree.type:
        header["type"] = tree.type
    return header
