"""A product from and to the layout of its file: old names and forms are understood, every release finds its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.product import Product, ProductMetadata, RawBundle
from smalti.products.layout import (
    BAD_PIXELS,
    CENTER_ATTRIBUTES,
    LAYER_SPACING,
    LOSS_VALUES,
    NUMBERS,
    PHOTON_FLUX,
    PIXEL_ATTRIBUTES,
    POSITIONS,
    RAW,
    RAW_DATASETS,
    TEXTS,
    UNKNOWN_VALUES,
    Attribute,
    Dataset,
    Layout,
)

Array = NDArray[Any]

# A measured value is never 0 here, so a 0 says "unknown" whoever wrote it.
_NEVER_ZERO = ("detector_object_distance_m", "photon_energy_eV", "probe_photon_count", "exposure_time_s", PHOTON_FLUX)


def layout_of(product: Product, raw: RawBundle | None = None) -> Layout:
    """Return the file a product is written as: new and old names side by side, so that no reader misses a part.

    Args:
        product: what is written.
        raw: the patterns beside it; by default those of the product.
    """
    raw = raw or product.patterns
    weights = None if product.opr_weights is None else product.opr_weights.astype(np.float64)
    metadata = product.metadata
    datasets = {
        "probe_position_indexes": Dataset(product.probe_position_indexes.astype(np.int64)),
        "probe_position_x_m": Dataset(product.probe_position_x_m.astype(np.float64)),
        "probe_position_y_m": Dataset(product.probe_position_y_m.astype(np.float64)),
        "probe": Dataset(product.probe, _probe_attributes(metadata, weights)),
        "object": Dataset(product.object, _said(metadata, "object", (*CENTER_ATTRIBUTES, *PIXEL_ATTRIBUTES))),
        "object_layer_spacing_m": Dataset(product.object_layer_spacing_m.astype(np.float64)),
        "loss_epochs": Dataset(product.loss_epochs.astype(np.int64)),
        **{name: Dataset(product.loss_values.astype(np.float64)) for name in LOSS_VALUES},
    }
    if weights is not None:
        datasets["opr_weights"] = Dataset(weights)
    if product.probe_photon_counts is not None:
        datasets["probe_photon_counts"] = Dataset(product.probe_photon_counts.astype(np.float64))
    layout = Layout(_root_attributes(metadata), datasets)
    return layout if raw is None else _with_raw(layout, raw)


def _root_attributes(metadata: ProductMetadata) -> dict[str, Attribute]:
    attrs: dict[str, Attribute] = {"name": metadata.name, "comments": metadata.comments}
    numbers = {names: getattr(metadata, names[0]) for names in NUMBERS}
    for names, value in numbers.items():
        attrs |= dict.fromkeys(names, 0.0 if value is None else float(value))
    attrs[UNKNOWN_VALUES] = ",".join(names[0] for names, value in numbers.items() if value is None)
    if metadata.probe_photons_per_s is not None:
        attrs[PHOTON_FLUX] = metadata.probe_photons_per_s
    attrs["far_field"] = metadata.far_field
    if metadata.polarization is not None:
        attrs["polarization"] = metadata.polarization
    return attrs


def _said(metadata: ProductMetadata, on: str, names: tuple[str, ...]) -> dict[str, Attribute]:
    return {name: getattr(metadata, f"{on}_{name}") for name in names}


def _probe_attributes(metadata: ProductMetadata, weights: NDArray[np.float64] | None) -> dict[str, Attribute]:
    """Return the probe's attributes, with the OPR weights, which Ptychodus 1.0 to 1.2 look for here."""
    pixel = _said(metadata, "probe", PIXEL_ATTRIBUTES)
    return pixel if weights is None else pixel | {"opr_weights": weights}


def _with_raw(layout: Layout, raw: RawBundle) -> Layout:
    described: dict[str, Attribute] = {
        "axis_canonical": "NHW",
        "original_axis_order": raw.original_axis_order,
        "unit": raw.unit,
    }
    datasets = {
        **layout.datasets,
        f"{RAW}/diffraction": Dataset(raw.diffraction, described, compressed=True),
        f"{RAW}/xcoords": Dataset(raw.xcoords.astype(np.float64)),
        f"{RAW}/ycoords": Dataset(raw.ycoords.astype(np.float64)),
        f"{RAW}/scan_index": Dataset(raw.scan_index.astype(np.int64)),
    }
    if raw.bad_pixels is not None:
        datasets[BAD_PIXELS] = Dataset(raw.bad_pixels.astype(bool))
    links = {f"{RAW}/probeGuess": "probe", f"{RAW}/objectGuess": "object"}
    return Layout({**layout.attrs, "bundle_version": "1.0", "contains_raw_data": 1}, datasets, links)


def parts_of(layout: Layout) -> dict[str, Any]:
    """Return what a file says under today's names and in today's form: arrays, numbers and text by name.

    What is in no form that is understood stays as it is, for a contract to name; what is unknown is left out.
    """
    return {name: value for name, value in (*_arrays(layout), *_said_in(layout)) if value is not None}


def conversions_of(layout: Layout, parts: Mapping[str, Any]) -> tuple[str, ...]:
    """Return in words what ``parts_of`` did to the arrays of a file."""
    return tuple(
        f"{name}: {array.dtype} {array.shape} to {parts[name].dtype} {parts[name].shape}"
        for name, array in ((name, dataset.array) for name, dataset in layout.datasets.items())
        if isinstance(parts.get(name), np.ndarray)
        and (array.dtype.newbyteorder("=") != parts[name].dtype or array.shape != parts[name].shape)
    )


def _arrays(layout: Layout) -> Iterator[tuple[str, Array | None]]:
    for name, of_kind in zip(POSITIONS, (_whole, _real, _real), strict=True):
        yield name, of_kind(_column(layout.array(name)))
    yield "probe", _complex(layout.array("probe"), 4)
    yield "object", _complex(layout.array("object"), 3)
    yield "object_layer_spacing_m", _real(_layer_spacing(layout))
    losses, epochs = _column(layout.array(*LOSS_VALUES)), _column(layout.array("loss_epochs"))
    losses = np.empty(0) if losses is None else losses
    yield "loss_values", _real(losses)
    yield "loss_epochs", np.arange(losses.size) if epochs is None else _whole(epochs)
    yield "opr_weights", _real(opr_weights(layout))
    yield "probe_photon_counts", _real(_column(layout.array("probe_photon_counts")))
    if not missing_of_raw(layout):
        patterns, *columns = (layout.array(name) for name in RAW_DATASETS)
        yield RAW_DATASETS[0], None if patterns is None else _native(patterns)
        for name, array, of_kind in zip(RAW_DATASETS[1:], columns, (_real, _real, _whole), strict=True):
            yield name, of_kind(_column(array))
        bad = layout.array(BAD_PIXELS)
        yield BAD_PIXELS, bad.astype(bool) if bad is not None and np.isin(bad, (0, 1)).all() else bad


def missing_of_raw(layout: Layout) -> tuple[str, ...]:
    """Return the datasets that a bundle of patterns lacks; all of them where there is no bundle."""
    return tuple(name for name in RAW_DATASETS if name not in layout.datasets)


def opr_weights(layout: Layout) -> Array | None:
    """Return the OPR weights: the root dataset, or the attribute of ``probe`` that Ptychodus 1.0 to 1.2 read."""
    weights = layout.array("opr_weights")
    attribute = layout.datasets["probe"].attrs.get("opr_weights") if "probe" in layout.datasets else None
    return np.asarray(attribute) if weights is None and attribute is not None else weights


def _layer_spacing(layout: Layout) -> Array:
    """Return the distance from each layer to the next; Ptychodus 0.7 may state one after the last layer too."""
    spacing = _column(layout.array(*LAYER_SPACING))
    if spacing is None:
        return np.empty(0)
    obj = layout.array("object")
    layers = len(obj) if obj is not None and obj.ndim == 3 else 1
    ends_outside = LAYER_SPACING[0] not in layout.datasets and spacing.shape == (layers,)
    return spacing[:-1] if ends_outside else spacing


def _column(array: Array | None) -> Array | None:
    """Return (N, 1) and (1, N), as MATLAB writes columns and rows, as (N,)."""
    return array.reshape(-1) if array is not None and array.ndim == 2 and 1 in array.shape else array


def _native(array: Array) -> Array:
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _real(array: Array | None) -> Array | None:
    return array.astype(np.float64, copy=False) if array is not None and array.dtype.kind in "iuf" else array


def _whole(array: Array | None) -> Array | None:
    """Return whole numbers of any type as int64; others stay as they are, as floats."""
    if array is None or array.dtype.kind not in "iuf":
        return array
    with np.errstate(invalid="ignore"):
        whole = array.astype(np.int64)
    return whole if np.array_equal(whole, array) else array.astype(np.float64)


def _complex(array: Array | None, rank: int) -> Array | None:
    """Return complex numbers as complex64 or complex128, with axes of length 1 in front up to ``rank``."""
    if array is None or array.dtype.kind != "c":
        return array
    known = _native(array) if array.dtype.itemsize <= 16 else array.astype(np.complex128)
    return known.reshape((1,) * (rank - known.ndim) + known.shape) if 2 <= known.ndim < rank else known


def _said_in(layout: Layout) -> Iterator[tuple[str, Any]]:
    unknown = str(layout.attribute(UNKNOWN_VALUES) or "").split(",")
    for names in (*NUMBERS, (PHOTON_FLUX,)):
        value = number_in(layout, names)
        yield names[0], None if value == 0 and (names[0] in _NEVER_ZERO or names[0] in unknown) else value
    for name in PIXEL_ATTRIBUTES:
        of_object, of_probe = layout.attribute(name, on="object"), layout.attribute(name, on="probe")
        yield f"object_{name}", _number(of_object)
        yield f"probe_{name}", _number(of_object if of_probe is None else of_probe)
    for name in CENTER_ATTRIBUTES:
        yield f"object_{name}", _number(layout.attribute(name, on="object"))
    for name in TEXTS:
        value = layout.attribute(name)
        yield name, None if value is None else str(value)
    far_field = layout.attribute("far_field")
    yield "far_field", True if far_field is None else bool(far_field)
    for name in ("unit", "original_axis_order"):
        value = layout.attribute(name, on=RAW_DATASETS[0])
        yield f"{RAW}/{name}", None if value is None else str(value)


def number_in(layout: Layout, names: tuple[str, ...]) -> float | None:
    """Return a root attribute under the first of its names that is there, as a finite number, else None."""
    value = _number(layout.attribute(*names))
    return value if isinstance(value, float) and np.isfinite(value) else None


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int | float) else value


def product_of(parts: Mapping[str, Any]) -> Product:
    """Return the product that ``parts_of`` a readable file say."""
    of_raw = {name.removeprefix(f"{RAW}/"): value for name, value in parts.items() if name.startswith(f"{RAW}/")}
    raw = RawBundle(**{"unit": "unknown", **of_raw}) if "diffraction" in of_raw else None
    return Product(
        **{name: parts[name] for name in (*POSITIONS, "probe", "object", LAYER_SPACING[0])},
        loss_epochs=parts["loss_epochs"],
        loss_values=parts["loss_values"],
        opr_weights=parts.get("opr_weights"),
        probe_photon_counts=parts.get("probe_photon_counts"),
        patterns=raw,
        metadata=ProductMetadata(**{name: parts[name] for name in ProductMetadata.model_fields if name in parts}),
    )
