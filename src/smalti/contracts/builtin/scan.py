"""The contract of a ptychography scan: patterns, where each was taken, and first guesses.

Keys and shapes are those of PtychoPINN's raw data files (https://github.com/hoidn/PtychoPINN, docs/data_contracts.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from smalti.contracts.arrays import Array, ArraySpec
from smalti.contracts.contract import Contract
from smalti.contracts.rules import Rule, Square, Unique
from smalti.contracts.violation import Violation


class ScanContract(Contract):
    """A contract on scans: legacy forms of a file are converted before it is validated, and the result is a Scan."""


class FootprintInside(Rule):
    """Every probe, centred on its position, lies on the object array; needs x, y, patterns, object."""

    slack_px: float

    def sentence(self) -> str:
        x, y, patterns, canvas = self.needs
        return (
            f"A window as large as a plane of {patterns}, centred on each ({x}, {y}), lies inside {canvas} to within "
            f"{self.slack_px:g} px; the centre of an n-pixel axis is (n - 1) / 2."
        )

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        x, y, patterns, canvas = self.needs
        columns, rows = _reach(values[x], values[patterns], -1), _reach(values[y], values[patterns], -2)
        height, width = values[canvas].shape
        swapped_fits = self._fits(columns, height) and self._fits(rows, width)
        for key, reach, size in ((x, columns, width), (y, rows, height)):
            if not self._fits(reach, size):
                found = f"probes that reach from pixel {reach[0]:.1f} to {reach[1]:.1f}"
                wanted = f"0 to {size - 1}, the pixels of {canvas}"
                remedy = f"give positions in pixels from the first pixel of {canvas}, or leave {canvas} out"
                if swapped_fits:
                    found += f"; with {x} and {y} swapped they would fit, and so they would on a transposed {canvas}"
                    remedy = f"swap {x} and {y}, or transpose {canvas}, whichever was saved wrong"
                yield self.breach("positions.outside_object", key, found, wanted, remedy)

    def _fits(self, reach: tuple[float, float], size: int) -> bool:
        return reach[0] >= -self.slack_px and reach[1] <= size - 1 + self.slack_px


def _reach(positions: Array, patterns: Array, axis: int) -> tuple[float, float]:
    half = (patterns.shape[axis] - 1) / 2
    return float(positions.min()) - half, float(positions.max()) + half


class Moving(Rule):
    """A scan of several positions visits more than one place."""

    def sentence(self) -> str:
        return f"The positions in {' and '.join(self.needs)} are not all equal."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        coordinates = [values[key] for key in self.needs]
        if coordinates[0].size > 1 and not any(np.ptp(along) > 0 for along in coordinates):
            place, found = " and ".join(self.needs), f"{coordinates[0].size} equal positions"
            remedy = "check that the positions were recorded"
            yield self.breach("positions.degenerate", place, found, "a scan that moves", remedy)


class SomeGood(Rule):
    """A detector whose every pixel is bad has measured nothing."""

    def sentence(self) -> str:
        return f"Not every one of {self.needs[0]} is true."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        key = self.needs[0]
        if values[key].all():
            remedy = "true says bad: turn it around if it was saved the other way, or leave it out"
            yield self.breach(f"{key}.all_bad", key, "nothing but bad pixels", "a pixel that measures", remedy)


FOOTPRINT = FootprintInside(needs=("xcoords", "ycoords", "diffraction", "objectGuess"), slack_px=1)

SCAN = ScanContract(
    name="scan",
    version=3,
    summary="One ptychography scan in canonical form: N patterns of H x W pixels; +x is increasing column, "
    "+y increasing row.",
    arrays=(
        ArraySpec(
            key="diffraction",
            aliases=("diff3d",),
            meaning="Square root of counts, DC at [H//2, W//2]; in the near field, an image.",
            shapes=(("N", "H", "W"),),
            dtype="float32",
            unit="amplitude",
            minimum=0,
            nonzero=True,
            remedy="subtract the background so that nothing is lost below it, or clip",
        ),
        ArraySpec(
            key="xcoords",
            meaning="Column of the probe's centre.",
            shapes=(("N",),),
            dtype="float64",
            unit="object pixels",
        ),
        ArraySpec(
            key="ycoords", meaning="Row of the probe's centre.", shapes=(("N",),), dtype="float64", unit="object pixels"
        ),
        ArraySpec(
            key="probeGuess",
            required=False,
            meaning="Illumination, P incoherent modes.",
            shapes=(("H", "W"), ("P", "H", "W")),
            dtype="complex64",
            unit="arbitrary",
            nonzero=True,
        ),
        ArraySpec(
            key="objectGuess",
            required=False,
            meaning="Transmission of the sample.",
            shapes=(("M", "K"),),
            dtype="complex64",
            unit="1",
        ),
        ArraySpec(
            key="scan_index",
            required=False,
            meaning="Number of each pattern as acquired.",
            shapes=(("N",),),
            dtype="int64",
            unit="1",
        ),
        ArraySpec(
            key="Y",
            required=False,
            meaning="Patches of the object, one for each pattern, to learn from with a teacher.",
            shapes=(("N", "H", "W"),),
            dtype="complex64",
            unit="1",
        ),
        ArraySpec(
            key="bad_pixels",
            required=False,
            meaning="True where the detector tells nothing, whatever a pattern holds there.",
            shapes=(("H", "W"),),
            dtype="bool",
            unit="1",
        ),
    ),
    rules=(
        Square(needs=("diffraction",)),
        FOOTPRINT,
        SomeGood(needs=("bad_pixels",)),
        Moving(needs=("xcoords", "ycoords"), severity="warning"),
        Unique(
            needs=("scan_index",),
            severity="warning",
            remedy="number the patterns as they were acquired, or leave it out",
        ),
    ),
)
