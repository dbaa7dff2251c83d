"""What a product file holds, whatever its form: datasets and attributes under the names of every Ptychodus release.

Source: ``ProductFileKeys`` of ptychodus 1.7.0 and the releases since 0.7; ``/raw_data`` is PtychoPINN's bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.contracts.violation import Violation

Attribute = str | bool | int | float | np.generic | NDArray[Any]

POSITIONS = ("probe_position_indexes", "probe_position_x_m", "probe_position_y_m")
LOSS_VALUES = ("loss_values", "costs")
LAYER_SPACING = ("object_layer_spacing_m", "object_layer_distance_m")
REQUIRED = (*POSITIONS, "probe", "object")
PRODUCT_DATASETS = (
    *POSITIONS,
    "probe",
    "opr_weights",
    "object",
    *LAYER_SPACING,
    "loss_epochs",
    *LOSS_VALUES,
    "probe_photon_counts",
)
RAW = "raw_data"
RAW_DATASETS = tuple(f"{RAW}/{name}" for name in ("diffraction", "xcoords", "ycoords", "scan_index"))
BAD_PIXELS = f"{RAW}/bad_pixels"  # ours, where the scan has them
DATASETS = (*PRODUCT_DATASETS, *RAW_DATASETS, BAD_PIXELS)
# Without these nobody knows what was reconstructed; a file is refused where one of them cannot be read.
ESSENTIAL = (*REQUIRED, "opr_weights", *LAYER_SPACING)

DISTANCE = ("detector_object_distance_m",)
ENERGY = ("photon_energy_eV", "probe_energy_eV")
ATTENUATION = ("mass_attenuation_m2_per_kg", "mass_attenuation_m2_kg")
# Root attributes that are one number, each under every name it has had, the new one first.
NUMBERS = (
    DISTANCE,
    ENERGY,
    ("probe_photon_count",),
    ("exposure_time_s",),
    ATTENUATION,
    ("tomography_angle_deg",),
    ("focus_object_distance_m",),
    ("tilt_angle_deg",),
)
PHOTON_FLUX = "probe_photons_per_s"  # Ptychodus 0.7, which did not count photons
# The format demands numbers; this root attribute of ours names, with commas, those whose 0 means "unknown".
UNKNOWN_VALUES = "unknown_values"
TEXTS = ("name", "comments", "polarization")
ROOT_ATTRIBUTES = (*(name for names in NUMBERS for name in names), PHOTON_FLUX, *TEXTS, "far_field", UNKNOWN_VALUES)
PIXEL_ATTRIBUTES = ("pixel_width_m", "pixel_height_m")
CENTER_ATTRIBUTES = ("center_x_m", "center_y_m")
# Attributes that are one number or text, by the dataset they are on.
ATTRIBUTES = {
    "probe": PIXEL_ATTRIBUTES,
    "object": (*CENTER_ATTRIBUTES, *PIXEL_ATTRIBUTES),
    RAW_DATASETS[0]: ("axis_canonical", "original_axis_order", "unit"),
}


@dataclass(frozen=True, eq=False, slots=True)
class Dataset:
    """One array of the file, with its attributes; ``compressed`` asks for a smaller file."""

    array: NDArray[Any]
    attrs: Mapping[str, Attribute] = field(default_factory=dict)
    compressed: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Layout:
    """What a product file holds.

    Attributes:
        attrs: root attributes by name.
        datasets: datasets by path, ``probe`` or ``raw_data/diffraction``, in the order they are written.
        links: further names of datasets, path -> path.
        unread: why datasets that are there, and that a product does without, were not read; warnings.
    """

    attrs: Mapping[str, Attribute]
    datasets: Mapping[str, Dataset]
    links: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[Violation, ...] = ()

    def array(self, *names: str) -> NDArray[Any] | None:
        """Return the array of the first of these datasets that is there, else None."""
        return next((self.datasets[name].array for name in names if name in self.datasets), None)

    def attribute(self, *names: str, on: str | None = None) -> Any:
        """Return the first of these attributes (of the root, or of the dataset ``on``), else None.

        What is one number is returned as a plain Python number, in an array of one too.
        """
        dataset = self.datasets.get(on) if on else None
        attrs = (dataset.attrs if dataset else {}) if on else self.attrs
        value = next((attrs[name] for name in names if name in attrs), None)
        if isinstance(value, np.ndarray | np.generic) and value.size == 1:
            return value.item()
        return value


def little_endian(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array in C order and little-endian, so that equal arrays are written as equal bytes."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)
