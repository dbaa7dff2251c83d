"""How two sequences of elements differ, added up piece by piece: how many, by how much, and where most."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.compare.differences import ComplexDifference, ElementsDifference

_NUMBERS = "biuf"
_TIME_UNITS = {"Y": "years", "M": "months", "W": "weeks", "D": "days", "h": "hours", "m": "minutes", "generic": ""}
_TIME_UNITS |= {unit: unit for unit in ("s", "ms", "us", "ns", "ps", "fs", "as")}


def comparable(one: np.dtype[Any], other: np.dtype[Any]) -> bool:
    """Tell whether elements of two dtypes can be held against each other."""
    kinds = {one.kind, other.kind}
    return one == other or kinds <= {*_NUMBERS, "c"} or kinds in ({"S"}, {"U"}, {"M"}, {"m"})


class ElementTotals:
    """Adds up how elements differ. What is NaN on both sides is equal."""

    def __init__(self, before: np.dtype[Any], after: np.dtype[Any]) -> None:
        self._dtypes = before, after
        self._common = _common(before, after)
        self._compared = self._changed = self._spelling = 0
        self._nan_came = self._nan_gone = self._infinite_came = self._infinite_gone = 0
        self._true_came = self._true_gone = 0
        self._most: tuple[float | int, Any, Any, int, int] | None = None
        self._sum = 0.0
        self._finite = 0
        self._max_rel: float | None = None
        self._complex = _ComplexTotals() if self._common.kind == "c" else None

    def add(self, before: NDArray[Any], after: NDArray[Any], at_before: int, at_after: int) -> NDArray[np.bool_]:
        """Take in two pieces of equal length, which begin at these elements; return which elements differ."""
        self._compared += len(before)
        bits_differ = _bits_differ(before, after) if before.dtype == after.dtype else None
        if self._common.kind not in "biufcMm":
            structured = self._common.kind == "V" and bits_differ is not None
            changed = np.asarray(bits_differ if structured else before != after, np.bool_)
            self._changed += int(np.count_nonzero(changed))
            return changed
        one, other = (np.asarray(side, self._common) for side in (before, after))
        nan_one, nan_other = _missing(one), _missing(other)
        changed = np.asarray((one != other) & ~(nan_one & nan_other), np.bool_)
        self._changed += int(np.count_nonzero(changed))
        if bits_differ is not None:
            self._spelling += int(np.count_nonzero(bits_differ & ~changed))
        self._nan_came += int(np.count_nonzero(nan_other & ~nan_one))
        self._nan_gone += int(np.count_nonzero(nan_one & ~nan_other))
        if self._common.kind == "b":
            self._true_came += int(np.count_nonzero(other & changed))
            self._true_gone += int(np.count_nonzero(one & changed))
            return changed
        self._add_differences(one, other, changed, at_before, at_after)
        if self._complex:
            self._complex.add(one, other)
        return changed

    def _add_differences(
        self, one: NDArray[Any], other: NDArray[Any], changed: NDArray[np.bool_], at_before: int, at_after: int
    ) -> None:
        infinite = [np.isinf(side) if side.dtype.kind in "fc" else np.zeros(len(side), bool) for side in (one, other)]
        self._infinite_came += int(np.count_nonzero(infinite[1] & ~infinite[0]))
        self._infinite_gone += int(np.count_nonzero(infinite[0] & ~infinite[1]))
        places = np.flatnonzero(changed & ~(infinite[0] | infinite[1] | _missing(one) | _missing(other)))
        if not len(places):
            return
        one, other = one[places], other[places]
        with np.errstate(all="ignore"):
            distance = _distance(one, other)
            self._sum += float(distance.sum(dtype=np.float64))
            self._finite += len(places)
            top = int(np.argmax(distance))
            if self._most is None or distance[top].item() > self._most[0]:
                place = int(places[top])
                values = one[top].item(), other[top].item()
                if one.dtype.kind in "Mm":
                    values = str(one[top]), str(other[top])
                self._most = (distance[top].item(), *values, at_before + place, at_after + place)
            if one.dtype.kind in "biufc":
                size = np.abs(one.astype(np.complex128 if one.dtype.kind == "c" else np.float64))
                relative = (distance[size > 0] / size[size > 0]).max(initial=-1.0)
                if relative >= 0:
                    self._max_rel = max(self._max_rel or 0.0, float(relative))

    def total(self, before: tuple[int, ...], after: tuple[int, ...]) -> ElementsDifference:
        """Return what was added up of arrays of these shapes."""
        most: tuple[Any, ...] = self._most or (None, None, None, 0, 0)
        kind = self._common.kind
        return ElementsDifference(
            compared=self._compared,
            changed=self._changed,
            spelling=self._spelling,
            max_abs=most[0],
            before_at_max=most[1],
            after_at_max=most[2],
            index_before=_index(most[3], before) if self._most else (),
            index_after=_index(most[4], after) if self._most else (),
            mean_abs=self._sum / self._finite if self._finite else None,
            max_rel=self._max_rel,
            nan_came=self._nan_came,
            nan_gone=self._nan_gone,
            infinite_came=self._infinite_came,
            infinite_gone=self._infinite_gone,
            true_came=self._true_came,
            true_gone=self._true_gone,
            unit=_TIME_UNITS[np.datetime_data(self._common)[0]] if kind in "Mm" else "",
            complex=self._complex.total() if self._complex else None,
        )


class _ComplexTotals:
    def __init__(self) -> None:
        self._count = 0
        self._amplitude = self._amplitude_max = 0.0
        self._weight = self._phase = 0.0
        self._power_before = self._power_after = 0.0
        self._product = 0j

    def add(self, one: NDArray[Any], other: NDArray[Any]) -> None:
        finite = np.isfinite(one) & np.isfinite(other)
        one, other = one[finite].astype(np.complex128), other[finite].astype(np.complex128)
        if not len(one):
            return
        with np.errstate(all="ignore"):
            apart = np.abs(np.abs(other) - np.abs(one))
            product = other * one.conj()
            weight = np.abs(product)
            self._count += len(one)
            self._amplitude += float(apart.sum())
            self._amplitude_max = max(self._amplitude_max, float(apart.max()))
            self._weight += float(weight.sum())
            self._phase += float((weight * np.angle(product) ** 2).sum())
            self._power_before += float((np.abs(one) ** 2).sum())
            self._power_after += float((np.abs(other) ** 2).sum())
            self._product += complex(product.sum())

    def total(self) -> ComplexDifference | None:
        if not self._count:
            return None
        power = math.sqrt(self._power_before) * math.sqrt(self._power_after)
        return ComplexDifference(
            amplitude_mean=self._amplitude / self._count,
            amplitude_max=self._amplitude_max,
            phase_rms_rad=math.sqrt(self._phase / self._weight) if self._weight else 0.0,
            phase_overall_rad=float(np.angle(self._product)),
            correlation=min(1.0, abs(self._product) / power) if power else 0.0,
        )


def _common(one: np.dtype[Any], other: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype in which both are compared: without loss, but for integers of 64 bits against floats."""
    if one == other:
        return one
    if {one.kind, other.kind} <= {*_NUMBERS}:
        return np.dtype(np.float64) if "f" in (one.kind, other.kind) else np.result_type(one, other)
    return np.result_type(one, other)


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind in "fc":
        return np.asarray(np.isnan(values))
    if values.dtype.kind in "Mm":
        return np.asarray(np.isnat(values))
    return np.zeros(len(values), bool)


def _distance(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Return how far elements are apart; exact for integers and times, which may be further apart than one holds."""
    if one.dtype.kind in "biuMm":
        if one.dtype.kind in "Mm":
            one, other = one.view(np.int64), other.view(np.int64)
        high, low = np.maximum(one, other), np.minimum(one, other)
        return np.asarray(high.astype(np.uint64) - low.astype(np.uint64))
    wide = np.complex128 if one.dtype.kind == "c" else np.float64
    return np.asarray(np.abs(other.astype(wide) - one.astype(wide)))


def _bits_differ(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    size = one.dtype.itemsize
    if not size:
        return np.zeros(len(one), bool)
    rows = (np.ascontiguousarray(side).view(np.uint8).reshape(len(one), size) for side in (one, other))
    return np.asarray((next(rows) != next(rows)).any(axis=1))


def _index(place: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(place, shape)) if shape else ()
