"""A file as it arrived, with its name and its card, and the tree it is stored as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from smalti.canonical import Json
from smalti.codecs.blob import encode_blob
from smalti.store.values import ArrayInside, Tree


@dataclass(frozen=True, eq=False, slots=True)
class RawFile:
    """An original, never changed.

    Attributes:
        filename: its name when it arrived, without folders.
        content: its bytes.
        card: the sidecar card that says what the file does not, as JSON; empty when there was none.
        contract: the contract and version it passed when it was stored, e.g. ``scan/1``.
        arrays: where arrays lie in the content, so that each is stored once; no part of the value, and not given back.
            Those of NPY, NPZ and safetensors files are found without.
    """

    filename: str
    content: bytes | memoryview
    card: Mapping[str, Json] = field(default_factory=dict)
    contract: str = ""
    arrays: tuple[ArrayInside, ...] = ()

    def _repr_html_(self) -> str:
        from smalti.notebook import shown

        return shown(self)


class RawFileCodec:
    """RawFile <-> tree; the content is shared by every raw file with equal bytes."""

    type_name = "raw"
    python_type = RawFile

    def to_tree(self, raw: RawFile) -> Tree:
        attrs: dict[str, Json] = {"filename": raw.filename, "card": dict(raw.card)}
        if raw.contract:
            attrs["contract"] = raw.contract
        content = encode_blob(raw.content, raw.arrays) if raw.arrays else raw.content
        return Tree({"content": content}, attrs, self.type_name)

    def from_tree(self, tree: Tree) -> RawFile:
        attrs = tree.attrs
        return RawFile(attrs["filename"], tree.children["content"], attrs["card"], attrs.get("contract", ""))
