"""A product file from elsewhere, for what arrives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smalti import Product
from smalti.codecs.product import ProductMetadata
from smalti.products import write_product

PIXEL_M = 4e-8


@pytest.fixture(scope="session")
def product_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine positions, a probe of 12 px, an object of 40 x 44 px, written by no run of this project."""
    steps = np.array([-10.0, 0.0, 10.0]) * PIXEL_M
    y, x = (axis.ravel() for axis in np.meshgrid(steps, steps, indexing="ij"))
    sizes = dict.fromkeys(
        ("probe_pixel_width_m", "probe_pixel_height_m", "object_pixel_width_m", "object_pixel_height_m"), PIXEL_M
    )
    product = Product(
        probe_position_x_m=x,
        probe_position_y_m=y,
        probe_position_indexes=np.arange(9),
        probe=np.ones((1, 1, 12, 12), np.complex64),
        object=np.ones((1, 40, 44), np.complex64),
        object_layer_spacing_m=np.array([]),
        loss_epochs=np.arange(5),
        loss_values=np.geomspace(1, 0.1, 5),
        opr_weights=np.ones((9, 1)),
        probe_photon_counts=np.full(9, 1e5),
        metadata=ProductMetadata(
            name="elsewhere",
            comments="",
            detector_object_distance_m=1.9,
            photon_energy_eV=8800.0,
            probe_photon_count=1e5,
            exposure_time_s=0.1,
            mass_attenuation_m2_per_kg=None,
            tomography_angle_deg=0.0,
            focus_object_distance_m=None,
            tilt_angle_deg=0.0,
            polarization="left_circular",
            object_center_x_m=0.0,
            object_center_y_m=0.0,
            **sizes,
        ),
    )
    path = tmp_path_factory.mktemp("product") / "product.h5"
    write_product(path, product)
    return path
