"""The contract of a ptychography scan: patterns, where each was taken, and first guesses.

Keys and shapes are those of PtychoPINN's raw data files (https://github.com/hoidn/PtychoPINN, docs/data_contracts.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from smalti.contracts.contract import Array, ArraySpec, Contract, Rule
from smalti.contracts.violation import Violation


class Square(Rule):
    """The last two axes of an array are equally long."""

    def sentence(self) -> str:
        return f"The planes of {self.needs[0]} are square."

    def breaches(self, arrays: Mapping[str, Array]) -> Iterator[Violation]:
        key = self.needs[0]
        *_, height, width = arrays[key].shape
        if height != width:
            found = f"planes of {height} x {width}"
            yield Violation(f"{key}.not_square", key, found, "square planes", "crop or pad them to a square")


class FootprintInside(Rule):
    """Every probe, centred on its position, lies on the object array; needs x, y, patterns, object."""

    slack_px: float

    def sentence(self) -> str:
        x, y, patterns, canvas = self.needs
        return (
            f"A window as large as a plane of {patterns}, centred on each ({x}, {y}), lies inside {canvas} to within "
            f"{self.slack_px:g} px; the centre of an n-pixel axis is (n - 1) / 2."
        )

    def breaches(self, arrays: Mapping[str, Array]) -> Iterator[Violation]:
        x, y, patterns, canvas = self.needs
        for key, axis in ((x, -1), (y, -2)):
            reach = (arrays[patterns].shape[axis] - 1) / 2
            low, high = float(arrays[key].min()) - reach, float(arrays[key].max()) + reach
            last = arrays[canvas].shape[axis] - 1
            if low < -self.slack_px or high > last + self.slack_px:
                found = f"probes that reach from pixel {low:.1f} to {high:.1f}"
                wanted = f"0 to {last}, the pixels of {canvas}"
                remedy = f"give positions in pixels from the first pixel of {canvas}, or leave {canvas} out"
                yield Violation("positions.outside_object", key, found, wanted, remedy)


class Moving(Rule):
    """A scan of several positions visits more than one place."""

    def sentence(self) -> str:
        return f"The positions in {' and '.join(self.needs)} are not all equal (warning)."

    def breaches(self, arrays: Mapping[str, Array]) -> Iterator[Violation]:
        coordinates = [arrays[key] for key in self.needs]
        if coordinates[0].size > 1 and not any(np.ptp(values) > 0 for values in coordinates):
            place, found = " and ".join(self.needs), f"{coordinates[0].size} equal positions"
            remedy = "check that the positions were recorded"
            yield Violation("positions.degenerate", place, found, "a scan that moves", remedy, "warning")


class Unique(Rule):
    """No value occurs twice."""

    def sentence(self) -> str:
        return f"No value of {self.needs[0]} occurs twice (warning)."

    def breaches(self, arrays: Mapping[str, Array]) -> Iterator[Violation]:
        key = self.needs[0]
        repeated = arrays[key].size - np.unique(arrays[key]).size
        if repeated:
            found = f"{repeated} of {arrays[key].size} values that repeat another"
            remedy = "number the patterns as they were acquired, or leave it out"
            yield Violation(f"{key}.repeated", key, found, "a number of its own for each pattern", remedy, "warning")


SCAN = Contract(
    name="scan",
    version=1,
    summary="One ptychography scan in canonical form: N patterns of H x W pixels; +x is increasing column, "
    "+y increasing row.",
    arrays=(
        ArraySpec(
            key="diffraction",
            aliases=("diff3d",),
            meaning="Square root of counts, DC at [H//2, W//2].",
            shapes=(("N", "H", "W"),),
            dtype="float32",
            unit="amplitude",
            minimum=0,
            nonzero=True,
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
            unit="any gauge",
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
            meaning="Patches of the object, one for each pattern; checked, and not kept.",
            shapes=(("N", "H", "W"),),
            dtype="complex64",
            unit="1",
        ),
    ),
    rules=(
        Square(needs=("diffraction",)),
        FootprintInside(needs=("xcoords", "ycoords", "diffraction", "objectGuess"), slack_px=1),
        Moving(needs=("xcoords", "ycoords")),
        Unique(needs=("scan_index",)),
    ),
)
