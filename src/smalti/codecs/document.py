"""JSON documents that are not mappings: a list, a tuple, a text, a number, true, false, null."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from smalti.canonical import normalise
from smalti.errors import Damaged
from smalti.store.values import Encoded

if TYPE_CHECKING:
    from smalti.store.read.reader import Reader


class DocumentCodec:
    """A list or tuple (of lists and maps), str, int, float, bool or None <-> the ``value`` of a header.

    Types and the order of keys come back as they were; the order is no part of the address. What derives from int,
    float, str, list or tuple becomes one. NaN, infinity and keys that are no text are refused. A mapping by itself is a
    tree.
    """

    kind = "json"

    def accepts(self, value: Any) -> bool:
        return value is None or isinstance(value, list | tuple | str | int | float)

    def encode(self, value: Any) -> Encoded:
        normalise(value, "the document")  # refuses what is none, and says where
        return Encoded({"kind": "json", "value": value})

    def decode(self, header: Mapping[str, Any], buffers: list[memoryview]) -> Any:
        return _value(header)

    def lazy(self, header: Mapping[str, Any], reader: Reader) -> Any:
        return _value(header)


def _value(header: Mapping[str, Any]) -> Any:
    if header.keys() != {"kind", "value"} or isinstance(header["value"], Mapping):
        raise Damaged("a header is not that of a JSON document; restore it.")
    return header["value"]
