"""A working file as a value of a store, and back to the same bytes: an array in HDF5 is stored as the array it holds.

The rows of an array are then stored once, whichever versions, directories and datasets they are in. The value is a
mapping ``{"data": the array, "rest": all other bytes of the file, "extents": [[where in the file, where in the array's
bytes, how many bytes], ...]}``, so that ``store.get`` gives the array. Every other file is stored as its bytes; so is
an HDF5 file whose dataset is compressed, or of a dtype that a store would spell in another way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smalti.canonical import Json, normalise
from smalti.codecs import CODECS
from smalti.codecs.array import encode_bytes
from smalti.codecs.dtype import bytes_of, canonical_dtype, describe_dtype
from smalti.directory.hdf5.reading import read_dataset
from smalti.errors import Damaged, Refused, Unavailable
from smalti.store import Encoded, Record, Store, Tree
from smalti.store.format.record import header_record
from smalti.store.objects.hashing import record_of
from smalti.store.segments import Segments

if TYPE_CHECKING:
    import h5py

Extent = tuple[int, int, int]  # where in the file, where in the array's bytes, nbytes
Value = memoryview | Tree

ARRAY_SUFFIX = ".h5"
EXTENTS = "extents"
_MOST_EXTENTS = 100_000
_BLOCK_NBYTES = 32 * 1024 * 1024
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def value_of(path: Path, content: memoryview) -> Value:
    """Return what a file is stored as.

    Args:
        path: where it lies, which has to be looked at again afterwards: is it the file that ``content`` is of?
        content: its bytes.
    """
    if path.suffix != ARRAY_SUFFIX or content[:8] != _SIGNATURE:
        return content
    try:
        found = read_dataset(path, _layout)
    except (Damaged, Unavailable, FileNotFoundError):
        return content
    if found is None:
        return content
    dtype, shape, extents = found
    if any(start + nbytes > len(content) for start, _, nbytes in extents):
        return content
    in_order = sorted(extents, key=lambda extent: extent[1])
    data = Segments([content[start : start + nbytes] for start, _, nbytes in in_order])
    if dtype.kind == "b" and max(np.frombuffer(piece, np.uint8).max() for piece in data.pieces) > 1:
        return content  # numpy takes it for true, but a store would make it a 1
    rest = b"".join(content[start:stop] for start, stop in _gaps(extents, len(content)))
    spelled = [list(extent) for extent in extents]
    return Tree({"data": encode_bytes(describe_dtype(dtype), shape, data), "rest": rest}, {EXTENTS: spelled})


def records_of(value: Value) -> tuple[Record, dict[str, Record]]:
    """Return the record that a stored file would have, and those of its children by address; nothing is stored."""
    if not isinstance(value, Tree):
        return _record(value), {}
    children = {name: _record(child) for name, child in value.children.items()}
    header: dict[str, Json] = {
        "kind": "tree",
        "children": {name: child.address for name, child in children.items()},
        "attrs": normalise(value.attrs, "the attributes"),
    }
    nbytes = sum(child.nbytes for child in children.values())
    return header_record(header, nbytes), {child.address: child for child in children.values()}


def is_array(record: Record) -> bool:
    """Tell whether what a record is of is an array file."""
    attrs = record.header.get("attrs")
    return record.kind == "tree" and isinstance(attrs, dict) and EXTENTS in attrs


def pieces_of(store: Store, record: Record) -> Iterator[memoryview]:
    """Yield the bytes of a stored file in order, verified; of a large array some at a time.

    Raises:
        NotFound, Damaged: the store lacks it, or it is not what was stored.
        Refused: it is another value than a file.
    """
    if not is_array(record):
        data = store.open(record.address)
        if not isinstance(data, memoryview):
            raise Refused(f"{record.address} is a {record.kind} and no file of a directory; name another version.")
        yield data
        return
    children: Mapping[str, str] = record.children
    lazy, rest = store.open(children["data"]), store.open(children["rest"])
    at = taken = 0
    extents: Any = record.header["attrs"][EXTENTS]
    for start, begin, nbytes in extents:
        yield rest[taken : taken + start - at]
        taken += start - at
        yield from _array_bytes(lazy, begin, nbytes)
        at = start + nbytes
    yield rest[taken:]


def _array_bytes(lazy: Any, begin: int, nbytes: int) -> Iterator[memoryview]:
    """Yield bytes of an array, from ``begin`` on; a block of whole rows is read at a time."""
    if not lazy.shape:
        yield bytes_of(np.asarray(lazy))[begin : begin + nbytes]
        return
    row_nbytes = lazy.nbytes // lazy.shape[0]
    step = max(1, _BLOCK_NBYTES // row_nbytes)
    stop = begin + nbytes
    for first in range(begin // row_nbytes, -(-stop // row_nbytes), step):
        low, high = max(begin, first * row_nbytes), min(stop, (first + step) * row_nbytes)
        yield bytes_of(lazy[first : first + step])[low - first * row_nbytes : high - first * row_nbytes]


def _record(value: Any) -> Record:
    encoded = value if isinstance(value, Encoded) else CODECS.encode(value)
    assert isinstance(encoded, Encoded)
    return record_of(encoded)


def _layout(data: h5py.Dataset) -> tuple[np.dtype[Any], tuple[int, ...], list[Extent]] | None:
    """Return where in its file the bytes of an array lie; None where they are not those that numpy has."""
    dtype, shape = data.dtype, data.shape
    if not (shape is not None and data.size and _is_plain(data)):
        return None
    nbytes = data.size * dtype.itemsize
    if data.chunks is None:
        at = data.id.get_offset()
        return None if at is None or data.external else (dtype, shape, [(at, 0, nbytes)])
    if data.chunks[1:] != shape[1:] or data.id.get_create_plist().get_nfilters():
        return None
    rows = data.chunks[0]
    chunk_nbytes = rows * (nbytes // shape[0])
    chunks: list[tuple[int, int]] = []
    data.id.chunk_iter(lambda chunk: chunks.append((chunk.byte_offset, chunk.chunk_offset[0])))
    places = np.array(sorted(chunks), np.int64).reshape(-1, 2)
    starts, begins = places[:, 0], places[:, 1] // rows * chunk_nbytes
    counts = np.minimum(chunk_nbytes, nbytes - begins)
    follows = (starts[1:] == starts[:-1] + counts[:-1]) & (begins[1:] == begins[:-1] + counts[:-1])
    first = np.flatnonzero(np.concatenate([[True], ~follows])) if len(places) else np.zeros(0, np.int64)
    sums = np.add.reduceat(counts, first) if len(places) else counts
    extents = list(zip(starts[first].tolist(), begins[first].tolist(), sums.tolist(), strict=True))
    whole = sum(extent[2] for extent in extents) == nbytes and all(extent[2] > 0 for extent in extents)
    return (dtype, shape, extents) if whole and len(extents) <= _MOST_EXTENTS else None


def _is_plain(data: h5py.Dataset) -> bool:
    """Tell whether the bytes in the file are those of numpy's array, and of a store's."""
    from h5py import h5t

    if data.dtype.kind not in "biufcSV" or data.is_virtual or (data.dtype.names and _has_booleans(data.dtype)):
        return False
    try:
        canonical = canonical_dtype(data.dtype) == data.dtype
    except Refused:
        return False
    return canonical and bool(data.id.get_type().equal(h5t.py_create(data.dtype, logical=True)))


def _has_booleans(dtype: np.dtype[Any]) -> bool:
    if dtype.subdtype is not None:
        return _has_booleans(dtype.subdtype[0])
    return dtype.kind == "b" or any(_has_booleans(dtype[name]) for name in dtype.names or ())


def _gaps(extents: list[Extent], nbytes: int) -> Iterator[tuple[int, int]]:
    at = 0
    for start, _, count in extents:
        yield at, start
        at = start + count
    yield at, nbytes
