"""The record of one object, ``metadata.json`` (and ``leaves.bin`` when there are many leaves)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from smalti import canonical, digest
from smalti.canonical import Json
from smalti.errors import Damaged, Refused
from smalti.store.format import leaf_table
from smalti.store.format.leaf_table import FANOUT, LeafTable
from smalti.store.format.sealed import seal_spelled, unseal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = 2
METADATA = "metadata.json"
LEAVES = "leaves.bin"
INLINE_NBYTES = 4096  # content of at most so many bytes lies in the record
_MOST_INLINE_FILE_NBYTES = 4 * INLINE_NBYTES
_MOST_NBYTES = 2**62
_FILENAME = re.compile(r"data\.[a-z0-9]{1,16}")
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
_FIELDS = {
    "format": int, "header": dict, "nbytes": int, "file": str, "buffers": list, "framing": str, "leaves": list,
    "leaf_count": int, "content": str, "order": list,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Record:
    """All that is known of one object without touching its content.

    Attributes:
        address: ``sha256:<hex>``; see ``address_of``.
        header: the value's description; what JSON does not tell apart is as it was given.
        plain_header: the header as JSON holds it, with the ``types`` of what JSON does not tell apart.
        canonical_header: the same as the address is computed from it, RFC 8785.
        nbytes: size of the content; of a tree, of all its children together.
        filename: the ordinary file, or "" for what is all header: a tree, a JSON document.
        buffers: (offset, nbytes) of each content buffer in the file.
        framing: BLAKE3 hex digest of the file's other bytes, in order.
        table: the leaves of all buffers in order.
        content: the ordinary file, where it lies in the record; b"" where it does not.
        order: the names of a mapping as they were given, where attributes and children are mixed.
    """

    address: str
    header: dict[str, Any]
    plain_header: dict[str, Json] = field(repr=False)
    canonical_header: bytes = field(repr=False)
    nbytes: int
    filename: str = ""
    buffers: tuple[tuple[int, int], ...] = ()
    framing: str = ""
    table: LeafTable = field(default_factory=lambda: LeafTable(b"", 0), repr=False)
    content: bytes = field(default=b"", repr=False)
    order: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return str(self.header["kind"])

    @property
    def ending(self) -> str:
        """The ending of the ordinary file that the value is written as, such as ``.npy``; "" for a tree."""
        return ".json" if self.kind == "json" else self.filename.removeprefix("data")

    @property
    def is_inline(self) -> bool:
        """Whether all of the object lies in its record."""
        return not self.filename or bool(self.content)

    @property
    def leaf_ids(self) -> bytes:
        """The ids of all leaves, end to end."""
        return self.table.ids

    @property
    def leaf_sizes(self) -> NDArray[np.int64]:
        """(L,) int64."""
        return self.table.all.sizes

    @property
    def content_nbytes(self) -> int:
        """Size of the object's own content: of a tree 0, its children have theirs."""
        return sum(nbytes for _, nbytes in self.buffers)

    @property
    def children(self) -> dict[str, str]:
        """Child name -> address; empty unless this is a tree."""
        children: dict[str, str] = self.header.get("children", {}) if self.kind == "tree" else {}
        return children


def address_of(header: Mapping[str, Any], canonical_header: bytes, top: bytes) -> str:
    """Return ``sha256:`` and the SHA-256 of the canonical header followed by the top of the leaf table.

    Opaque bytes are the exception: their header holds their SHA-256, and how they are cut is no part of what they are.
    """
    return digest.address(canonical_header, b"" if header["kind"] == "bytes" else top)


def canonical_header(header: Mapping[str, Any]) -> tuple[dict[str, Json], bytes]:
    """Return a header as a record holds it, its ``types`` included, and as RFC 8785 spells it.

    Raises:
        Refused: JSON cannot hold it.
    """
    plain, types = canonical.describe(header, "the value")
    assert isinstance(plain, dict)
    if types:
        plain["types"] = dict(types)
    return plain, canonical.canonical_bytes(plain)


def header_record(header: dict[str, Any], nbytes: int, order: tuple[str, ...] = ()) -> Record:
    """Return the record of what is all header: a tree, or a JSON document."""
    plain, spelled = canonical_header(header)
    return Record(address_of(header, spelled, b""), header, plain, spelled, nbytes, order=order)


def file_names(record: Record) -> list[str]:
    """Return the names of the files that hold ``record``."""
    return [METADATA] if record.table.is_in_record else [METADATA, LEAVES]


def may_be_inline(nbytes: int, file_nbytes: int) -> bool:
    """Tell whether content of that size, in a file of that size, lies in the record."""
    return nbytes <= INLINE_NBYTES and file_nbytes <= _MOST_INLINE_FILE_NBYTES


def dump(record: Record) -> dict[str, bytes]:
    """Return the files, name -> bytes, that hold ``record``."""
    document: dict[str, Any] = {"format": FORMAT, "header": record.plain_header, "nbytes": record.nbytes}
    files = {}
    if record.filename:
        document |= {"file": record.filename, "buffers": record.buffers, "framing": record.framing}
        document["leaves"] = [[leaf_id.hex(), nbytes] for leaf_id, nbytes in leaf_table.parsed(record.table.top)]
        if not record.table.is_in_record:
            document["leaf_count"] = record.table.count
            files[LEAVES] = leaf_table.dump(leaf_table.build(record.table.entries))
        if record.content:
            document["content"] = base64.b64encode(record.content).decode()
    if record.order:
        document["order"] = list(record.order)
    return {METADATA: seal_spelled(canonical.spelled(document)), **files}


def parse(address: str, metadata: bytes, levels_of: Callable[[int], leaf_table.Levels]) -> Record:
    """Return the record that ``metadata.json`` holds, proven to belong to ``address``.

    Args:
        levels_of: gives, for a number of leaves that the top does not hold, the levels below; not read before needed.

    Raises:
        Damaged: it is not what ``dump`` wrote; the message says what is wrong.
        Refused: it is of another format.
    """
    document = unseal(metadata, f"{METADATA} of {address}")
    if document.get("format") != FORMAT:
        raise Refused(f"{METADATA} of {address} has format {document.get('format')!r}; this version reads {FORMAT}.")
    try:
        record = _record(document, levels_of, f"{LEAVES} of {address}")
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise Damaged(f"{METADATA} of {address} is no record ({error}); restore it from another store.") from error
    if record.address != address:
        raise Damaged(f"the record kept for {address} describes {record.address}; restore it from another store.")
    return record


def _record(document: dict[str, Any], levels_of: Callable[[int], leaf_table.Levels], what: str) -> Record:
    """Return a record; every field is taken for hostile."""
    for name, value in document.items():
        if name not in _FIELDS or type(value) is not _FIELDS[name]:
            raise ValueError(f"its field {name!r} is unknown or no {_FIELDS.get(name, int).__name__}")
    header, plain, spelled = _header(document["header"])
    nbytes = _size(document["nbytes"])
    order = tuple(document.get("order", ()))
    if order and (
        set(order) != {*header.get("children", {}), *header.get("attrs", {})} or len(set(order)) != len(order)
    ):
        raise ValueError("its order does not name its children and attributes")
    filename = document.get("file", "")
    if not filename:
        if document.keys() - {"format", "header", "nbytes", "order"}:
            raise ValueError("it has content, but no file")
        return Record(address_of(header, spelled, b""), header, plain, spelled, nbytes, order=order)
    if header["kind"] in {"tree", "json"}:
        raise ValueError("it is all header, but has a file")
    if not _FILENAME.fullmatch(filename) or not _HEX_DIGEST.fullmatch(document["framing"]):
        raise ValueError(f"{filename!r} is no name of a file of content")
    buffers = tuple((_size(offset), _size(length)) for offset, length in document["buffers"])
    end = 0
    for offset, length in buffers:
        if offset < end:
            raise ValueError("its buffers overlap")
        end = offset + length
    table = _table(document["leaves"], document.get("leaf_count"), levels_of, what)
    if not table.nbytes == nbytes == sum(length for _, length in buffers):
        raise ValueError("its leaves do not add up to its size")
    content = base64.b64decode(document.get("content", ""), validate=True)
    if content and not (end <= len(content) <= _MOST_INLINE_FILE_NBYTES):
        raise ValueError("the content in it does not hold its buffers")
    address = address_of(header, spelled, table.top)
    return Record(
        address, header, plain, spelled, nbytes, filename, buffers, document["framing"], table, content, order
    )


def _header(plain: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Json], bytes]:
    spelled = canonical.canonical_bytes(plain)
    types = plain.get("types")
    header = plain
    if types is not None:
        header = canonical.restore({name: deepcopy(value) for name, value in plain.items() if name != "types"}, types)
    if canonical_header(header)[1] != spelled:  # or the value would come to have another address
        raise ValueError("its types are not those of its header")
    if not isinstance(header["kind"], str):
        raise TypeError("its kind is no text")
    if header["kind"] == "tree":
        children, attrs = header["children"], header.get("attrs", {})
        if not isinstance(children, dict) or not isinstance(attrs, dict):
            raise TypeError("a tree has named children")
        if not all(isinstance(child, str) and digest.is_address(child) for child in children.values()):
            raise ValueError("a child is no address")
        more = {name: header[name] for name in header.keys() - {"kind", "children"}}
        if not all(more.values()) or not more.keys() <= {"attrs", "type"} or not isinstance(more.get("type", ""), str):
            raise ValueError("a tree has children, attributes and a type only")
    return header, plain, spelled


def _table(top: list[Any], count: int | None, levels_of: Callable[[int], leaf_table.Levels], what: str) -> LeafTable:
    pairs = [(bytes.fromhex(leaf_id), _size(nbytes)) for leaf_id, nbytes in top]
    if len(pairs) > FANOUT or any(len(leaf_id) != digest.LEAF_ID_NBYTES for leaf_id, _ in pairs):
        raise ValueError("the top of its leaf table is none")
    most = leaf_table.most_nbytes(count or len(pairs))
    if not all(0 < nbytes <= most for _, nbytes in pairs):
        raise ValueError("a leaf is longer than one may be")
    entries = b"".join(leaf_table.entry(leaf_id, nbytes) for leaf_id, nbytes in pairs)
    if count is None:
        return LeafTable(entries, len(pairs))
    if not FANOUT < count < _MOST_NBYTES or leaf_table.counts(count)[-1] != len(pairs):
        raise ValueError("the top of its leaf table does not fit the number of its leaves")
    return LeafTable(entries, count, levels_of(count), what)


def _size(number: Any) -> int:
    if type(number) is not int or not 0 <= number < _MOST_NBYTES:
        raise ValueError(f"{number!r} is no size")
    return number
