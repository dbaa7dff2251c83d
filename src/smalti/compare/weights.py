"""How named tensors differ: which, their norms and that of the difference; only tensors that differ are read."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.weights import in_file_order
from smalti.compare.differences import TensorDifference, WeightsDifference
from smalti.compare.elements import PIECE_NBYTES, Elements, StoredElements
from smalti.store.read.reader import Reader


def compare_weights(before: Reader, after: Reader, changed: Collection[str]) -> WeightsDifference:
    """Compare two sets of tensors.

    Args:
        changed: names of the tensors of one shape and dtype that differ, as their leaves say.
    """
    one, other = (reader.record.header["tensors"] for reader in (before, after))
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    elements = _elements(before), _elements(after)
    tensors = []
    for name in sorted(one.keys() | other.keys()):
        if name in changed or one.get(name) != other.get(name):
            tensors.append(_compared(name, elements[0].get(name), elements[1].get(name)))
    return WeightsDifference(tuple(tensors), len(other))


def _elements(reader: Reader) -> dict[str, StoredElements]:
    described: Any = reader.record.header["tensors"]
    # The file begins with a header of its own, which is framing: buffers are tensors only.
    return {
        name: StoredElements(reader, described[name], buffer) for buffer, name in enumerate(in_file_order(described))
    }


def _compared(name: str, one: Elements | None, other: Elements | None) -> TensorDifference:
    dtypes = one.spelled if one else None, other.spelled if other else None
    shapes = one.shape if one else None, other.shape if other else None
    if one is None or other is None:
        norm = _norm(one or other)
        happened = ("added", None, norm) if one is None else ("removed", norm, None)
        return TensorDifference(name, happened[0], dtypes, shapes, *happened[1:])  # type: ignore[arg-type]
    if one.shape != other.shape:
        return TensorDifference(name, "changed", dtypes, shapes, _norm(one), _norm(other))
    powers = np.zeros(3)
    most = 0.0
    for start, stop in _pieces(one):
        a, b = _wide(one.read(start, stop)), _wide(other.read(start, stop))
        with np.errstate(all="ignore"):
            distance = np.abs(b - a)
            powers += [_power(a), _power(b), _power(distance)]
            most = max(most, float(distance.max(initial=0))) if not np.isnan(distance).any() else math.nan
    before, after, difference = (float(norm) for norm in np.sqrt(powers))
    relative = difference / before if before else None
    values = None
    if math.prod(one.shape) == 1 and one.dtype.kind != "c" and other.dtype.kind != "c":
        values = one.read(0, 1)[0].item(), other.read(0, 1)[0].item()
    return TensorDifference(name, "changed", dtypes, shapes, before, after, difference, relative, most, values)


def _norm(elements: Elements | None) -> float:
    assert elements is not None
    return math.sqrt(sum(_power(_wide(elements.read(*piece))) for piece in _pieces(elements)))


def _pieces(elements: Elements) -> list[tuple[int, int]]:
    size, at_once = math.prod(elements.shape), PIECE_NBYTES // max(1, elements.dtype.itemsize)
    return [(start, min(size, start + at_once)) for start in range(0, size, at_once)]


def _wide(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)


def _power(values: NDArray[Any]) -> float:
    return float(np.vdot(values, values).real)
