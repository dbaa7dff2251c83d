"""Masks of the detector in every usual convention, and whether a mask hides what it should show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import Violation, shown
from smalti.scans.beam import without_spikes
from smalti.scans.card import MaskConvention

Image = NDArray[np.float64]

# Names that masks go by beside bad_pixels, and what is meant by them; None where programs differ.
MASK_NAMES: dict[str, MaskConvention | None] = {
    "bad_pixel_mask": "true_is_bad",
    "badpixels": "true_is_bad",
    "dead_pixels": "true_is_bad",
    "pixel_mask": "bit_field",
    "fmask": "true_is_good",
    "valid_pixels": "true_is_good",
    "valid_pixel_mask": "true_is_good",
    "good_pixels": "true_is_good",
    "mask": None,
    "detector_mask": None,
    "bad_mask": "true_is_bad",
    "valid_mask": "true_is_good",
}
# CXI 1.6: 0x1000 says that a pixel has signal. NeXus NXdetector: the upper two bytes alone reject no pixel.
_BITS_THAT_REJECT = 0xFFFF & ~0x1000
_PATTERNS_LOOKED_AT = 32
_LARGEST_COUNT = 2**31 - 2  # from here on a value is a code
_DECIDES = 0.2  # of the light: with less of it hidden, and so more than 0.8 by the other reading, a mask is understood
_MOST_HIDDEN = 0.5


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask as (H, W) truth values, true for bad; ``note`` where that is not how the file has it."""

    bad: NDArray[np.bool_]
    convention: MaskConvention
    note: str = ""


def mask_named(arrays: Mapping[str, NDArray[Any]], planes: set[tuple[int, ...]]) -> str | None:
    """Return the name of the array that is a mask by its name and has the shape of a pattern, if there is one."""
    if "bad_pixels" in arrays:
        return None
    for name in MASK_NAMES:
        shape = tuple(length for length in np.shape(arrays.get(name, ())) if length != 1)
        if name in arrays and shape in planes and arrays[name].dtype.kind in "biuf":
            return name
    return None


def read_mask(
    mask: NDArray[Any], name: str, stated: MaskConvention | None, light: Image | None, card: str
) -> Mask | Violation | None:
    """Return an (H, W) mask as truth values, the violation that asks what it says, or None where it is no mask.

    Args:
        name: what the array is called in the file.
        stated: the convention that the card gives.
        light: (H, W) of a typical pattern, see :func:`light_of`; None where there is none of this shape.
        card: file name of the card, for the remedy.
    """
    if mask.dtype.kind not in "biuf" or (mask.dtype.kind == "f" and not np.array_equal(mask, np.rint(mask))):
        return None
    values = np.unique(mask)
    several = len(values[values != 0]) > 1
    convention = stated or MASK_NAMES.get(name, "true_is_bad")
    if several and (convention is None or (stated is None and convention != "true_is_good")):
        convention = "bit_field"
    marked = np.asarray(mask != 0)
    if convention is None:
        hidden = _share(light, marked)
        if hidden is None or _DECIDES < hidden < 1 - _DECIDES:
            found = f"{int(marked.sum())} of {marked.size} pixels of {shown(name)} not 0, which may mean bad or good"
            remedy = f"write reading.mask.convention: true_is_bad (or true_is_good) in {card}"
            return Violation("bad_pixels.convention", "bad_pixels", found, "one reading", remedy)
        convention = "true_is_bad" if hidden <= _DECIDES else "true_is_good"
        least, most = _percent(min(hidden, 1 - hidden)), _percent(max(hidden, 1 - hidden))
        why = f", for so it hides {least} of the light and not {most}"
        says = "bad" if convention == "true_is_bad" else "good"
        return Mask(marked if says == "bad" else ~marked, convention, f"what is not 0 taken as {says}{why}")
    if convention == "true_is_good":
        return Mask(~marked, convention, "what is not 0 marks a good pixel, turned around")
    if convention == "bit_field":
        bits = mask.astype(np.int64)
        rejected = np.asarray((bits & _BITS_THAT_REJECT) != 0)
        return Mask(rejected, convention, "a bit field, bad where a bit of the lower 16 is set other than 0x1000")
    unusual = values[values != 0].tolist() not in ([], [1])
    return Mask(marked, convention, f"{values[-1]:g} marks a bad pixel" if unusual else "")


def light_of(patterns: NDArray[Any]) -> Image:
    """Return (H, W), the light of a typical pattern; what may be a detector's code is none."""
    some = patterns[:: -(-len(patterns) // _PATTERNS_LOOKED_AT)]
    dtype = patterns.dtype
    codes = (65535, 65534, np.iinfo(dtype).max) if dtype.kind in "iu" else (65535, 65534)
    total = np.zeros(patterns.shape[1:])
    for pattern in some:
        with np.errstate(invalid="ignore"):
            counted = (pattern >= 0) & (pattern < _LARGEST_COUNT) & ~np.isin(pattern, codes)
        total += np.where(counted, pattern, 0)
    return without_spikes(total)


def hidden_light(mask: Mask, light: Image, card: str) -> Violation | None:
    """Return a warning where a mask hides most of the light; it is never turned around."""
    hidden = _share(light, mask.bad)
    if hidden is None or hidden <= _MOST_HIDDEN or mask.bad.all():
        return None
    other = "true_is_good" if mask.convention != "true_is_good" else "true_is_bad"
    found = (
        f"{int(mask.bad.sum())} of {mask.bad.size} pixels that hide {_percent(hidden)} of the light; turned around the "
        f"mask would hide {_percent(1 - hidden)}"
    )
    remedy = f"if it was read the wrong way, write reading.mask.convention: {other} in {card}"
    return Violation("bad_pixels.hides_light", "bad_pixels", found, "a mask that leaves most of it", remedy, "warning")


def _share(light: Image | None, pixels: NDArray[np.bool_]) -> float | None:
    """Return how much of the light falls on these pixels, from 0 to 1."""
    if light is None or light.shape != pixels.shape or not light.any():
        return None
    return float(light[pixels].sum() / light.sum())


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
