"""Values as files of other formats, for tools that read those: NPY, NPZ, HDF5, Zarr, Parquet, CSV.

An export is a copy to work with, written whole or not at all and never over something else; what comes back from it
may differ in type (CSV has no types). ``h5py`` and ``zarr`` are imported only where they are wanted.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import json
import os
import shutil
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.array import BFloat16
from smalti.codecs.lazy_array import LazyArray
from smalti.codecs.registry import CODECS
from smalti.codecs.table import LazyTable, TableCodec
from smalti.codecs.weights import Weights
from smalti.errors import NotFound, Refused
from smalti.store.commit import machine_errors, publish_folder, sync
from smalti.store.values import Tree

Group = dict[str, "Group | NDArray[Any]"]
_ATTRS = "attrs.json"
_BLOCK_NBYTES = 1 << 20
_LONG = 2**63  # HDF5 has no longer integers
_ONLY = "data"  # what an array that is no tree is called in a file of several


def export_value(value: Any, path: Path, form: str) -> None:
    """Write a value, as ``store.get`` or ``store.open`` gives it, to a new file (for Zarr a new folder).

    A tree's children become members, groups and arrays of the same names, in which a ``/`` leads into a group; its
    attributes those of the group, or in NPZ a text ``attrs.json``. Bytes become arrays of uint8, bfloat16 becomes
    float32. CSV has the index of a DataFrame unless it only counts the rows from 0.

    Args:
        form: ``npy`` for an array; ``npz``, ``hdf5`` or ``zarr`` for an array or a tree of them; ``parquet`` or
            ``csv`` for a table.

    Raises:
        Refused: the form is not known or cannot hold the value, or ``path`` exists.
        NotFound: there is no folder to write in, or the library for this form is not installed.
        Unavailable: the machine did not let it be written; nothing was left behind.
    """
    if form not in _WRITERS:
        raise Refused(f"{form!r} is no form to export to; choose one of {', '.join(_WRITERS)}.")
    if path.exists():
        raise Refused(f"{path} exists already; name another place.")
    if not path.parent.is_dir():
        raise NotFound(f"{path} cannot be written because {path.parent} is no folder; create it first.")
    with machine_errors(f"exporting to {path}"), _beside(path) as part:
        try:
            _WRITERS[form](value, part)
        except Refused:
            raise
        except (TypeError, ValueError, NotImplementedError) as error:
            raise Refused(f"{form} cannot hold this value ({error}); choose another form.") from error
        _publish(part, path)


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        yield part
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        part.unlink(missing_ok=True)


def _publish(part: Path, path: Path) -> None:
    if part.is_dir():
        done = publish_folder(part, path)
    else:
        with part.open("rb") as file:
            os.fsync(file.fileno())
        try:
            os.link(part, path)  # unlike a rename, never over another file
            done = True
        except FileExistsError:
            done = False
        sync(path.parent)
    if not done:
        raise Refused(f"{path} came to exist meanwhile; name another place.")


def _write_npy(value: Any, path: Path) -> None:
    if not isinstance(value, np.ndarray | np.generic | LazyArray | BFloat16):
        raise Refused(f"a {type(value).__name__} is no array, and .npy holds one; choose npz, hdf5, zarr or parquet.")
    with path.open("wb") as file:
        np.save(file, np.asarray(value), allow_pickle=False)


def _write_npz(value: Any, path: Path) -> None:
    written = set[str]()
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in _members(value):
            if name in written:
                raise Refused(f"two arrays would be called {name!r} in an archive; rename one, or read it in Python.")
            written.add(name)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def _members(value: Any, inside: str = "") -> Iterator[tuple[str, Any]]:
    children, attrs = _group(value, inside)
    if attrs:
        yield inside + _ATTRS, np.array(_json(attrs))
    for name, child in children.items():
        if _is_array(child):
            yield inside + name, child
        else:
            yield from _members(child, f"{inside}{name}/")


def _write_hdf5(value: Any, path: Path) -> None:
    import h5py

    def fill(group: Any, value: Any) -> None:
        children, attrs = _group(value, group.name)
        for name, attribute in attrs.items():
            fits = isinstance(attribute, str | float) or (isinstance(attribute, int) and -_LONG <= attribute < _LONG)
            group.attrs[name] = attribute if fits else _json(attribute)
        _check_no_array_is_a_group(children)
        for name, child in children.items():
            if not _is_array(child):
                fill(group.create_group(name), child)
                continue
            array = np.asarray(child)
            texts = array.dtype.kind == "U"  # HDF5 has texts of any length only
            group.create_dataset(
                name, data=array.astype(object) if texts else array, dtype=h5py.string_dtype() if texts else None
            )

    with h5py.File(path, "w-") as file:
        fill(file, value)


def _write_zarr(value: Any, path: Path) -> None:
    try:
        zarr = importlib.import_module("zarr")
    except ImportError as error:
        raise NotFound("zarr is not installed, and only it writes this form; install it: pip install zarr.") from error

    def fill(group: Any, value: Any) -> None:
        children, attrs = _group(value, group.path)
        group.attrs.update(attrs)
        _check_no_array_is_a_group(children)
        for name, child in children.items():
            if _is_array(child):
                group.create_array(name, data=np.asarray(child))
            else:
                fill(group.create_group(name), child)

    fill(zarr.open_group(path, mode="w-"), value)


def _write_parquet(value: Any, path: Path) -> None:
    table = _table(value, "Parquet")
    if hasattr(table, "to_parquet"):
        table.to_parquet(path, engine="pyarrow")
        return
    import pyarrow.parquet

    pyarrow.parquet.write_table(table, path)


def _write_csv(value: Any, path: Path) -> None:
    table = _table(value, "CSV")
    _check_csv(table)
    if hasattr(table, "to_csv"):
        index = not _only_counts(table.index)
        table.to_csv(path, index=index)
        if _has_carriage_return(path):  # pandas does not quote a text for it, and readers take it for the end of a row
            table.to_csv(path, index=index, quoting=csv.QUOTE_NONNUMERIC)
        return
    import pyarrow.csv

    pyarrow.csv.write_csv(table, path)


def _only_counts(index: Any) -> bool:
    """Tell whether an index says nothing but the number of each row, from 0."""
    import pandas as pd

    return isinstance(index, pd.RangeIndex) and index.name is None and index.equals(pd.RangeIndex(len(index)))


def _has_carriage_return(path: Path) -> bool:
    with path.open("rb") as file:
        return any(b"\r" in block for block in iter(lambda: file.read(_BLOCK_NBYTES), b""))


def _check_csv(table: Any) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    is_frame = not isinstance(table, pa.Table)

    if is_frame:
        from smalti.codecs.arrow.frame import to_arrow

        table, _ = to_arrow(table)
    for field in table.schema:
        opaque = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_nested)
        if any(is_opaque(field.type) for is_opaque in opaque):
            raise Refused(f"column {field.name!r} is of {field.type}, and CSV holds texts and numbers; choose parquet.")
        texts = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        column = table[field.name]
        if is_frame and texts and column.null_count and pc.any(pc.equal(column, "")).as_py():
            raise Refused(
                f"column {field.name!r} has empty texts beside missing ones, and pandas writes both as nothing; "
                "choose parquet, or replace one of them."
            )


def _table(value: Any, form: str) -> Any:
    if not TableCodec().accepts(value):
        raise Refused(f"a {type(value).__name__} is no table, and {form} holds one; choose npz, hdf5 or zarr.")
    return value[:] if isinstance(value, LazyTable) else value


def _group(value: Any, where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the children and attributes of a tree, of a typed value, or of one array by itself."""
    if _is_array(value):
        return {_ONLY: value}, {}
    tree = Tree(value.tensors) if isinstance(value, Weights) else value if isinstance(value, Tree) else None
    if tree is None and (isinstance(value, Mapping) or CODECS.is_typed(value)):
        encoded = CODECS.encode(value)
        tree = encoded if isinstance(encoded, Tree) else None
    if tree is None:
        raise Refused(f"{where or 'this value'} is a {type(value).__name__}, no array or tree; write its own file.")
    children = {name: _plain(child) for name, child in tree.children.items()}
    wrong = next((name for name in children if {"", ".", "..", _ATTRS} & {*name.split("/")} or "\0" in name), None)
    if wrong is not None:
        raise Refused(f"the child {wrong!r} cannot be the name of an array in a file; read it in Python.")
    return children, dict(tree.attrs)


def _check_no_array_is_a_group(children: Mapping[str, Any]) -> None:
    for name in children:
        above = next((f for f in map(str, PurePosixPath(name).parents) if f in children), None)
        if above is not None:
            raise Refused(f"the child {name!r} would lie in the child {above!r} of the same tree; rename one.")


def _plain(child: Any) -> Any:
    return np.frombuffer(child, np.uint8) if isinstance(child, bytes | memoryview) else child


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic | LazyArray | BFloat16)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_WRITERS: Mapping[str, Callable[[Any, Path], None]] = {
    "npy": _write_npy,
    "npz": _write_npz,
    "hdf5": _write_hdf5,
    "zarr": _write_zarr,
    "parquet": _write_parquet,
    "csv": _write_csv,
}
