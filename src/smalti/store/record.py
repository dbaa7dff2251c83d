"""The record of one object, ``metadata.json`` (and ``leaves.bin`` when there are many leaves), and its self-check."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from smalti import canonical, digest
from smalti.canonical import Json
from smalti.errors import Damaged
from smalti.store.segments import in_one
from smalti.store.values import MIN_LEAF_NBYTES, Buffer, Encoded

if TYPE_CHECKING:  # numpy takes long to import: a folder of small files is stored without
    from smalti.store.values import Sizes

FORMAT = 1
METADATA = "metadata.json"
LEAVES = "leaves.bin"
_CHECK_NBYTES = len(',"check":"') + 64 + len('"}\n')
_FIRST_NBYTES = 16 * 1024 * 1024
_SIZE = struct.Struct("<I")
_INLINE_LEAVES = 64  # a longer list is unreadable in JSON and slow to parse


@dataclass(frozen=True, slots=True)
class Record:
    """All that is known of one object without touching its content.

    Attributes:
        address: ``sha256:<hex>``, computed from ``header`` and ``leaf_ids``.
        header: the value's canonical description.
        canonical_header: the header as the address was computed from it.
        nbytes: size of the content; of a tree, of all its children together.
        filename: the ordinary file, or "" for a tree, which is all header.
        buffers: (offset, nbytes) of each content buffer in the file.
        framing: BLAKE3 hex digest of the file's other bytes, in order.
        leaf_ids: 32 bytes per leaf, end to end, over all buffers in order.
        packed_sizes: of the leaves in bytes, each a little-endian uint32.
    """

    address: str
    header: dict[str, Json]
    canonical_header: bytes = field(repr=False)
    nbytes: int
    filename: str = ""
    buffers: tuple[tuple[int, int], ...] = ()
    framing: str = ""
    leaf_ids: bytes = b""
    packed_sizes: bytes = b""

    @property
    def kind(self) -> str:
        return str(self.header["kind"])

    @property
    def leaf_sizes(self) -> Sizes:
        """(L,) uint32."""
        import numpy as np

        return np.frombuffer(self.packed_sizes, "<u4")

    @property
    def children(self) -> dict[str, str]:
        """Child name -> address; empty unless this is a tree."""
        children = self.header.get("children", {})
        assert isinstance(children, dict)
        return {name: str(address) for name, address in children.items()}


def record_of(encoded: Encoded, first_ids: Callable[[bytes], None] | None = None) -> Record:
    """Cut and hash an encoded object; this is where its address is decided.

    Args:
        first_ids: called once with the leaf ids of the first 16 MiB or so, as soon as they are known.
    """
    offset = 0
    spans = []
    framing = blake3()
    for piece in encoded.pieces:
        if isinstance(piece, Buffer):
            spans.append((offset, piece.data.nbytes))
            offset += piece.data.nbytes
        else:
            framing.update(piece)
            offset += len(piece)
    ids, sizes = _leaves(encoded.buffers, first_ids)
    header = canonical.dumps(encoded.header)
    return Record(
        address=digest.address(header, ids),
        header=encoded.header,
        nbytes=sum(nbytes for _, nbytes in spans),
        filename=encoded.filename,
        buffers=tuple(spans),
        framing=framing.hexdigest(),
        leaf_ids=ids,
        packed_sizes=sizes,
        canonical_header=header,
    )


def _leaves(buffers: Sequence[Buffer], first_ids: Callable[[bytes], None] | None) -> tuple[bytes, bytes]:
    if len(buffers) == 1 and buffers[0].leaves:
        ids_known, sizes_known = buffers[0].leaves
        return ids_known, pack_sizes(sizes_known)
    if all(0 < b.data.nbytes <= MIN_LEAF_NBYTES and b.row_nbytes < MIN_LEAF_NBYTES for b in buffers):
        of_one = [(digest.leaf_id(in_one(b.data)), _SIZE.pack(b.data.nbytes)) for b in buffers]
        return b"".join(leaf for leaf, _ in of_one), b"".join(size for _, size in of_one)
    from smalti.store.leaves import ids_of_all, leaf_sizes

    sizes = [leaf_sizes(buffer.data, buffer.row_nbytes) for buffer in buffers]
    ids = bytearray()
    hashed_nbytes = 0
    for some_ids, nbytes in ids_of_all([(buffer.data, of) for buffer, of in zip(buffers, sizes, strict=True)]):
        ids += some_ids
        if first_ids and hashed_nbytes < _FIRST_NBYTES <= hashed_nbytes + nbytes:
            first_ids(bytes(ids))
        hashed_nbytes += nbytes
    return bytes(ids), b"".join(map(pack_sizes, sizes))


def tree_record(header: dict[str, Json], nbytes: int) -> Record:
    """Return the record of a tree: a header and nothing else."""
    spelled = canonical.dumps(header)
    return Record(digest.address(spelled, b""), header, spelled, nbytes)


def file_names(record: Record) -> list[str]:
    """Return the names of the files that hold ``record``."""
    return [METADATA] if _are_few(record) else [METADATA, LEAVES]


def _are_few(record: Record) -> bool:
    return len(record.packed_sizes) <= _INLINE_LEAVES * _SIZE.size


def dump(record: Record) -> dict[str, bytes]:
    """Return the files, name -> bytes, that hold ``record``; equal records give equal bytes."""
    before: dict[str, Any] = {"format": FORMAT}
    after: dict[str, Any] = {"nbytes": record.nbytes}
    files = {}
    if record.filename:
        before |= {"file": record.filename, "buffers": record.buffers, "framing": record.framing}
        if _are_few(record):
            pairs = zip(_hex_ids(record.leaf_ids), _SIZE.iter_unpack(record.packed_sizes), strict=True)
            after["leaves"] = [[leaf, size] for leaf, (size,) in pairs]
        else:
            after["leaves"] = LEAVES
            files[LEAVES] = record.leaf_ids + record.packed_sizes
    # Fields are in order of their names; the header of a large tree is not spelled twice.
    head, tail = canonical.spelled(before), canonical.spelled(after)
    return {METADATA: _with_check(head[:-1] + b',"header":' + record.canonical_header + b"," + tail[1:]), **files}


def dump_leaves(ids: bytes, sizes: Sizes) -> bytes:
    """Return the content of ``leaves.bin``."""
    return ids + pack_sizes(sizes)


def pack_sizes(sizes: Sizes) -> bytes:
    """Return sizes as a record keeps them."""
    return sizes.astype("<u4").tobytes()


def parse_leaves(address: str, leaves: bytes) -> tuple[bytes, bytes]:
    """Return ids and packed sizes from the content of ``leaves.bin``.

    Raises:
        Damaged: it is cut short.
    """
    if len(leaves) % (digest.LEAF_ID_NBYTES + 4):
        raise Damaged(f"{LEAVES} of {address} is cut short; restore it from another store.")
    split = len(leaves) // (digest.LEAF_ID_NBYTES + 4) * digest.LEAF_ID_NBYTES
    return leaves[:split], leaves[split:]


def parse(address: str, metadata: bytes, leaves: bytes | None) -> Record:
    """Return the record held in the given file contents, proven to belong to ``address``.

    Raises:
        Damaged: any byte differs from what ``dump`` wrote; the message says what is wrong.
    """
    document = unseal(metadata, f"{METADATA} of {address}")
    if document.get("format") != FORMAT:
        raise Damaged(f"{METADATA} of {address} has format {document.get('format')!r}; this version reads {FORMAT}.")
    if not {"header", "nbytes"} <= document.keys():
        raise Damaged(f"{METADATA} of {address} is another document, with the fields {sorted(document)}; restore it.")
    ids, sizes = _leaves_of(address, document.get("leaves", []), leaves)
    header = canonical.dumps(document["header"])
    record = Record(
        address=digest.address(header, ids),
        header=document["header"],
        nbytes=document["nbytes"],
        filename=document.get("file", ""),
        buffers=tuple((offset, nbytes) for offset, nbytes in document.get("buffers", [])),
        framing=document.get("framing", ""),
        leaf_ids=ids,
        packed_sizes=sizes,
        canonical_header=header,
    )
    if record.address != address:
        raise Damaged(f"the record kept for {address} describes {record.address}; restore it from another store.")
    if record.filename and _total(sizes) != sum(nbytes for _, nbytes in record.buffers):
        raise Damaged(f"the leaf sizes of {address} do not add up to its {record.nbytes} bytes.")
    return record


def _total(sizes: bytes) -> int:
    if len(sizes) <= _INLINE_LEAVES * _SIZE.size:
        return sum(size for (size,) in _SIZE.iter_unpack(sizes))
    import numpy as np

    return int(np.frombuffer(sizes, "<u4").sum(dtype=np.int64))


def keeps_leaves_apart(metadata: bytes) -> bool:
    """Tell, before parsing, whether a record keeps its leaves in a file of their own; a wrong guess costs a look."""
    return b'"leaves":"' in metadata


def leaves_of(address: str, metadata: bytes, apart: bytes | None) -> tuple[bytes, bytes]:
    """Return ids and packed sizes of the leaves that a record lists; only its address proves that they are its own."""
    return _leaves_of(address, unseal(metadata, f"{METADATA} of {address}").get("leaves", []), apart)


def file_of(address: str, metadata: bytes) -> tuple[str, list[tuple[int, int]]]:
    """Return the name of an object's ordinary file, and offset and size of each buffer in it."""
    document = unseal(metadata, f"{METADATA} of {address}")
    return document.get("file", ""), [(offset, nbytes) for offset, nbytes in document.get("buffers", [])]


def _leaves_of(address: str, inline: Any, leaves: bytes | None) -> tuple[bytes, bytes]:
    if inline == LEAVES:
        if leaves is None:
            raise Damaged(f"{LEAVES} of {address} is missing; restore it from another store.")
        return parse_leaves(address, leaves)
    ids = b"".join(bytes.fromhex(text) for text, _ in inline)
    return ids, b"".join(_SIZE.pack(size) for _, size in inline)


def _hex_ids(ids: bytes) -> list[str]:
    step = digest.LEAF_ID_NBYTES
    return [ids[i : i + step].hex() for i in range(0, len(ids), step)]


def seal(document: dict[str, Any]) -> bytes:
    """Return the canonical bytes of a document, a check over them as its last field, and a newline."""
    return _with_check(canonical.dumps(document))


def _with_check(body: bytes) -> bytes:
    return body[:-1] + b',"check":"' + blake3(body).hexdigest().encode() + b'"}\n'


def unseal(data: bytes, what: str) -> dict[str, Any]:
    """Return a sealed document without its check.

    Raises:
        Damaged: the bytes are not exactly what ``seal`` wrote.
    """
    body = data[:-_CHECK_NBYTES] + b"}"
    if _with_check(body) != data:
        raise Damaged(
            f"{what} is not what was written: its self-check does not match; restore it from another store: "
            "smalti fsck --repair-from STORE."
        )
    document: dict[str, Any] = json.loads(body)
    return document
