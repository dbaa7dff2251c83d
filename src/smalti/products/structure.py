"""Whether a product can be read at all: its parts are there, of the right type and shape, and belong together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.products.finding import Finding, error
from smalti.products.layout import Layout
from smalti.products.names import (
    BAD_PIXELS,
    LAYER_SPACING,
    LOSS_VALUES,
    OBJECT_ATTRIBUTES,
    POSITIONS,
    RAW,
    RAW_DATASETS,
)

_KIND_NAMES = {
    "c": "complex numbers",
    "iu": "integers",
    "f": "floating-point numbers",
    "iuf": "real numbers",
    "biu": "true or false",
}
_FORMS: dict[str, tuple[str, tuple[int, ...]]] = {
    "probe_position_indexes": ("iu", (1,)),
    "probe_position_x_m": ("f", (1,)),
    "probe_position_y_m": ("f", (1,)),
    "probe_photon_counts": ("iuf", (1,)),
    "probe": ("c", (2, 3, 4)),
    "opr_weights": ("f", (2,)),
    "object": ("c", (2, 3)),
    **dict.fromkeys(LAYER_SPACING, ("iuf", (1,))),
    "loss_epochs": ("iuf", (1,)),
    "loss_values": ("iuf", (1,)),
    "costs": ("iuf", (1,)),
    f"{RAW}/diffraction": ("iuf", (3,)),
    f"{RAW}/xcoords": ("iuf", (1,)),
    f"{RAW}/ycoords": ("iuf", (1,)),
    f"{RAW}/scan_index": ("iu", (1,)),
    BAD_PIXELS: ("biu", (2,)),
}


def structure(layout: Layout) -> tuple[Finding, ...]:
    """Return what keeps a product from being read at all: parts missing, of the wrong type, shape or length."""
    return tuple(_parts(layout)) or tuple(_lengths(layout))


def opr_weights(layout: Layout) -> NDArray[Any] | None:
    """Return the OPR weights: the root dataset, or the attribute of ``probe`` that Ptychodus 1.0 to 1.2 read."""
    weights = layout.array("opr_weights")
    if weights is None and "opr_weights" in layout.datasets["probe"].attrs:
        return np.asarray(layout.datasets["probe"].attrs["opr_weights"])
    return weights


def layer_spacing(layout: Layout) -> NDArray[Any]:
    """Return the distance from each layer to the next; Ptychodus 0.7 may state one after the last layer too."""
    spacing = layout.array(*LAYER_SPACING)
    if spacing is None:
        return np.empty(0)
    obj = layout.datasets["object"].array
    ends_outside = LAYER_SPACING[0] not in layout.datasets and len(spacing) == (len(obj) if obj.ndim == 3 else 1)
    return spacing[:-1] if ends_outside else spacing


def _parts(layout: Layout) -> Iterator[Finding]:
    for name in (*POSITIONS, "probe", "object"):
        if name not in layout.datasets:
            yield error("missing", name, "is missing", "this dataset")
    for name, dataset in layout.datasets.items():
        array, (kinds, ndims) = dataset.array, _FORMS[name]
        if array.dtype.kind not in kinds:
            yield error("dtype", name, f"holds {array.dtype}", _KIND_NAMES[kinds])
        elif array.ndim not in ndims:
            wanted = f"{' or '.join(map(str, ndims))} dimensions"
            yield error("dimensions", name, f"has the shape {array.shape}", wanted)
        elif name != LAYER_SPACING[1] and not np.isfinite(array).all():  # 0.7 ends it with infinity
            yield error("not-finite", name, "holds NaN or infinity", "finite numbers")
    for name in OBJECT_ATTRIBUTES if "object" in layout.datasets else ():
        value = layout.number(name, on="object")
        if value is None or not np.isfinite(value):
            found = "is missing" if value is None else f"is {value}"
            yield error("missing", f"object.{name}", found, "a length in m")


def _lengths(layout: Layout) -> Iterator[Finding]:
    """Yield arrays that do not belong together; Ptychodus would cut the longer one off without a message."""
    n = len(layout.datasets[POSITIONS[0]].array)
    for name in (*POSITIONS[1:], "probe_photon_counts", *RAW_DATASETS):
        array = layout.array(name)
        if array is not None and len(array) != n:
            yield error("lengths", name, f"has {len(array)} entries", f"{n}, as {POSITIONS[0]} has")
    losses, epochs = layout.array(*LOSS_VALUES), layout.array("loss_epochs")
    if losses is not None and epochs is not None and losses.shape != epochs.shape:
        yield error("lengths", "loss_epochs", f"has the shape {epochs.shape}", f"{losses.shape}, as the losses")
    probe, obj, weights = layout.datasets["probe"].array, layout.datasets["object"].array, opr_weights(layout)
    coherent = len(probe) if probe.ndim == 4 else 1
    if weights is not None and weights.shape != (n, coherent):
        yield error("opr-shape", "opr_weights", f"has the shape {weights.shape}", f"{(n, coherent)}")
    layers = len(obj) if obj.ndim == 3 else 1
    spacing = layer_spacing(layout)
    if len(spacing) != layers - 1 or not np.isfinite(spacing).all():
        wanted = f"{layers - 1} finite ones for {layers} layers"
        yield error("layer-spacing", "object_layer_spacing_m", f"has {len(spacing)} entries", wanted)
    bad, patterns = layout.array(BAD_PIXELS), layout.array(RAW_DATASETS[0])
    if bad is not None and patterns is not None and bad.shape != patterns.shape[1:]:
        yield error("lengths", BAD_PIXELS, f"has the shape {bad.shape}", f"{patterns.shape[1:]}, as a pattern")
    if 0 in (n, *obj.shape, *probe.shape):
        yield error("empty", "the product", "has no positions, probe or object", "at least one of each")
