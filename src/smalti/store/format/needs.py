"""What an object needs, as its record says: proven by the address, and found without building the whole record."""

from __future__ import annotations

import struct
from json import JSONEncoder
from typing import NamedTuple

from smalti import digest
from smalti.errors import Damaged
from smalti.store.format import leaf_table
from smalti.store.format.record import FORMAT, METADATA, Record
from smalti.store.format.sealed import unseal

_SORTED = JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class Needs(NamedTuple):
    """What a record says of that.

    Attributes:
        children: addresses that a tree names.
        nbytes: size of the object's own content, which tells whether it may be a near-duplicate.
        filename: the ordinary file with that content; "" where there is none.
    """

    children: frozenset[str]
    nbytes: int
    filename: str


_NONE = frozenset[str]()


def needs_of(record: Record) -> Needs:
    """Return the same of a record that was parsed."""
    return Needs(
        frozenset(record.children.values()), record.content_nbytes, "" if record.is_inline else record.filename
    )


def quick_needs(address: str, metadata: bytes) -> Needs | None:
    """Return what ``metadata.json`` says; None where only parsing all of it can tell, or say what is wrong.

    A collection asks this of every object. It is enough that the document is sealed and that its header, spelled with
    sorted keys, and the top of its leaf table are what the address is the digest of: for most headers that is RFC 8785.
    """
    try:
        document = unseal(metadata, METADATA)
        header = document["header"]
        kind, filename = header["kind"], document.get("file", "")
        spelled = _SORTED.encode(header).encode()
        top = b""
        if filename and kind != "bytes":
            top = b"".join(leaf_table.entry(bytes.fromhex(leaf), nbytes) for leaf, nbytes in document["leaves"])
        if document["format"] != FORMAT or digest.address(spelled, top) != address:
            return None
        if kind == "tree":
            children = frozenset(header["children"].values())
            return Needs(children, 0, "") if all(map(digest.is_address, children)) else None
        nbytes = document["nbytes"] if filename else 0
        return Needs(_NONE, nbytes, "" if "content" in document else filename) if type(nbytes) is int else None
    except (Damaged, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, struct.error):
        return None
