"""A Ptychodus product in memory, and the tree it is stored as."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from smalti.store.values import Tree


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
class Product:
    """What Ptychodus calls a product: positions, probe, object and loss history in metres.

    Attributes:
        probe_position_x_m, probe_position_y_m: (N,) float64, probe centre, m; the object's pixel
            (x, y) lies at ``object_center + (index - (size - 1) / 2) * pixel``.
        probe_position_indexes: (N,) int64, unique: the number of the pattern taken at each position.
        probe: (C, I, H, W) complex, C coherent (OPR) and I incoherent modes.
        object: (L, M, K) complex, L layers.
        object_layer_spacing_m: (L - 1,) float64, m.
        loss_epochs, loss_values: (E,) int64 and float64.
        opr_weights: (N, C) float64 or None.
        probe_photon_counts: (N,) float64, photons at each position (Ptychodus 1.6 and later), or None.
        metadata: everything else.
        contract: the contract and version it passed, e.g. ``product/1``; "" when nobody judged it.
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
    contract: str = ""


class ProductCodec:
    """Product <-> tree; the children keep Ptychodus' dataset names."""

    type_name = "product"
    python_type = Product

    def to_tree(self, product: Product) -> Tree:
        arrays = {f.name: getattr(product, f.name) for f in fields(product) if f.name not in ("metadata", "contract")}
        present = {name: value for name, value in arrays.items() if value is not None}
        attrs = product.metadata.model_dump(mode="json", exclude_none=True)
        return Tree(present, attrs | ({"contract": product.contract} if product.contract else {}), self.type_name)

    def from_tree(self, tree: Tree) -> Product:
        attrs = dict(tree.attrs)
        contract = attrs.pop("contract", "")
        metadata = ProductMetadata.model_validate(attrs)
        return Product(**{"opr_weights": None, **tree.children}, metadata=metadata, contract=contract)
