"""What is wrong with a product: checks on the file itself, because its readers accept broken ones in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from smalti.products.files import load_layout
from smalti.products.finding import Finding, error, warning
from smalti.products.frame import to_pixels
from smalti.products.layout import Layout
from smalti.products.names import (
    ATTENUATION,
    DATASETS,
    DISTANCE,
    ENERGY,
    LOSS_VALUES,
    NUMBERS,
    POLARIZATIONS,
    POSITIONS,
    RAW,
)
from smalti.products.structure import structure

# Beyond these a value is in another unit than its name says: from soft UV to hard X-rays and electrons, from a
# microscope to a long beamline, from a fraction of an angstrom to a coarse detector.
_PLAUSIBLE_ENERGY_eV = (10.0, 1e6)
_PLAUSIBLE_DISTANCE_M = (1e-6, 1e3)
_PLAUSIBLE_PIXEL_M = (1e-12, 1e-3)
_LEAST_SPREAD_PX = 1e-2


def validate_product(path: Path) -> tuple[Finding, ...]:
    """Return everything wrong with the product file at ``path``, errors first; nothing when it is sound.

    Raises:
        NotFound, Refused, Unavailable: see ``load_layout``.
    """
    return findings(load_layout(path, DATASETS))


def findings(layout: Layout) -> tuple[Finding, ...]:
    """Return everything wrong with a product; how its parts fit is only looked at when every part is there."""
    broken = structure(layout)
    if broken:
        return broken
    found = chain.from_iterable(check(layout) for check in _CHECKS)
    return tuple(sorted(found, key=lambda finding: finding.severity != "error"))


def _indexes(layout: Layout) -> Iterator[Finding]:
    indexes = layout.datasets[POSITIONS[0]].array
    unique = len(np.unique(indexes))
    if unique != len(indexes):
        found = f"holds {unique} different numbers for {len(indexes)} positions"
        yield error("indexes", POSITIONS[0], found, "each once: Ptychodus averages positions of one index")


def _pixels(layout: Layout) -> Iterator[Finding]:
    for axis in ("width", "height"):
        name = f"pixel_{axis}_m"
        pixel_m, probe_m = layout.number(name, on="object"), layout.number(name, on="probe")
        for on, value in (("object", pixel_m), ("probe", probe_m)):
            if value is not None and not (np.isfinite(value) and value > 0):
                yield error("pixel-size", f"{on}.{name}", f"is {value:g}", "a positive length in m")
            elif value is not None:
                yield from _implausible(f"{on}.{name}", value, _PLAUSIBLE_PIXEL_M, "m")
        far_field = bool(layout.attrs.get("far_field", True))
        if far_field and pixel_m and probe_m is not None and not np.isclose(probe_m, pixel_m, rtol=1e-6, atol=0):
            wanted = f"{pixel_m:g}, the object's: in the far field both are one"
            yield warning("pixel-mismatch", f"probe.{name}", f"is {probe_m:g}", wanted)


def _footprint(layout: Layout) -> Iterator[Finding]:
    """Yield positions whose probe leaves the object: a wrong centre, pixel size or unit."""
    shape = layout.datasets["object"].array.shape
    probe_shape = layout.datasets["probe"].array.shape
    for axis, (letter, side) in {-1: ("x", "width"), -2: ("y", "height")}.items():
        pixel_m = layout.number(f"pixel_{side}_m", on="object") or 0.0
        center_m = layout.number(f"center_{letter}_m", on="object") or 0.0
        if not (np.isfinite([pixel_m, center_m]).all() and pixel_m > 0):
            continue
        name = f"probe_position_{letter}_m"
        pixels = to_pixels(layout.datasets[name].array, shape[axis], pixel_m, center_m)
        low, high = float(pixels.min()), float(pixels.max())
        found = f"lies at {low:.1f} to {high:.1f} px of an object of {shape[axis]} px"
        half = probe_shape[axis] / 2
        if low < 0 or high > shape[axis] - 1:
            yield error("outside-object", name, found, "probe centres inside; look at centre and pixel size")
        elif low < half - 1 or high > shape[axis] - half:
            wanted = f"room for the probe of {probe_shape[axis]} px at every position"
            yield warning("overhangs-object", name, found, wanted)


def _spread(layout: Layout) -> Iterator[Finding]:
    """Yield positions that hardly move in pixels of the object: they are in a larger unit than m."""
    spread_px = 0.0
    for letter, side in (("x", "width"), ("y", "height")):
        pixel_m = layout.number(f"pixel_{side}_m", on="object")
        positions = layout.datasets[f"probe_position_{letter}_m"].array
        if pixel_m and len(positions) > 1:
            spread_px = max(spread_px, float(np.ptp(positions)) / pixel_m)
        else:
            return
    if spread_px < _LEAST_SPREAD_PX:
        place, found = " and ".join(POSITIONS[1:]), f"spread over {spread_px:.3g} px of the object"
        yield warning("no-spread", place, found, "positions in m that move")


def _physics(layout: Layout) -> Iterator[Finding]:
    for names in NUMBERS:
        value, required = layout.number(*names), names in (ENERGY, DISTANCE)
        if value is not None and not np.isfinite(value):
            yield error("not-finite", names[0], f"is {value}", "a finite number")
        elif required and value is None:
            yield error("missing", names[0], "is missing", "this attribute: readers refuse the file without it")
        elif required and value is not None and value <= 0:
            found = "is 0, which says unknown" if value == 0 else f"is {value:g}"
            yield warning("unknown", names[0], found, "a positive number: the wavelength follows from it")
        elif required and value is not None:
            energy = names == ENERGY
            limits, unit = (_PLAUSIBLE_ENERGY_eV, "eV") if energy else (_PLAUSIBLE_DISTANCE_M, "m")
            yield from _implausible(names[0], value, limits, unit)
    counts = layout.array("probe_photon_counts")
    if counts is not None and counts.min() < 0:
        yield error("negative", "probe_photon_counts", f"goes down to {counts.min():g}", "0 or more photons")


def _implausible(place: str, value: float, limits: tuple[float, float], unit: str) -> Iterator[Finding]:
    low, high = limits
    if not low <= value <= high:
        yield warning("implausible", place, f"is {value:g} {unit}", f"{low:g} to {high:g} {unit}; look at its unit")


def _names(layout: Layout) -> Iterator[Finding]:
    """Yield values that a newer or older Ptychodus would read differently."""
    for new, old in (ENERGY, ATTENUATION):
        values = layout.number(new), layout.number(old)
        if None not in values and values[0] != values[1]:
            found = f"is {values[0]} but {old} is {values[1]}"
            yield error("names-disagree", new, found, "one value under both names")
        elif values[0] is None and values[1]:
            yield warning("old-name", old, "has no new name beside it", f"{new} too, for Ptychodus 1.7")
    polarization = layout.attrs.get("polarization")
    if polarization is not None and polarization not in POLARIZATIONS:
        yield warning("polarization", "polarization", f"is {polarization!r}", " or ".join(POLARIZATIONS))


def _losses(layout: Layout) -> Iterator[Finding]:
    losses = layout.array(*LOSS_VALUES)
    if losses is None or not len(losses):
        yield warning("no-losses", "loss_values", "is missing or empty", "the loss of every epoch")
    elif "loss_epochs" not in layout.datasets or "loss_values" not in layout.datasets:
        found = "is not there together with loss_epochs"
        yield warning("losses-ignored", "loss_values", found, "both: Ptychodus 1.3 and later read both or none")


def _opr(layout: Layout) -> Iterator[Finding]:
    dataset, attribute = layout.array("opr_weights"), layout.datasets["probe"].attrs.get("opr_weights")
    if dataset is None and attribute is not None:
        found = "is an attribute of probe only"
        yield warning("opr-attribute", "opr_weights", found, "a root dataset, for Ptychodus 1.3 and later")
    elif dataset is not None and attribute is not None and not np.array_equal(dataset, np.asarray(attribute)):
        found = "differs from the attribute of probe"
        yield error("names-disagree", "opr_weights", found, "the same weights, for Ptychodus 1.0 to 1.2")


def _raw(layout: Layout) -> Iterator[Finding]:
    """Yield disagreements between the raw bundle and the product it travels with."""
    patterns = layout.datasets.get(f"{RAW}/diffraction")
    if patterns is not None and "unit" not in patterns.attrs:
        yield warning("raw-unit", f"{RAW}/diffraction", "has no attribute unit", "counts or amplitude")
    shape = layout.datasets["object"].array.shape
    for axis, (letter, side) in {-1: ("x", "width"), -2: ("y", "height")}.items():
        raw = layout.array(f"{RAW}/{letter}coords")
        pixel_m = layout.number(f"pixel_{side}_m", on="object")
        center_m = layout.number(f"center_{letter}_m", on="object")
        if raw is None or not pixel_m or center_m is None:
            continue
        positions = to_pixels(layout.datasets[f"probe_position_{letter}_m"].array, shape[axis], pixel_m, center_m)
        worst = float(np.abs(positions - raw).max())
        if not worst < 0.01:
            found = f"is up to {worst:.3g} px away from probe_position_{letter}_m in the object's frame"
            yield error("raw-frame", f"{RAW}/{letter}coords", found, "the same positions in object pixels")


_CHECKS: tuple[Callable[[Layout], Iterator[Finding]], ...] = (
    _indexes,
    _pixels,
    _footprint,
    _spread,
    _physics,
    _names,
    _losses,
    _opr,
    _raw,
)
