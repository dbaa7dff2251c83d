"""What is wrong with a product: checks on the file itself, because its readers accept broken ones in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smalti.products.frame import to_pixels
from smalti.products.layout import Layout, load_layout
from smalti.products.names import (
    ATTENUATION,
    DATASETS,
    DISTANCE,
    ENERGY,
    LOSS_VALUES,
    NUMBERS,
    OBJECT_ATTRIBUTES,
    POLARIZATIONS,
    POSITIONS,
    RAW,
    RAW_DATASETS,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a product.

    Attributes:
        severity: ``error`` when a reader fails or puts things in the wrong place, ``warning`` when it loses or
            lacks something.
        code: the check's name, stable.
        place: the dataset or attribute, e.g. ``object.center_x_m``.
        found: what is there.
        wanted: what should be there.
    """

    severity: Literal["error", "warning"]
    code: str
    place: str
    found: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.place} {self.found}; wanted: {self.wanted} [{self.code}]"


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


def structure(layout: Layout) -> tuple[Finding, ...]:
    """Return what keeps a product from being read at all: parts missing, of the wrong type, shape or length."""
    return tuple(_parts(layout)) or tuple(_lengths(layout))


def opr_weights(layout: Layout) -> NDArray[Any] | None:
    """Return the OPR weights: the root dataset, or the attribute of ``probe`` that Ptychodus 1.0 to 1.2 read."""
    weights = layout.array("opr_weights")
    if weights is None and "opr_weights" in layout.datasets["probe"].attrs:
        return np.asarray(layout.datasets["probe"].attrs["opr_weights"])
    return weights


def _parts(layout: Layout) -> Iterator[Finding]:
    for name in (*POSITIONS, "probe", "object"):
        if name not in layout.datasets:
            yield _error("missing", name, "is missing", "this dataset")
    for name, dataset in layout.datasets.items():
        array, (kinds, ndims) = dataset.array, _FORMS[name]
        if array.dtype.kind not in kinds:
            yield _error("dtype", name, f"holds {array.dtype}", _KIND_NAMES[kinds])
        elif array.ndim not in ndims:
            wanted = f"{' or '.join(map(str, ndims))} dimensions"
            yield _error("dimensions", name, f"has the shape {array.shape}", wanted)
        elif not np.isfinite(array).all():
            yield _error("not-finite", name, "holds NaN or infinity", "finite numbers")
    for name in OBJECT_ATTRIBUTES if "object" in layout.datasets else ():
        value = layout.number(name, on="object")
        if value is None or not np.isfinite(value):
            found = "is missing" if value is None else f"is {value}"
            yield _error("missing", f"object.{name}", found, "a length in m")


def _lengths(layout: Layout) -> Iterator[Finding]:
    """Yield arrays that do not belong together; Ptychodus would cut the longer one off without a message."""
    n = len(layout.datasets[POSITIONS[0]].array)
    for name in (*POSITIONS[1:], "probe_photon_counts", *RAW_DATASETS):
        array = layout.array(name)
        if array is not None and len(array) != n:
            yield _error("lengths", name, f"has {len(array)} entries", f"{n}, as {POSITIONS[0]} has")
    losses, epochs = layout.array(*LOSS_VALUES), layout.array("loss_epochs")
    if losses is not None and epochs is not None and losses.shape != epochs.shape:
        yield _error("lengths", "loss_epochs", f"has the shape {epochs.shape}", f"{losses.shape}, as the losses")
    probe, obj, weights = layout.datasets["probe"].array, layout.datasets["object"].array, opr_weights(layout)
    coherent = len(probe) if probe.ndim == 4 else 1
    if weights is not None and weights.shape != (n, coherent):
        yield _error("opr-shape", "opr_weights", f"has the shape {weights.shape}", f"{(n, coherent)}")
    layers = len(obj) if obj.ndim == 3 else 1
    spacing = layout.array("object_layer_spacing_m")
    gaps = 0 if spacing is None else len(spacing)
    if gaps != layers - 1:
        wanted = f"{layers - 1} for {layers} layers"
        yield _error("layer-spacing", "object_layer_spacing_m", f"has {gaps} entries", wanted)
    if 0 in (n, *obj.shape, *probe.shape):
        yield _error("empty", "the product", "has no positions, probe or object", "at least one of each")


def _indexes(layout: Layout) -> Iterator[Finding]:
    indexes = layout.datasets[POSITIONS[0]].array
    unique = len(np.unique(indexes))
    if unique != len(indexes):
        found = f"holds {unique} different numbers for {len(indexes)} positions"
        yield _error("indexes", POSITIONS[0], found, "each once: Ptychodus averages positions of one index")


def _pixels(layout: Layout) -> Iterator[Finding]:
    for axis in ("width", "height"):
        name = f"pixel_{axis}_m"
        pixel_m, probe_m = layout.number(name, on="object"), layout.number(name, on="probe")
        for on, value in (("object", pixel_m), ("probe", probe_m)):
            if value is not None and not (np.isfinite(value) and value > 0):
                yield _error("pixel-size", f"{on}.{name}", f"is {value:g}", "a positive length in m")
        far_field = bool(layout.attrs.get("far_field", True))
        if far_field and pixel_m and probe_m is not None and not np.isclose(probe_m, pixel_m, rtol=1e-6, atol=0):
            wanted = f"{pixel_m:g}, the object's: in the far field both are one"
            yield _warning("pixel-mismatch", f"probe.{name}", f"is {probe_m:g}", wanted)


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
            yield _error("outside-object", name, found, "probe centres inside; look at centre and pixel size")
        elif low < half - 1 or high > shape[axis] - half:
            wanted = f"room for the probe of {probe_shape[axis]} px at every position"
            yield _warning("overhangs-object", name, found, wanted)


def _physics(layout: Layout) -> Iterator[Finding]:
    for names in NUMBERS:
        value, required = layout.number(*names), names in (ENERGY, DISTANCE)
        if value is not None and not np.isfinite(value):
            yield _error("not-finite", names[0], f"is {value}", "a finite number")
        elif required and value is None:
            yield _error("missing", names[0], "is missing", "this attribute: readers refuse the file without it")
        elif required and value is not None and value <= 0:
            found = "is 0, which says unknown" if value == 0 else f"is {value:g}"
            yield _warning("unknown", names[0], found, "a positive number: the wavelength follows from it")


def _names(layout: Layout) -> Iterator[Finding]:
    """Yield values that a newer or older Ptychodus would read differently."""
    for new, old in (ENERGY, ATTENUATION):
        values = layout.number(new), layout.number(old)
        if None not in values and values[0] != values[1]:
            found = f"is {values[0]} but {old} is {values[1]}"
            yield _error("names-disagree", new, found, "one value under both names")
        elif values[0] is None and values[1]:
            yield _warning("old-name", old, "has no new name beside it", f"{new} too, for Ptychodus 1.7")
    polarization = layout.attrs.get("polarization")
    if polarization is not None and polarization not in POLARIZATIONS:
        yield _warning("polarization", "polarization", f"is {polarization!r}", " or ".join(POLARIZATIONS))


def _losses(layout: Layout) -> Iterator[Finding]:
    losses = layout.array(*LOSS_VALUES)
    if losses is None or not len(losses):
        yield _warning("no-losses", "loss_values", "is missing or empty", "the loss of every epoch")
    elif "loss_epochs" not in layout.datasets or "loss_values" not in layout.datasets:
        found = "is not there together with loss_epochs"
        yield _warning("losses-ignored", "loss_values", found, "both: Ptychodus 1.3 and later read both or none")


def _opr(layout: Layout) -> Iterator[Finding]:
    if "opr_weights" not in layout.datasets and opr_weights(layout) is not None:
        found = "is an attribute of probe only"
        yield _warning("opr-attribute", "opr_weights", found, "a root dataset, for Ptychodus 1.3 and later")


def _raw(layout: Layout) -> Iterator[Finding]:
    """Yield disagreements between the raw bundle and the product it travels with."""
    patterns = layout.datasets.get(f"{RAW}/diffraction")
    if patterns is not None and "unit" not in patterns.attrs:
        yield _warning("raw-unit", f"{RAW}/diffraction", "has no attribute unit", "counts or amplitude")
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
            yield _error("raw-frame", f"{RAW}/{letter}coords", found, "the same positions in object pixels")


_CHECKS: tuple[Callable[[Layout], Iterator[Finding]], ...] = (
    _indexes,
    _pixels,
    _footprint,
    _physics,
    _names,
    _losses,
    _opr,
    _raw,
)
_KIND_NAMES = {"c": "complex numbers", "iu": "integers", "f": "floating-point numbers", "iuf": "real numbers"}
_FORMS: dict[str, tuple[str, tuple[int, ...]]] = {
    "probe_position_indexes": ("iu", (1,)),
    "probe_position_x_m": ("f", (1,)),
    "probe_position_y_m": ("f", (1,)),
    "probe_photon_counts": ("iuf", (1,)),
    "probe": ("c", (2, 3, 4)),
    "opr_weights": ("f", (2,)),
    "object": ("c", (2, 3)),
    "object_layer_spacing_m": ("iuf", (1,)),
    "loss_epochs": ("iuf", (1,)),
    "loss_values": ("iuf", (1,)),
    "costs": ("iuf", (1,)),
    f"{RAW}/diffraction": ("iuf", (3,)),
    f"{RAW}/xcoords": ("iuf", (1,)),
    f"{RAW}/ycoords": ("iuf", (1,)),
    f"{RAW}/scan_index": ("iu", (1,)),
}


def _error(code: str, place: str, found: str, wanted: str) -> Finding:
    return Finding("error", code, place, found, wanted)


def _warning(code: str, place: str, found: str, wanted: str) -> Finding:
    return Finding("warning", code, place, found, wanted)
