"""The one table of codecs: which value becomes which object or tree, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from smalti.canonical import Json, normalise
from smalti.codecs.array import ArrayCodec
from smalti.codecs.blob import BlobCodec
from smalti.codecs.checkpoint import CheckpointCodec
from smalti.codecs.document import DocumentCodec
from smalti.codecs.folder import FolderCodec
from smalti.codecs.product import ProductCodec
from smalti.codecs.rawfile import RawFileCodec
from smalti.codecs.reconstruction import ReconstructionCodec
from smalti.codecs.rows import encode_rows
from smalti.codecs.scan import ScanCodec
from smalti.codecs.table import TableCodec
from smalti.codecs.weights import WeightsCodec
from smalti.errors import Refused
from smalti.store.reader import Reader
from smalti.store.values import Encoded, Ref, Tree

_INSTEAD = {
    "builtins.complex": "store numpy.complex128(it)",
    "builtins.generator": "give blocks of rows to store.put_rows",
    "builtins.set": "store a list of its items, in an order that is always the same",
    "builtins.tuple": "store list(it), or a mapping with a name for each item",
    "dask": "compute it, or give its blocks to store.put_rows",
    "datetime": "store its isoformat() as text, or numpy.datetime64(it)",
    "h5py": "read it, dataset[...], or give its blocks to store.put_rows",
    "jax": "store numpy.asarray(it)",
    "pandas": "store a DataFrame: put it into one as a column",
    "pathlib": "store the bytes of the file, path.read_bytes(), or a RawFile of them",
    "polars": "store its pyarrow Table, frame.to_arrow()",
    "pyarrow": "store a Table: pyarrow.table({name: it}), or Table.from_batches([it])",
    "scipy": "store a mapping of the arrays it consists of: data, indices, indptr, and its shape",
    "torch": "store it as numpy sees it, tensor.numpy(force=True)",
    "xarray": "store a mapping of its arrays: {name: array.values for name, array in dataset.variables.items()}",
    "zarr": "read it, array[...], or give its blocks to store.put_rows",
}  # by library, or by library and type


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
            return _checked(value)
        if isinstance(value, Mapping):
            return _mapping_tree(value)
        if codec := self._by_class.get(type(value)):
            return codec.to_tree(value)
        for candidate in self._objects.values():
            if candidate.accepts(value):
                return candidate.encode(value)
        raise Refused(f"a {type(value).__name__} has no codec; {self._instead(value)}.")

    def encode_rows(self, blocks: Iterable[Any], file: Path) -> Encoded:
        """Return the array that blocks of rows are stored as, written to ``file`` as they come.

        Raises:
            Refused: the blocks do not go together, or cannot be stored exactly.
        """
        return encode_rows(ArrayCodec(), blocks, file)

    def _instead(self, value: Any) -> str:
        """Return what to store instead of a value that is not stored as it is."""
        home = type(value).__module__.split(".")[0]
        if hint := _INSTEAD.get(f"{home}.{type(value).__name__}", _INSTEAD.get(home)):
            return hint
        typed = sorted(python_type.__name__ for python_type in self._by_class)
        return f"store an array, a table, bytes, JSON, a mapping of such values, or one of {typed}"

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
        """Return the Python object a tree stands for: a typed one, or a plain dict.

        Raises:
            Refused: the type is not known here, or the tree is not what that type consists of.
        """
        if tree.type is None:
            return {**tree.attrs, **tree.children}
        if tree.type not in self._by_type:
            raise Refused(f"this tree has the type {tree.type!r}; this version knows {sorted(self._by_type)}.")
        try:
            return self._by_type[tree.type].from_tree(tree)
        except (KeyError, TypeError, ValueError) as error:
            raise Refused(f"this tree says it is a {tree.type} but is not made of what one is; open it.") from error

    def _object_codec(self, header: Mapping[str, Json]) -> ObjectCodec:
        kind = str(header["kind"])
        if kind not in self._objects:
            raise Refused(f"this object has the kind {kind!r}; this version knows {sorted(self._objects)}.")
        return self._objects[kind]


def _checked(tree: Tree) -> Tree:
    if not (isinstance(tree.children, Mapping) and isinstance(tree.attrs, Mapping)):
        raise Refused("the children and the attributes of a tree are two mappings, from text to values and to JSON.")
    twice = sorted(tree.children.keys() & tree.attrs.keys())
    if twice and not tree.type:
        raise Refused(f"the tree has a child and an attribute called {twice[0]!r}; rename one.")
    return tree


def _mapping_tree(value: Mapping[Any, Any]) -> Tree:
    """Split a mapping: plain JSON becomes attributes, everything else children, the scalars of numpy among them."""
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
    if isinstance(item, np.generic):  # numpy's float64 is a float too
        return False
    if isinstance(item, Mapping):
        return all(isinstance(name, str) and _is_json(inner) for name, inner in item.items())
    try:
        normalise(item)
    except Refused:
        return False
    return True


CODECS = CodecTable(
    objects=(ArrayCodec(), TableCodec(), BlobCodec(), WeightsCodec(), DocumentCodec()),
    trees=(RawFileCodec(), FolderCodec(), ScanCodec(), CheckpointCodec(), ReconstructionCodec(), ProductCodec()),
)
