"""A file as it arrived, with its name and its card, and the tree it is stored as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from smalti.canonical import Json
from smalti.store.values import Tree


@dataclass(frozen=True, eq=False, slots=True)
class RawFile:
    """An original, never changed.

    Attributes:
        filename: its name when it arrived, without folders.
        content: its bytes.
        card: the sidecar card that says what the file does not, as JSON; empty when there was none.
    """

    filename: str
    content: bytes | memoryview
    card: Mapping[str, Json] = field(default_factory=dict)


class RawFileCodec:
    """RawFile <-> tree; the content is shared by every raw file with equal bytes."""

    type_name = "raw"
    python_type = RawFile

    def to_tree(self, raw: RawFile) -> Tree:
        return Tree({"content": raw.content}, {"filename": raw.filename, "card": dict(raw.card)}, self.type_name)

    def from_tree(self, tree: Tree) -> RawFile:
        return RawFile(tree.attrs["filename"], tree.children["content"], tree.attrs["card"])
