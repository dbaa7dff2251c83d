"""The tensors in a safetensors file, and its table, which is plain JSON behind its length.

Format: https://huggingface.co/docs/safetensors, section Format.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from smalti.codecs.weights import DTYPES
from smalti.store.values import ArrayInside

LENGTH_NBYTES = 8  # of the number that says how long the table is
LARGEST_TABLE_NBYTES = 8 << 20


def safetensors_arrays(data: memoryview) -> Iterator[ArrayInside]:
    """Yield the tensors of a safetensors file.

    Raises:
        ValueError, RecursionError: its table is broken.
    """
    length = int.from_bytes(data[:LENGTH_NBYTES], "little")
    begin = LENGTH_NBYTES + length
    if length > LARGEST_TABLE_NBYTES or begin > len(data):
        return
    for said in table_of(bytes(data[LENGTH_NBYTES:begin])).values():
        match said:
            case {"dtype": str(code), "shape": list(shape), "data_offsets": [int(start), int(end)]} if code in DTYPES:
                yield ArrayInside(DTYPES[code], tuple(shape), ((begin + start, end - start),))


def table_of(text: bytes) -> dict[str, Any]:
    """Return what the table says of each tensor.

    Raises:
        ValueError, RecursionError: it is no JSON object, names a tensor twice, or has a number that is none.
    """
    table = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    if not isinstance(table, dict):
        raise ValueError("its table is no mapping")
    table.pop("__metadata__", None)
    return table


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name is given twice in its table")
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} in its table")
