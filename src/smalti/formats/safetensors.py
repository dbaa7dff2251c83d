"""Tensors out of a safetensors file; its table must be plain, and its offsets must tile the data.

Format: https://huggingface.co/docs/safetensors, section Format.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.containers.safetensors import LARGEST_TABLE_NBYTES, LENGTH_NBYTES, table_of
from smalti.contracts.violation import shown
from smalti.formats.content import Content, Skipped, may_hold_positions
from smalti.formats.source import Source

_WANTED = "a whole safetensors file"
_REMEDY = "write it again with safetensors.numpy.save_file"
_DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8", "BF16": "<u2",
}  # fmt: skip


def read(source: Source, wanted: Collection[str] | None = None) -> Content:
    """Return the tensors; bfloat16 becomes float32, which holds it exactly.

    With ``wanted``, of the other tensors those that may hold positions (``may_hold_positions``) are read, and the rest
    is skipped, whatever its dtype. Without, every tensor is read.
    """
    with source.mapped("the file", _WANTED):
        table = _table(source)
        begin = source.file.tell()
        asked = [name for name in table if wanted is None or name in wanted]
        spans = {name: _span(name, said, source, known=name in asked) for name, said in table.items()}
        _require_tiling(spans, source.nbytes - begin, source)
        read = [name for name in table if name in asked or _is_offered(table[name])]
        source.claim("the file", sum(spans[name][1] - spans[name][0] for name in read), _REMEDY)
        arrays = {}
        for name in read:
            start, end = spans[name]
            source.file.seek(begin + start)
            arrays[name] = _tensor(table[name], np.frombuffer(source.file.read(end - start), np.uint8))
        skipped = (Skipped(name, _why(said)) for name, said in table.items() if name not in arrays)
        return Content(arrays, skipped=tuple(skipped))


def names(source: Source) -> list[str]:
    """Return the names of the tensors in the file."""
    with source.mapped("the file", _WANTED):
        listed = list(_table(source))
    source.file.seek(0)
    return listed


def _table(source: Source) -> dict[str, Any]:
    """Return the table at the head of the file: what is said of each tensor."""
    length = int.from_bytes(source.file.read(LENGTH_NBYTES), "little")
    if length > min(LARGEST_TABLE_NBYTES, source.nbytes - LENGTH_NBYTES):
        found, wanted = f"a table of {length} bytes", f"at most {LARGEST_TABLE_NBYTES} and what the file holds"
        raise source.refuse("file.damaged", "the file", found, wanted, "copy the file again from its source")
    table = table_of(source.file.read(length))
    if len(table) > source.limits.columns:
        found, wanted = f"{len(table)} tensors", f"at most {source.limits.columns}"
        raise source.refuse("archive.members", "the file", found, wanted, "split it into several files")
    return table


def _is_offered(said: dict[str, Any]) -> bool:
    return said["dtype"] in _DTYPES and may_hold_positions(tuple(said["shape"]), np.dtype(_DTYPES[said["dtype"]]))


def _why(said: dict[str, Any]) -> str:
    return f"{shown(str(said['dtype']))} of shape {shown(str(tuple(said['shape'])))}, and nobody asked for it"


def _span(name: str, said: Any, source: Source, *, known: bool) -> tuple[int, int]:
    """Return where one tensor's data are; its dtype and shape must account for every byte.

    Args:
        known: whether its dtype must be one that is read here.
    """
    place = f"tensor {shown(name)}"
    if not isinstance(said, dict) or said.keys() != {"dtype", "shape", "data_offsets"}:
        raise source.refuse("file.damaged", place, "another entry", "dtype, shape and data_offsets", _REMEDY)
    if known and said["dtype"] not in _DTYPES:
        found = f"dtype {shown(str(said['dtype']))}"
        raise source.refuse("member.dtype", place, found, f"one of {', '.join(_DTYPES)}", "convert it to F32")
    shape, offsets = said["shape"], said["data_offsets"]
    whole = [*shape, *offsets] if isinstance(shape, list) and isinstance(offsets, list) else [-1]
    if len(offsets) != 2 or not all(type(n) is int and n >= 0 for n in whole):
        raise source.refuse("file.damaged", place, "numbers that are no sizes", "whole numbers from 0", _REMEDY)
    if said["dtype"] not in _DTYPES:
        return offsets[0], offsets[1]
    declared = math.prod(shape) * np.dtype(_DTYPES[said["dtype"]]).itemsize
    if declared != offsets[1] - offsets[0]:
        found = f"{offsets[1] - offsets[0]} bytes of data"
        wanted = f"{shown(str(declared))} bytes, as its dtype and shape say"
        raise source.refuse("member.size", place, found, wanted, "copy the file again from its source")
    return offsets[0], offsets[1]


def _require_tiling(spans: dict[str, tuple[int, int]], nbytes: int, source: Source) -> None:
    reached = 0
    for start, end in sorted(spans.values()):
        if start != reached:
            found = f"tensors that {'overlap' if start < reached else 'leave a hole'} at byte {start}"
            raise source.refuse("archive.overlap", "the file", found, "tensors one after the other", _REMEDY)
        reached = end
    if reached != nbytes:
        found, wanted = f"{nbytes} bytes of data", f"{reached}, as its table says"
        raise source.refuse("member.size", "the file", found, wanted, "copy the file again from its source")


def _tensor(said: dict[str, Any], data: NDArray[np.uint8]) -> NDArray[Any]:
    flat = data.view(_DTYPES[said["dtype"]])
    if said["dtype"] == "BF16":
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.reshape(said["shape"])
