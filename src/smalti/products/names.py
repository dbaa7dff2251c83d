"""The names a product file uses, the new one first where a release renamed it.

Source: ``ProductFileKeys`` of ptychodus 1.7.0 and the releases since 1.0; ``/raw_data`` is PtychoPINN's bundle.
"""

from __future__ import annotations

POSITIONS = ("probe_position_indexes", "probe_position_x_m", "probe_position_y_m")
LOSS_VALUES = ("loss_values", "costs")
RAW = "raw_data"
RAW_DATASETS = tuple(f"{RAW}/{name}" for name in ("diffraction", "xcoords", "ycoords", "scan_index"))
BAD_PIXELS = f"{RAW}/bad_pixels"  # ours, where the scan has them
LAYER_SPACING = ("object_layer_spacing_m", "object_layer_distance_m")
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
DATASETS = (*PRODUCT_DATASETS, *RAW_DATASETS, BAD_PIXELS)

DISTANCE = ("detector_object_distance_m",)
ENERGY = ("photon_energy_eV", "probe_energy_eV")
ATTENUATION = ("mass_attenuation_m2_per_kg", "mass_attenuation_m2_kg")
# Root attributes that are one number, each under every name it has had.
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
OBJECT_ATTRIBUTES = ("center_x_m", "center_y_m", "pixel_width_m", "pixel_height_m")
# Attributes that are one number or text, by the dataset they are on.
ATTRIBUTES = {
    "probe": ("pixel_width_m", "pixel_height_m"),
    "object": OBJECT_ATTRIBUTES,
    f"{RAW}/diffraction": ("axis_canonical", "original_axis_order", "unit"),
}
POLARIZATIONS = ("left_circular", "right_circular")
# The format demands numbers; this root attribute of ours names, with commas, those whose 0 means "unknown".
UNKNOWN_VALUES = "unknown_values"
