"""A Ptychodus product in memory, the patterns it was made from, and the tree it is stored as."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from smalti.store.values import Tree

_RAW = "raw_data"


class ProductMetadata(BaseModel):
    """The root attributes of a Ptychodus 1.7 product, under its own names; ``None`` means unknown.

    ``probe_photons_per_s`` is of Ptychodus 0.7, which stated a flux where later releases count photons.

    Source: field table of ``ptychodus/api/io.py`` 1.7.0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    comments: str = ""
    detector_object_distance_m: float | None = None
    photon_energy_eV: float | None = None
    probe_photon_count: float | None = None
    probe_photons_per_s: float | None = None
    exposure_time_s: float | None = None
    mass_attenuation_m2_per_kg: float | None = None
    tomography_angle_deg: float | None = None
    focus_object_distance_m: float | None = None
    tilt_angle_deg: float | None = None
    far_field: bool = True
    polarization: str | None = None
    probe_pixel_width_m: float
    probe_pixel_height_m: float
    object_pixel_width_m: float
    object_pixel_height_m: float
    object_center_x_m: float
    object_center_y_m: float


@dataclass(frozen=True, eq=False, slots=True)
class RawBundle:
    """The patterns a product was made from, as they travel in its ``/raw_data`` group.

    Attributes:
        diffraction: (N, H, W), any real dtype.
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

    def tree(self) -> Tree:
        """Return it as a tree of its arrays, and of what is said of them in words."""
        names = ("diffraction", "xcoords", "ycoords", "scan_index", "bad_pixels")
        arrays = {name: getattr(self, name) for name in names}
        attrs = {"unit": self.unit, "original_axis_order": self.original_axis_order}
        return Tree({name: array for name, array in arrays.items() if array is not None}, attrs)


@dataclass(frozen=True, eq=False, slots=True)
class Product:
    """What Ptychodus calls a product: positions, probe, object and loss history in metres.

    Attributes:
        probe_position_x_m, probe_position_y_m: (N,) float64, probe centre, m; ``to_pixels`` says which pixel of the
            object that is.
        probe_position_indexes: (N,) int64, the number of the pattern taken at each position; Ptychodus averages
            positions that share one.
        probe: (C, I, H, W) complex, C coherent (OPR) and I incoherent modes.
        object: (L, M, K) complex, L layers.
        object_layer_spacing_m: (L - 1,) float64, m.
        loss_epochs, loss_values: (E,) int64 and float64.
        opr_weights: (N, C) float64 or None.
        probe_photon_counts: (N,) float64, photons at each position (Ptychodus 1.6 and later), or None.
        patterns: what it was made from, where a file carries it, or None.
        metadata: everything else.
        contract: the contract and version it passed, e.g. ``product/2``; "" when it was not validated.
    """

    probe_position_x_m: NDArray[np.float64]
    probe_position_y_m: NDArray[np.float64]
    probe_position_indexes: NDArray[np.int64]
    probe: NDArray[np.complexfloating]
    object: NDArray[np.complexfloating]
    object_layer_spacing_m: NDArray[np.float64]
    loss_epochs: NDArray[np.int64]
    loss_values: NDArray[np.float64]
    opr_weights: NDArray[np.float64] | None
    metadata: ProductMetadata
    probe_photon_counts: NDArray[np.float64] | None = None
    patterns: RawBundle | None = None
    contract: str = ""

    def _repr_html_(self) -> str:
        from smalti.notebook import shown

        return shown(self)


def to_metres(pixels: NDArray[np.float64], size: int, pixel_m: float, center_m: float) -> NDArray[np.float64]:
    """Return world coordinates in m of positions in pixels of an axis of ``size`` pixels; 0 is the first's centre.

    The object's centre lies at pixel (n - 1) / 2 of an n-pixel axis, +x is increasing column, +y increasing row.
    Releases of Ptychodus before 1.6 put it at n / 2, and no file says which release wrote it: what they reconstructed
    lies half a pixel from where it is read, as in Ptychodus.

    Source: ``ObjectGeometry.map_coordinates_*`` of ptychodus 1.6.0 and later.

    >>> to_metres(np.array([0.0, 9.5]), size=20, pixel_m=2.0, center_m=100.0)
    array([ 81., 100.])
    """
    # The pixels come first, so that where the first pixel lies at 0 nothing is added and metres stay what they were.
    return pixels * pixel_m + (center_m - (size - 1) / 2 * pixel_m)


def to_pixels(metres: NDArray[np.float64], size: int, pixel_m: float, center_m: float) -> NDArray[np.float64]:
    """Return positions in pixels of an axis of ``size`` pixels: the inverse of ``to_metres``."""
    return (metres - center_m) / pixel_m + (size - 1) / 2


class ProductCodec:
    """Product <-> tree; the children keep the names of the datasets in a file, ``raw_data/diffraction`` too."""

    type_name = "product"
    python_type = Product

    def to_tree(self, product: Product) -> Tree:
        others = ("metadata", "contract", "patterns")
        arrays = {f.name: getattr(product, f.name) for f in fields(product) if f.name not in others}
        present: dict[str, Any] = {name: value for name, value in arrays.items() if value is not None}
        attrs = product.metadata.model_dump(mode="json", exclude_none=True)
        attrs |= {"contract": product.contract} if product.contract else {}
        if product.patterns is not None:
            raw = product.patterns.tree()
            present |= {f"{_RAW}/{name}": array for name, array in raw.children.items()}
            attrs[_RAW] = raw.attrs
        return Tree(present, attrs, self.type_name)

    def from_tree(self, tree: Tree) -> Product:
        attrs = dict(tree.attrs)
        contract, said = attrs.pop("contract", ""), attrs.pop(_RAW, None)
        raw = {name: array for name, array in tree.children.items() if name.startswith(f"{_RAW}/")}
        arrays = {name: array for name, array in tree.children.items() if name not in raw}
        of_raw = {name.removeprefix(f"{_RAW}/"): array for name, array in raw.items()}
        patterns = None if said is None else RawBundle(**of_raw, **said)
        metadata = ProductMetadata.model_validate(attrs)
        return Product(**{"opr_weights": None, **arrays}, metadata=metadata, patterns=patterns, contract=contract)
