"""Ptychodus products as HDF5: one file that every Ptychodus from 1.0 to 1.7 opens with its whole content."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.product import Product, ProductMetadata
from smalti.errors import Refused
from smalti.products.layout import Attribute, Dataset, Layout, load_layout, save_layout
from smalti.products.names import LOSS_VALUES, NUMBERS, PRODUCT_DATASETS, RAW, RAW_DATASETS, UNKNOWN_VALUES
from smalti.products.validate import Finding, findings, opr_weights, structure

# HDF5 keeps an attribute in the object header, which ends at 64 kB.
_LARGEST_ATTRIBUTE_NBYTES = 60_000
# A measured value is never 0 here, so a 0 says "unknown" whoever wrote it.
_NEVER_ZERO = ("detector_object_distance_m", "photon_energy_eV", "probe_photon_count", "exposure_time_s")


@dataclass(frozen=True, eq=False, slots=True)
class RawBundle:
    """The patterns a product was made from, as they travel in its ``/raw_data`` group.

    Attributes:
        diffraction: (N, H, W), any real dtype, as recorded.
        unit: what ``diffraction`` holds, e.g. ``counts`` or ``amplitude``.
        xcoords, ycoords: (N,) float64, probe centre in pixels of the product's object array.
        scan_index: (N,) int64, the number of each pattern.
        original_axis_order: ``NHW``, ``HNW`` or ``HWN``: the axes before they were brought to (N, H, W).
    """

    diffraction: NDArray[np.generic]
    unit: str
    xcoords: NDArray[np.float64]
    ycoords: NDArray[np.float64]
    scan_index: NDArray[np.int64]
    original_axis_order: str = "NHW"


def write_product(path: Path, product: Product, raw: RawBundle | None = None) -> tuple[Finding, ...]:
    """Write a product, whole or not at all, and return what a person should know about it (warnings only).

    Equal products give equal bytes. Values that are None are written as 0, and named in ``unknown_values``.

    Raises:
        Refused: the product is broken: a check of ``smalti.products.validate`` finds an error.
        Unavailable: the file could not be written.
    """
    layout = layout_of(product, raw)
    found = findings(layout)
    errors = [str(finding) for finding in found if finding.severity == "error"]
    if errors:
        raise Refused(f"the product for {path} is broken, so it was not written: {'; '.join(errors)}.")
    save_layout(path, layout)
    return found


def read_product(path: Path) -> Product:
    """Read a product of any Ptychodus from 1.0 on, or of PtychoPINN; what the file does not say is None.

    Raises:
        NotFound: there is no such file.
        Refused: it is no product, or one whose parts do not fit; every fault is named.
    """
    return product_of(load_layout(path, PRODUCT_DATASETS))


def read_raw_bundle(path: Path) -> RawBundle | None:
    """Read the ``/raw_data`` group of a product file, or None when it has none.

    Raises:
        NotFound, Refused: as ``read_product``; also when a part of the group is missing.
    """
    layout = load_layout(path, RAW_DATASETS)
    if not layout.datasets:
        return None
    missing = [name for name in RAW_DATASETS if name not in layout.datasets]
    if missing:
        raise Refused(f"{path} has a {RAW} group without {', '.join(missing)}; write the whole bundle or none.")
    diffraction, xcoords, ycoords, scan_index = (layout.datasets[name].array for name in RAW_DATASETS)
    attrs = layout.datasets[RAW_DATASETS[0]].attrs
    unit, order = str(attrs.get("unit", "unknown")), str(attrs.get("original_axis_order", "NHW"))
    return RawBundle(diffraction, unit, xcoords, ycoords, scan_index, order)


def layout_of(product: Product, raw: RawBundle | None = None) -> Layout:
    """Return the file a product is written as: new and old names side by side, so that no reader misses a part."""
    weights = None if product.opr_weights is None else product.opr_weights.astype(np.float64)
    datasets = {
        "probe_position_indexes": Dataset(product.probe_position_indexes.astype(np.int64)),
        "probe_position_x_m": Dataset(product.probe_position_x_m.astype(np.float64)),
        "probe_position_y_m": Dataset(product.probe_position_y_m.astype(np.float64)),
        "probe": Dataset(product.probe, _probe_attributes(product.metadata, weights)),
        "object": Dataset(product.object, _object_attributes(product.metadata)),
        "object_layer_spacing_m": Dataset(product.object_layer_spacing_m.astype(np.float64)),
        "loss_epochs": Dataset(product.loss_epochs.astype(np.int64)),
        **{name: Dataset(product.loss_values.astype(np.float64)) for name in LOSS_VALUES},
    }
    if weights is not None:
        datasets["opr_weights"] = Dataset(weights)
    return _with_raw(Layout(_root_attributes(product.metadata), datasets), raw)


def _root_attributes(metadata: ProductMetadata) -> dict[str, Attribute]:
    attrs: dict[str, Attribute] = {
        "format_id": "ptychodus.product.hdf5",
        "format_version": "1.0",
        "name": metadata.name,
        "comments": metadata.comments,
    }
    numbers = {names: getattr(metadata, names[0]) for names in NUMBERS}
    for names, value in numbers.items():
        attrs |= dict.fromkeys(names, 0.0 if value is None else float(value))
    attrs[UNKNOWN_VALUES] = ",".join(names[0] for names, value in numbers.items() if value is None)
    attrs["far_field"] = metadata.far_field
    if metadata.polarization is not None:
        attrs["polarization"] = metadata.polarization
    return attrs


def _object_attributes(metadata: ProductMetadata) -> dict[str, Attribute]:
    return {
        "center_x_m": metadata.object_center_x_m,
        "center_y_m": metadata.object_center_y_m,
        "pixel_width_m": metadata.object_pixel_width_m,
        "pixel_height_m": metadata.object_pixel_height_m,
    }


def _probe_attributes(metadata: ProductMetadata, weights: NDArray[np.float64] | None) -> dict[str, Attribute]:
    """Return the probe's attributes, with the OPR weights for Ptychodus 1.0 to 1.2 where they fit."""
    pixel: dict[str, Attribute] = {
        "pixel_width_m": metadata.probe_pixel_width_m,
        "pixel_height_m": metadata.probe_pixel_height_m,
    }
    if weights is None or weights.nbytes > _LARGEST_ATTRIBUTE_NBYTES:
        return pixel
    return pixel | {"opr_weights": weights}


def _with_raw(layout: Layout, raw: RawBundle | None) -> Layout:
    if raw is None:
        return layout
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
    links = {f"{RAW}/probeGuess": "probe", f"{RAW}/objectGuess": "object"}
    return Layout({**layout.attrs, "bundle_version": "1.0", "contains_raw_data": 1}, datasets, links)


def product_of(layout: Layout) -> Product:
    """Return the product a file holds, whichever release's names it uses.

    Raises:
        Refused: parts are missing or do not fit; every fault is named.
    """
    broken = structure(layout)
    if broken:
        raise Refused(f"{layout.source} is no readable product: {'; '.join(map(str, broken))}.")
    probe, obj = layout.datasets["probe"].array, layout.datasets["object"].array
    losses, epochs = layout.array(*LOSS_VALUES), layout.array("loss_epochs")
    losses = np.empty(0) if losses is None else losses
    spacing, weights = layout.array("object_layer_spacing_m"), opr_weights(layout)
    return Product(
        probe_position_x_m=layout.datasets["probe_position_x_m"].array.astype(np.float64),
        probe_position_y_m=layout.datasets["probe_position_y_m"].array.astype(np.float64),
        probe_position_indexes=layout.datasets["probe_position_indexes"].array.astype(np.int64),
        probe=probe.reshape((1,) * (4 - probe.ndim) + probe.shape),
        object=obj.reshape((1,) * (3 - obj.ndim) + obj.shape),
        object_layer_spacing_m=np.empty(0) if spacing is None else spacing.astype(np.float64),
        loss_epochs=np.arange(len(losses)) if epochs is None else epochs.astype(np.int64),
        loss_values=losses.astype(np.float64),
        opr_weights=None if weights is None else weights.astype(np.float64),
        metadata=_metadata_of(layout),
    )


def _metadata_of(layout: Layout) -> ProductMetadata:
    unknown = str(layout.attrs.get(UNKNOWN_VALUES, "")).split(",")
    numbers = {names[0]: layout.number(*names) for names in NUMBERS}
    known = {
        name: value
        for name, value in numbers.items()
        if value is not None and not (value == 0 and (name in _NEVER_ZERO or name in unknown))
    }
    pixels = {
        f"{on}_{name}": layout.number(name, on=on if name in layout.datasets[on].attrs else "object")
        for on in ("probe", "object")
        for name in ("pixel_width_m", "pixel_height_m")
    }
    center = {f"object_center_{axis}_m": layout.number(f"center_{axis}_m", on="object") for axis in "xy"}
    texts = {name: str(layout.attrs[name]) for name in ("name", "comments", "polarization") if name in layout.attrs}
    far_field = bool(layout.attrs.get("far_field", True))
    return ProductMetadata.model_validate({**texts, **known, **pixels, **center, "far_field": far_field})
