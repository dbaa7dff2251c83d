"""JSON documents that are not mappings: a list, a text, a number, true, false, null."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from smalti import canonical
from smalti.canonical import Json
from smalti.store.values import Buffer, Encoded

if TYPE_CHECKING:
    from smalti.store.reader import Reader


class DocumentCodec:
    """A list (of lists and maps), str, int, float, bool or None <-> ``data.json`` in canonical spelling.

    What is normalised, as in the attributes of a tree: tuples inside become lists, -0.0 becomes 0.0, and what derives
    from int, float or str becomes one. NaN, infinity and keys that are no text are refused. A mapping by itself is a
    tree.
    """

    kind = "json"

    def accepts(self, value: Any) -> bool:
        return value is None or isinstance(value, list | str | int | float)

    def encode(self, value: Any) -> Encoded:
        content = canonical.dumps(canonical.normalise(value, "the document"))
        return Encoded({"kind": "json"}, "data.json", (Buffer(memoryview(content)),))

    def decode(self, header: Mapping[str, Json], buffers: list[memoryview]) -> Json:
        return canonical.loads(bytes(buffers[0]))

    def lazy(self, header: Mapping[str, Json], reader: Reader) -> Json:
        return self.decode(header, reader.whole())
