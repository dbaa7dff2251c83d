"""The address that a value has or would have in a store, without storing it."""

from __future__ import annotations

from typing import Any

from smalti.canonical import Json, normalise
from smalti.codecs import CODECS
from smalti.store import Ref
from smalti.store.format.record import record_of, tree_record
from smalti.store.values import Encoded


def address_of(value: Any) -> str:
    """Return ``sha256:<hex>``.

    Raises:
        Refused: no codec stores the value exactly.
    """
    if isinstance(value, Ref):
        return value.digest
    encoded = CODECS.encode(value)
    if isinstance(encoded, Encoded):
        return record_of(encoded).address
    header: dict[str, Json] = {
        "kind": "tree",
        "children": {name: address_of(child) for name, child in encoded.children.items()},
    }
    if encoded.attrs:
        header["attrs"] = normalise(encoded.attrs, "the attributes")
    if encoded.type:
        header["type"] = encoded.type
    return tree_record(header, 0).address
