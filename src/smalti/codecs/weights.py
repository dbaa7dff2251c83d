"""Named tensors as one safetensors file that numpy-less and MLX readers open as it is.

Format: https://github.com/huggingface/safetensors#format (8-byte length, JSON header, tensors end to end).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import canonical
from smalti.canonical import Json
from smalti.errors import Refused
from smalti.store.leaves import MAX_NBYTES
from smalti.store.reader import Reader
from smalti.store.values import Buffer, Encoded

_PAGE_NBYTES = 4096
_DTYPES = {
    "BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8",
}  # fmt: skip
_CODES = {dtype: code for code, dtype in _DTYPES.items()}


@dataclass(frozen=True, eq=False, slots=True)
class Weights:
    """Tensor name -> array; stored as one object, each tensor cut into its own leaves."""

    tensors: Mapping[str, NDArray[Any]]


class WeightsCodec:
    """Weights <-> safetensors; tensors lie in order of item size (largest first, so all are aligned), then name."""

    kind = "weights"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, Weights)

    def encode(self, value: Weights) -> Encoded:
        tensors = {name: _little_endian(name, tensor) for name, tensor in value.tensors.items()}
        order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
        described = {name: {"dtype": t.dtype.str, "shape": list(t.shape)} for name, t in tensors.items()}
        buffers = tuple(_buffer(tensors[name]) for name in order)
        header: dict[str, Json] = {"kind": "weights", "tensors": canonical.normalise(described)}
        return Encoded(header, "data.safetensors", (_file_header(tensors, order), *buffers))

    def decode(self, header: Mapping[str, Json], buffers: list[memoryview]) -> Weights:
        described: Any = header["tensors"]
        dtypes = {name: np.dtype(d["dtype"]) for name, d in described.items()}
        order = sorted(described, key=lambda name: (-dtypes[name].itemsize, name))
        return Weights(
            {
                name: np.frombuffer(data, dtypes[name]).reshape(described[name]["shape"])
                for name, data in zip(order, buffers, strict=True)
            }
        )

    def lazy(self, header: Mapping[str, Json], reader: Reader) -> Weights:
        return self.decode(header, reader.whole())


def _little_endian(name: str, tensor: NDArray[Any]) -> NDArray[Any]:
    array = np.asarray(tensor)
    array = np.asarray(array, array.dtype.newbyteorder("<"), order="C")  # strided data is garbage in a safetensors file
    if array.dtype.str not in _CODES:
        raise Refused(
            f"the tensor {name!r} has dtype {array.dtype}; a safetensors file holds {sorted(_CODES.values())}."
        )
    return array


def _buffer(tensor: NDArray[Any]) -> Buffer:
    row = max(1, tensor.dtype.itemsize * math.prod(tensor.shape[1:]))
    data = memoryview(tensor.reshape(-1).view(np.uint8))  # type: ignore[arg-type]  # numpy arrays are buffers
    return Buffer(data, row if 0 < row <= MAX_NBYTES else tensor.dtype.itemsize)


def _file_header(tensors: Mapping[str, NDArray[Any]], order: list[str]) -> bytes:
    entries: dict[str, Any] = {"__metadata__": {"format": "mlx"}}
    offset = 0
    for name in order:
        tensor = tensors[name]
        entries[name] = {
            "dtype": _CODES[tensor.dtype.str],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.nbytes],
        }
        offset += tensor.nbytes
    text = canonical.dumps(entries)
    total = -(-(8 + len(text)) // _PAGE_NBYTES) * _PAGE_NBYTES
    return (total - 8).to_bytes(8, "little") + text.ljust(total - 8)
