"""Named tensors as one safetensors file that numpy-less and MLX readers open as it is.

Format: https://github.com/huggingface/safetensors#format (8-byte length, JSON header, tensors end to end).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import canonical
from smalti.canonical import Json
from smalti.codecs.array import BFLOAT16, BFloat16, array_of, is_array, is_scalar, plain_array, says_scalar
from smalti.codecs.dtype import bytes_of
from smalti.errors import Damaged, Refused
from smalti.store.format.chunking import MAX_NBYTES
from smalti.store.read.reader import Reader
from smalti.store.values import Buffer, Encoded

_PAGE_NBYTES = 4096
_CODES = {
    "|b1": "BOOL", "|u1": "U8", "|i1": "I8", "<u2": "U16", "<i2": "I16", "<u4": "U32", "<i4": "I32", "<u8": "U64",
    "<i8": "I64", "<f2": "F16", BFLOAT16: "BF16", "<f4": "F32", "<f8": "F64", "<c8": "C64",
}  # fmt: skip
DTYPES = {code: dtype for dtype, code in _CODES.items()}  # safetensors code -> dtype as a header spells it
_METADATA = "__metadata__"  # the one name that the format keeps for itself


@dataclass(frozen=True, eq=False, slots=True)
class Weights:
    """Tensor name -> array; stored as one object, each tensor cut into its own leaves.

    Attributes:
        tensors: arrays of numpy or MLX; what comes back are those of numpy, and ``BFloat16`` for bfloat16.
    """

    tensors: Mapping[str, NDArray[Any] | BFloat16]

    def _repr_html_(self) -> str:
        from smalti.notebook import shown

        return shown(self)


class WeightsCodec:
    """Weights <-> safetensors; tensors lie in order of item size (largest first, so all are aligned), then name."""

    kind = "weights"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, Weights)

    def encode(self, value: Weights) -> Encoded:
        tensors = {name: _tensor(name, tensor) for name, tensor in value.tensors.items()}
        order = sorted(tensors, key=lambda name: (-tensors[name][0].dtype.itemsize, name))
        described: dict[str, dict[str, Any]] = {
            name: {"dtype": dtype, "shape": list(array.shape)} for name, (array, dtype) in tensors.items()
        }
        for name in (name for name, tensor in value.tensors.items() if is_scalar(tensor)):
            described[name]["scalar"] = True
        header: dict[str, Json] = {"kind": "weights", "tensors": canonical.normalise(described, "the tensors")}
        buffers = tuple(_buffer(tensors[name][0]) for name in order)
        return Encoded(header, "data.safetensors", (_file_header(tensors, order), *buffers))

    def decode(self, header: Mapping[str, Any], buffers: list[memoryview]) -> Weights:
        described = header["tensors"]
        if header.keys() != {"kind", "tensors"} or _METADATA in described:
            raise Damaged("a header is not that of weights; restore it.")
        for name, said in described.items():
            if said["dtype"] not in _CODES:
                raise Damaged(f"a header says that {name!r} is a tensor of dtype {said['dtype']!r}; restore it.")
        return Weights(
            {
                name: array_of(described[name]["dtype"], described[name]["shape"], data, says_scalar(described[name]))
                for name, data in zip(in_file_order(described), buffers, strict=True)
            }
        )

    def lazy(self, header: Mapping[str, Json], reader: Reader) -> Weights:
        return self.decode(header, reader.whole())


def in_file_order(described: Mapping[str, Any]) -> list[str]:
    """Return the names of the tensors that a header describes in the order in which their buffers lie."""
    return sorted(described, key=lambda name: (-_itemsize(described[name]["dtype"]), name))


def weights_in_file(path: Path) -> Weights:
    """Return the tensors of a safetensors file of our own or of MLX, each in its own dtype.

    Raises:
        Damaged: it is no such file, or was cut.
    """
    content = np.fromfile(path, np.uint8).data
    try:
        start = 8 + int.from_bytes(content[:8], "little")
        described = json.loads(bytes(content[8:start]))
        described.pop(_METADATA, None)
        return Weights({name: _tensor_in(content[start:], **said) for name, said in described.items()})
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise Damaged(f"{path} is no whole safetensors file ({error}); restore it, or write it again.") from error


def _tensor_in(data: memoryview, dtype: str, shape: list[int], data_offsets: list[int]) -> NDArray[Any] | BFloat16:
    begin, end = data_offsets
    if not 0 <= begin <= end <= len(data):
        raise ValueError(f"it ends {end - len(data)} bytes too early")
    array: NDArray[Any] | BFloat16 = array_of(DTYPES[dtype], shape, data[begin:end])
    return array


def _tensor(name: Any, value: Any) -> tuple[NDArray[Any], str]:
    if not isinstance(name, str) or name == _METADATA:
        raise Refused(f"a tensor cannot be called {name!r} in a safetensors file; give it another name, a text.")
    if not is_array(value):
        raise Refused(f"the tensor {name!r} is a {type(value).__name__}; give an array.")
    array, dtype = plain_array(value)
    if not isinstance(dtype, str) or dtype not in _CODES:
        raise Refused(
            f"the tensor {name!r} has dtype {array.dtype}, and safetensors holds {', '.join(_CODES)}; convert it."
        )
    return array, dtype


def _itemsize(dtype: str) -> int:
    return 2 if dtype == BFLOAT16 else int(dtype[2:])


def _buffer(tensor: NDArray[Any]) -> Buffer:
    row = max(1, tensor.dtype.itemsize * math.prod(tensor.shape[1:]))
    return Buffer(bytes_of(tensor), row if row <= MAX_NBYTES else tensor.dtype.itemsize)


def _file_header(tensors: Mapping[str, tuple[NDArray[Any], str]], order: list[str]) -> bytes:
    entries: dict[str, Any] = {_METADATA: {"format": "mlx"}}
    offset = 0
    for name in order:
        array, dtype = tensors[name]
        entries[name] = {
            "dtype": _CODES[dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = canonical.dumps(entries)
    total = -(-(8 + len(text)) // _PAGE_NBYTES) * _PAGE_NBYTES
    return (total - 8).to_bytes(8, "little") + text.ljust(total - 8)
