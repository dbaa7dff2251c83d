"""The address that a value has or would have in a store, without storing it."""

from __future__ import annotations

from typing import Any

from smalti.codecs import CODECS
from smalti.store import Ref
from smalti.store.format.record import header_record
from smalti.store.objects.hashing import record_of
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
    header: dict[str, Any] = {
        "kind": "tree",
        "children": {name: address_of(child) for name, child in encoded.children.items()},
    }
    if encoded.attrs:
        header["attrs"] = dict(encoded.attrs)
    if encoded.type:
        header["type"] = encoded.type
    return header_record(header, 0).address
