"""Ptychodus products as files, HDF5 or NPZ, that every Ptychodus from 1.0 to 1.7 opens with its whole content."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.product import Product, ProductMetadata
from smalti.errors import Refused
from smalti.products.files import load_layout, save_layout
from smalti.products.finding import Finding
from smalti.products.layout import Attribute, Dataset, Layout
from smalti.products.names import (
    BAD_PIXELS,
    DATASETS,
    LOSS_VALUES,
    NUMBERS,
    PHOTON_FLUX,
    PRODUCT_DATASETS,
    RAW,
    RAW_DATASETS,
    UNKNOWN_VALUES,
)
from smalti.products.structure import layer_spacing, opr_weights, structure
from smalti.products.validate import findings

# What PtychoPINN recommends to write into an HDF5 product; no Ptychodus reads it.
_HDF5_FORMAT: dict[str, Attribute] = {"format_id": "ptychodus.product.hdf5", "format_version": "1.0"}
# A measured value is never 0 here, so a 0 says "unknown" whoever wrote it.
_NEVER_ZERO = ("detector_object_distance_m", "photon_energy_eV", "probe_photon_count", "exposure_time_s", PHOTON_FLUX)


@dataclass(frozen=True, eq=False, slots=True)
class RawBundle:
    """The patterns a product was made from, as they travel in its ``/raw_data`` group.

    Attributes:
        diffraction: (N, H, W), any real dtype, as recorded.
        unit: what ``diffraction`` holds, e.g. ``counts`` or ``amplitude``.
        xcoords, ycoords: (N,) float64, probe centre in pixels of the product's object array.
        scan_index: (N,) int64, the number of each pattern.
        original_axis_order: ``NHW``, ``HNW`` or ``HWN``: the axes before they were brought to (N, H, W).
        bad_pixels: (H, W) bool, True where the detector tells nothing, or None.
    """

    diffraction: NDArray[np.generic]
    unit: str
    xcoords: NDArray[np.float64]
    ycoords: NDArray[np.float64]
    scan_index: NDArray[np.int64]
    original_axis_order: str = "NHW"
    bad_pixels: NDArray[np.bool_] | None = None

    def parts(self) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
        """Return its arrays by name, and what is said of them in words."""
        names = ("diffraction", "xcoords", "ycoords", "scan_index", "bad_pixels")
        arrays = {name: getattr(self, name) for name in names}
        said = {"unit": self.unit, "original_axis_order": self.original_axis_order}
        return {name: array for name, array in arrays.items() if array is not None}, said


def write_product(path: Path, product: Product, raw: RawBundle | None = None) -> tuple[Finding, ...]:
    """Write a product, whole or not at all, and return what a person should know about it (warnings only).

    The name of the file says in which form: ``.h5``, ``.hdf5`` or ``.npz`` (``smalti.products.npz`` says what that has
    no place for). Equal products give equal bytes. Values that are None are written as 0, and named in
    ``unknown_values``.

    Raises:
        Refused: the product is broken: a check of ``smalti.products.validate`` finds an error; or the name ends
            otherwise.
        Unavailable: the file could not be written.
    """
    layout = layout_of(product, raw)
    found = findings(layout)
    errors = [str(finding) for finding in found if finding.severity == "error"]
    if errors:
        raise Refused(f"the product for {path} is broken, so it was not written: {'; '.join(errors)}.")
    save_layout(path, layout if path.suffix == ".npz" else replace(layout, attrs={**_HDF5_FORMAT, **layout.attrs}))
    return found


def read_product(path: Path) -> Product:
    """Read a product of any Ptychodus from 0.7 on, or of PtychoPINN; what the file does not say is None.

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
    return bundle_of(load_layout(path, (*RAW_DATASETS, BAD_PIXELS)))


def read_with_raw(path: Path) -> tuple[Product, RawBundle | None]:
    """Read a product and its ``/raw_data`` at once; see ``read_product`` and ``read_raw_bundle``."""
    layout = load_layout(path, DATASETS)
    return product_of(layout), bundle_of(layout)


def bundle_of(layout: Layout) -> RawBundle | None:
    """Return the patterns that a file carries, or None when it has none.

    Raises:
        Refused: a part of them is missing.
    """
    missing = [name for name in RAW_DATASETS if name not in layout.datasets]
    if len(missing) == len(RAW_DATASETS):
        return None
    if missing:
        lacking = ", ".join(missing)
        raise Refused(f"{layout.source} has a {RAW} group without {lacking}; write the whole bundle or none.")
    diffraction, xcoords, ycoords, scan_index = (layout.datasets[name].array for name in RAW_DATASETS)
    attrs = layout.datasets[RAW_DATASETS[0]].attrs
    unit, order = str(attrs.get("unit", "unknown")), str(attrs.get("original_axis_order", "NHW"))
    bad = layout.array(BAD_PIXELS)
    return RawBundle(diffraction, unit, xcoords, ycoords, scan_index, order, None if bad is None else bad.astype(bool))


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
    if product.probe_photon_counts is not None:
        datasets["probe_photon_counts"] = Dataset(product.probe_photon_counts.astype(np.float64))
    return _with_raw(Layout(_root_attributes(product.metadata), datasets), raw)


def _root_attributes(metadata: ProductMetadata) -> dict[str, Attribute]:
    attrs: dict[str, Attribute] = {
        "name": metadata.name,
        "comments": metadata.comments,
    }
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


def _object_attributes(metadata: ProductMetadata) -> dict[str, Attribute]:
    return {
        "center_x_m": metadata.object_center_x_m,
        "center_y_m": metadata.object_center_y_m,
        "pixel_width_m": metadata.object_pixel_width_m,
        "pixel_height_m": metadata.object_pixel_height_m,
    }


def _probe_attributes(metadata: ProductMetadata, weights: NDArray[np.float64] | None) -> dict[str, Attribute]:
    """Return the probe's attributes, with the OPR weights, which Ptychodus 1.0 to 1.2 look for here."""
    pixel: dict[str, Attribute] = {
        "pixel_width_m": metadata.probe_pixel_width_m,
        "pixel_height_m": metadata.probe_pixel_height_m,
    }
    return pixel if weights is None else pixel | {"opr_weights": weights}


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
    if raw.bad_pixels is not None:
        datasets[BAD_PIXELS] = Dataset(raw.bad_pixels.astype(bool))
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
    weights, counts = opr_weights(layout), layout.array("probe_photon_counts")
    return Product(
        probe_position_x_m=layout.datasets["probe_position_x_m"].array.astype(np.float64),
        probe_position_y_m=layout.datasets["probe_position_y_m"].array.astype(np.float64),
        probe_position_indexes=layout.datasets["probe_position_indexes"].array.astype(np.int64),
        probe=probe.reshape((1,) * (4 - probe.ndim) + probe.shape),
        object=obj.reshape((1,) * (3 - obj.ndim) + obj.shape),
        object_layer_spacing_m=layer_spacing(layout).astype(np.float64),
        loss_epochs=np.arange(len(losses)) if epochs is None else epochs.astype(np.int64),
        loss_values=losses.astype(np.float64),
        opr_weights=None if weights is None else weights.astype(np.float64),
        metadata=_metadata_of(layout),
        probe_photon_counts=None if counts is None else counts.astype(np.float64),
    )


def _metadata_of(layout: Layout) -> ProductMetadata:
    unknown = str(layout.attrs.get(UNKNOWN_VALUES, "")).split(",")
    numbers = {names[0]: layout.number(*names) for names in (*NUMBERS, (PHOTON_FLUX,))}
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
