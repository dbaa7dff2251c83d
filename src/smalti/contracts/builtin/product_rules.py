"""The rules of the product contract: where positions, probe and object lie, and which numbers are plausible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from smalti.codecs.product import to_pixels
from smalti.contracts.arrays import Array, ArraySpec
from smalti.contracts.rules import Rule
from smalti.contracts.violation import Violation

_LEAST_SPREAD_PX = 1e-2
_LARGEST_RAW_ERROR_PX = 1e-2


class MaybeNotFinite(ArraySpec):
    """An array in which NaN and infinity are only a warning: a run diverged, a pixel measured nothing."""

    def breaches(self, array: Array) -> Iterator[Violation]:
        """Yield what breaks the specification; of values that are not finite, a warning."""
        for violation in super().breaches(array):
            yield replace(violation, severity="warning") if violation.code == "array.not_finite" else violation


class CentresInside(Rule):
    """Every probe centre lies on the object; needs positions, object, pixel size and centre of one axis."""

    axis: int

    def sentence(self) -> str:
        positions, canvas, pixel, center = self.needs
        return f"Each of {positions} lies on {canvas}, whose centre is at {center} and whose pixels are {pixel} large."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        positions, canvas, pixel, center = self.needs
        last = values[canvas].shape[self.axis] - 1
        pixels = to_pixels(values[positions], last + 1, values[pixel], values[center])
        outside = _outside(pixels, last)
        if outside.any():
            found = f"{int(outside.sum())} of {pixels.size} positions off the object, from pixel {pixels.min():.1f} to "
            found, wanted = f"{found}{pixels.max():.1f}", f"0 to {last}"
            remedy = f"correct {center}, {pixel} or the unit of the positions"
            yield self.breach("positions.outside_object", positions, found, wanted, remedy, (int(outside.argmax()),))


class ProbesInside(Rule):
    """Every probe lies on the object with its whole array; needs what ``CentresInside`` does, and the probe."""

    axis: int

    def sentence(self) -> str:
        positions, canvas, *_, probe = self.needs
        return f"A {probe} centred on each of {positions} lies inside {canvas}."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        positions, canvas, pixel, center, probe = self.needs
        size, width = values[canvas].shape[self.axis], values[probe].shape[self.axis]
        pixels = to_pixels(values[positions], size, values[pixel], values[center])
        # A centre off the object is what CentresInside reports.
        beyond = (pixels < width / 2 - 1) | (pixels > size - width / 2)
        if beyond.any() and not _outside(pixels, size - 1).any():
            found = f"probes of {width} px centred from pixel {pixels.min():.1f} to {pixels.max():.1f}"
            wanted = (
                f"{width / 2 - 1:g} to {size - width / 2:g}, so that each lies inside the {size} px of the {canvas}"
            )
            remedy = f"make the {canvas} larger, or check {pixel} and {center}"
            yield self.breach("positions.overhang_object", positions, found, wanted, remedy, (int(beyond.argmax()),))


class Spread(Rule):
    """A scan of several positions moves in pixels of the object; needs x, y, pixel width and height."""

    def sentence(self) -> str:
        x, y, *_ = self.needs
        return f"{x} and {y} spread over {_LEAST_SPREAD_PX:g} object pixels or more."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        x, y, width, height = self.needs
        spreads = [float(np.ptp(values[along])) / values[pixel] for along, pixel in ((x, width), (y, height))]
        if values[x].size > 1 and max(spreads) < _LEAST_SPREAD_PX:
            place, found = f"{x} and {y}", f"positions within {max(spreads):.3g} px of the object"
            remedy = "give positions in m, and check the pixel size"
            yield self.breach("positions.degenerate", place, found, "a scan that moves", remedy)


class SamePixel(Rule):
    """In the far field the probe's pixel is the object's; needs the object's, the probe's, and whether it is far."""

    def sentence(self) -> str:
        canvas, probe, far_field = self.needs
        return f"Where {far_field} is true, {probe} is {canvas}."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        canvas, probe, far_field = (values[key] for key in self.needs)
        if far_field and not np.isclose(probe, canvas, rtol=1e-6, atol=0):
            wanted = f"{canvas:g} m, the object's: in the far field both are one"
            remedy = "write one pixel size for both, or far_field false"
            yield self.breach("field.pixels_differ", self.needs[1], f"{probe:g} m", wanted, remedy)


class Plausible(Rule):
    """A number lies where such numbers lie; beyond, it is in another unit than its name says."""

    minimum: float
    maximum: float
    unit: str

    def sentence(self) -> str:
        return f"{self.needs[0]} lies between {self.minimum:g} and {self.maximum:g} {self.unit}."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        number = values[self.needs[0]]
        if not self.minimum <= number <= self.maximum:
            wanted = f"{self.minimum:g} to {self.maximum:g} {self.unit}"
            found = f"{number:g} {self.unit}"
            yield self.breach("field.implausible", self.needs[0], found, wanted, "check its unit")


class GapsBetweenLayers(Rule):
    """There is one spacing fewer than there are layers; needs object, spacings."""

    def sentence(self) -> str:
        return f"{self.needs[1]} has one entry fewer than {self.needs[0]} has layers."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        canvas, spacings = self.needs
        layers = len(values[canvas]) if values[canvas].ndim == 3 else 1
        if values[spacings].size != layers - 1:
            found, wanted = f"{values[spacings].size} spacings", f"{layers - 1} between {layers} layers"
            yield self.breach("layers.spacing", spacings, found, wanted, "state the distance after each layer but one")


class HasLosses(Rule):
    """How the loss fell is told."""

    def sentence(self) -> str:
        return f"{self.needs[0]} has at least one value."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        if not values[self.needs[0]].size:
            wanted, remedy = "the loss of every epoch", "write loss_values and loss_epochs, where they are known"
            yield self.breach("losses.none", self.needs[0], "no losses", wanted, remedy)


class RawPositions(Rule):
    """The positions beside the patterns are those of the product; needs them and what ``CentresInside`` does."""

    axis: int

    def sentence(self) -> str:
        raw, positions, *_ = self.needs
        return f"{raw} are {positions} in pixels of the object."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        raw, positions, canvas, pixel, center = self.needs
        pixels = to_pixels(values[positions], values[canvas].shape[self.axis], values[pixel], values[center])
        away = np.abs(pixels - values[raw])
        if not away.max() < _LARGEST_RAW_ERROR_PX:
            found = f"positions up to {away.max():.3g} px away from {positions}"
            remedy = f"correct {center} or {pixel}, or write {raw} in object pixels"
            index = (int(away.argmax()),)
            yield self.breach("positions.raw_data", raw, found, f"those of {positions} in object pixels", remedy, index)


def _outside(pixels: Array, last: int) -> Array:
    outside: Array = (pixels < 0) | (pixels > last)
    return outside
