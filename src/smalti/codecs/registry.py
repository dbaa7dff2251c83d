"""The one table of codecs: which value becomes which object or tree, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from smalti.canonical import Json, normalise
from smalti.codecs.array import ArrayCodec
from smalti.codecs.blob import BlobCodec
from smalti.codecs.checkpoint import CheckpointCodec
from smalti.codecs.document import DocumentCodec
from smalti.codecs.product import ProductCodec
from smalti.codecs.rawfile import RawFileCodec
from smalti.codecs.reconstruction import ReconstructionCodec
from smalti.codecs.scan import ScanCodec
from smalti.codecs.table import TableCodec
from smalti.codecs.weights import WeightsCodec
from smalti.errors import Refused
from smalti.store.reader import Reader
from smalti.store.values import Encoded, Ref, Tree


class ObjectCodec(Protocol):
    """One kind of object: a header and buffers."""

    kind: str

    def accepts(self, value: Any) -> bool: ...
    def encode(self, value: Any) -> Encoded: ...
    def decode(self, header: Mapping[str, Json], buffers: list[memoryview]) -> Any: ...
    def lazy(self, header: Mapping[str, Json], reader: Reader) -> Any: ...


class TreeCodec(Protocol):
    """One Python class that is stored as a tree."""

    @property
    def type_name(self) -> str: ...
    @property
    def python_type(self) -> type: ...
    def to_tree(self, value: Any) -> Tree: ...
    def from_tree(self, tree: Tree) -> Any: ...


class CodecTable:
    """Looks a codec up by value when storing, and by kind or type when reading."""

    def __init__(self, objects: tuple[ObjectCodec, ...], trees: tuple[TreeCodec, ...]) -> None:
        self._objects = {codec.kind: codec for codec in objects}
        self._by_class = {codec.python_type: codec for codec in trees}
        self._by_type = {codec.type_name: codec for codec in trees}

    def encode(self, value: Any) -> Encoded | Tree:
        """Return the object or tree that a value is stored as.

        Raises:
            Refused: no codec stores it exactly.
        """
        if isinstance(value, Tree):
            return value
        if isinstance(value, Mapping):
            return _mapping_tree(value)
        if codec := self._by_class.get(type(value)):
            return codec.to_tree(value)
        for candidate in self._objects.values():
            if candidate.accepts(value):
                return candidate.encode(value)
        raise Refused(
            f"a {type(value).__name__} has no codec; store an array, a table, bytes, JSON, a mapping of such values, "
            f"or one of {sorted(t.__name__ for t in self._by_class)}."
        )

    def is_typed(self, value: Any) -> bool:
        """Tell whether a value is of a class that is stored as a tree."""
        return type(value) in self._by_class

    def decode(self, header: Mapping[str, Json], buffers: list[memoryview]) -> Any:
        """Return the value of an object from its verified content."""
        return self._object_codec(header).decode(header, buffers)

    def lazy(self, header: Mapping[str, Json], reader: Reader) -> Any:
        """Return a value that reads from ``reader`` when it is used."""
        return self._object_codec(header).lazy(header, reader)

    def assemble(self, tree: Tree) -> Any:
        """Return the Python object a tree stands for: a typed one, or a plain dict."""
        if tree.type is None:
            return {**tree.attrs, **tree.children}
        if tree.type not in self._by_type:
            raise Refused(f"this tree has the type {tree.type!r}; this version knows {sorted(self._by_type)}.")
        return self._by_type[tree.type].from_tree(tree)

    def _object_codec(self, header: Mapping[str, Json]) -> ObjectCodec:
        kind = str(header["kind"])
        if kind not in self._objects:
            raise Refused(f"this object has the kind {kind!r}; this version knows {sorted(self._objects)}.")
        return self._objects[kind]


def _mapping_tree(value: Mapping[Any, Any]) -> Tree:
    """Split a mapping: what JSON holds exactly becomes attributes, everything else children."""
    attrs, children = {}, {}
    for name, item in value.items():
        if not isinstance(name, str):
            raise Refused(f"a mapping has the key {name!r}; keys are text, write it as {str(name)!r}.")
        if isinstance(item, Ref | Tree) or not _is_json(item):
            children[name] = item
        else:
            attrs[name] = item
    return Tree(children, attrs)


def _is_json(item: Any) -> bool:
    try:
        normalise(item)
    except Refused:
        return False
    return True


CODECS = CodecTable(
    objects=(ArrayCodec(), TableCodec(), BlobCodec(), WeightsCodec(), DocumentCodec()),
    trees=(RawFileCodec(), ScanCodec(), CheckpointCodec(), ReconstructionCodec(), ProductCodec()),
)
