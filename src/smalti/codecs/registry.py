"""The one table of codecs: which value becomes which object or tree, and back."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from smalti import canonical
from smalti.canonical import Json, normalise
from smalti.errors import Damaged, Refused, SmaltiError
from smalti.store.values import Encoded, Ref, Tree

if TYPE_CHECKING:
    from smalti.store.read.reader import Reader

# kind -> module and class of its codec, which are imported when first used; in the order in which they are asked
_OBJECT_CODECS = {
    "array": "array.ArrayCodec",
    "table": "table.TableCodec",
    "bytes": "blob.BlobCodec",
    "weights": "weights.WeightsCodec",
    "json": "document.DocumentCodec",
}
# type of the tree -> module and class of the Python objects that it stands for; the codec is beside it
_TREE_CLASSES = {
    "raw": "rawfile.RawFile",
    "folder": "folder.Folder",
    "scan": "scan.Scan",
    "checkpoint": "checkpoint.Checkpoint",
    "reconstruction": "reconstruction.Reconstruction",
    "product": "product.Product",
}
_PLAIN_BYTES = {bytes, bytearray, memoryview}  # numpy derives from bytes: those are arrays

_INSTEAD = {
    "builtins.complex": "store numpy.complex128(it)",
    "builtins.generator": "give blocks of rows to store.put_rows",
    "builtins.set": "store a list of its items, in an order that is always the same",
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

# What codecs and the libraries below them raise for a header or content that no codec made.
_NOT_MADE_BY_A_CODEC = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
)


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

    def encode(self, value: Any) -> Encoded | Tree:
        """Return the object or tree that a value is stored as.

        Raises:
            Refused: no codec stores it exactly.
        """
        if isinstance(value, Tree):
            return _checked(value)
        if isinstance(value, Mapping):
            return _mapping_tree(value)
        if type_name := _type_name(value):
            return _tree_codec(type_name).to_tree(value)
        if type(value) in _PLAIN_BYTES:  # no need to import the others to ask them first
            return _object_codec("bytes").encode(value)
        for kind in _OBJECT_CODECS:
            if (codec := _object_codec(kind)).accepts(value):
                return codec.encode(value)
        raise Refused(f"a {type(value).__name__} has no codec; {self._instead(value)}.")

    def encode_rows(self, blocks: Iterable[Any], file: Path) -> Encoded:
        """Return the array that blocks of rows are stored as, written to ``file`` as they come.

        Raises:
            Refused: the blocks do not go together, or cannot be stored exactly.
        """
        from smalti.codecs.array import ArrayCodec
        from smalti.codecs.rows import encode_rows

        return encode_rows(ArrayCodec(), blocks, file)

    def _instead(self, value: Any) -> str:
        """Return what to store instead of a value that is not stored as it is."""
        home = type(value).__module__.split(".")[0]
        if hint := _INSTEAD.get(f"{home}.{type(value).__name__}", _INSTEAD.get(home)):
            return hint
        typed = sorted(place.split(".")[1] for place in _TREE_CLASSES.values())
        return f"store an array, a table, bytes, JSON, a mapping of such values, or one of {typed}"

    def is_typed(self, value: Any) -> bool:
        """Tell whether a value is of a class that is stored as a tree."""
        return bool(_type_name(value))

    def decode(self, header: Mapping[str, Json], buffers: list[memoryview]) -> Any:
        """Return the value of an object from its verified content.

        Raises:
            Damaged: header and content are not what a codec made: a store that is not trusted may send anything.
            Refused: the kind is not known here.
        """
        try:
            return _codec_of(header).decode(header, buffers)
        except SmaltiError:
            raise
        except _NOT_MADE_BY_A_CODEC as error:
            raise _damaged(header, error) from error

    def lazy(self, header: Mapping[str, Json], reader: Reader) -> Any:
        """Return a value that reads from ``reader`` when it is used; raises as ``decode`` does."""
        try:
            return _codec_of(header).lazy(header, reader)
        except SmaltiError:
            raise
        except _NOT_MADE_BY_A_CODEC as error:
            raise _damaged(header, error) from error

    def file_of(self, header: Mapping[str, Any]) -> list[bytes] | None:
        """Return the ordinary file of a value that is all header; None for one that has a file."""
        return [canonical.text(header["value"])] if header["kind"] == "json" else None

    def check_header(self, header: Mapping[str, Any], sizes: Sequence[int]) -> None:
        """Pass a header that describes content in buffers of these sizes; see :func:`.checking.check_header`."""
        from smalti.codecs.checking import check_header

        check_header(header, sizes)

    def check_object(
        self, header: Mapping[str, Any], buffers: Sequence[memoryview], framing: bytes, offsets: list[int]
    ) -> None:
        """Pass an object of another store whose file is what its header says; see :func:`.checking.check_object`."""
        from smalti.codecs.checking import check_object

        check_object(header, buffers, framing, offsets)

    def assemble(self, tree: Tree) -> Any:
        """Return the Python object a tree stands for: a typed one, or a plain dict.

        Raises:
            Refused: the type is not known here, or the tree is not what that type consists of.
        """
        if tree.type is None:
            whole = {**tree.attrs, **tree.children}
            return {name: whole[name] for name in tree.order} if tree.order else whole
        if tree.type not in _TREE_CLASSES:
            raise Refused(f"this tree has the type {tree.type!r}; this version knows {sorted(_TREE_CLASSES)}.")
        try:
            return _tree_codec(tree.type).from_tree(tree)
        except (KeyError, TypeError, ValueError) as error:
            raise Refused(f"this tree says it is a {tree.type} but is not made of what one is; open it.") from error


def _damaged(header: Mapping[str, Any], error: Exception) -> Damaged:
    return Damaged(
        f"this object says it is of the kind {header['kind']!r} but is not made as one is ({error}); restore it."
    )


def _codec_of(header: Mapping[str, Json]) -> ObjectCodec:
    kind = str(header["kind"])
    if kind not in _OBJECT_CODECS:
        raise Refused(f"this object has the kind {kind!r}; this version knows {sorted(_OBJECT_CODECS)}.")
    return _object_codec(kind)


@cache
def _object_codec(kind: str) -> ObjectCodec:
    codec: ObjectCodec = _made(_OBJECT_CODECS[kind])
    return codec


@cache
def _tree_codec(type_name: str) -> TreeCodec:
    codec: TreeCodec = _made(f"{_TREE_CLASSES[type_name]}Codec")
    return codec


def _made(place: str) -> Any:
    module, _, name = place.partition(".")
    return getattr(importlib.import_module(f"smalti.codecs.{module}"), name)()


def _type_name(value: Any) -> str | None:
    """Return the type of the tree that a value is stored as, None when it is not of a class that is."""
    return _TYPE_NAMES.get((type(value).__module__, type(value).__qualname__))


_TYPE_NAMES = {
    (f"{__package__}.{module}", name): type_name
    for type_name, (module, name) in ((type_name, place.split(".")) for type_name, place in _TREE_CLASSES.items())
}


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
    mixed = tuple(value) if [*attrs, *children] != list(value) else ()
    return Tree(children, attrs, order=mixed)


def _is_json(item: Any) -> bool:
    if "numpy" in sys.modules and isinstance(item, sys.modules["numpy"].generic):  # its float64 is a float too
        return False
    if isinstance(item, Mapping):
        return all(isinstance(name, str) and _is_json(inner) for name, inner in item.items())
    try:
        normalise(item)
    except Refused:
        return False
    return True


CODECS = CodecTable()
