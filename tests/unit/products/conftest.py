"""A small scan, its reconstruction and a sound product of two layers with OPR weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from smalti.codecs.product import Product, ProductMetadata
from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan, ScanMetadata, Stated
from smalti.products import ExportMeta, export_npz

PIXEL_M = 4e-8
Arrays = dict[str, Any]
KNOWN = ExportMeta(name="run", detector_distance_m=2.0, probe_energy_eV=8000.0, object_pixel_width_m=4e-8,
                   object_pixel_height_m=4e-8)  # fmt: skip
CARD = {"name": "star", "source": "a beamline", "version": "1", "licence": "CC0-1.0"}


def _complex(random: np.random.Generator, *shape: int) -> np.ndarray:
    return (random.normal(size=shape) + 1j * random.normal(size=shape)).astype(np.complex64)


@pytest.fixture
def product() -> Product:
    """Nine positions, probe 12 px of two coherent modes, object 40 x 44 px of two layers, its centre far away."""
    random = np.random.default_rng(0)
    center_x_m, center_y_m = 1e-5, -2e-5
    steps = np.array([-10.0, 0.0, 10.0]) * PIXEL_M
    y, x = (axis.ravel() for axis in np.meshgrid(center_y_m + steps, center_x_m + steps, indexing="ij"))
    return Product(
        probe_position_x_m=x,
        probe_position_y_m=y,
        probe_position_indexes=np.arange(9) + 3,
        probe=_complex(random, 2, 1, 12, 12),
        object=_complex(random, 2, 40, 44),
        object_layer_spacing_m=np.array([1e-6]),
        loss_epochs=np.arange(5),
        loss_values=np.geomspace(1, 0.1, 5),
        opr_weights=random.normal(size=(9, 2)),
        probe_photon_counts=random.uniform(1e5, 1e6, 9),
        metadata=ProductMetadata(
            name="Stern α",
            comments="two lines\nof words",
            detector_object_distance_m=1.9,
            photon_energy_eV=8800.0,
            probe_photon_count=4.6e5,
            exposure_time_s=0.1,
            mass_attenuation_m2_per_kg=0.25,
            tomography_angle_deg=12.5,
            focus_object_distance_m=None,
            tilt_angle_deg=0.0,
            polarization="left_circular",
            probe_pixel_width_m=PIXEL_M,
            probe_pixel_height_m=PIXEL_M,
            object_pixel_width_m=PIXEL_M,
            object_pixel_height_m=PIXEL_M,
            object_center_x_m=center_x_m,
            object_center_y_m=center_y_m,
        ),
    )


@pytest.fixture
def scan() -> Scan:
    """Four patterns of 8 px whose energy is measured and whose distance is assumed."""
    return Scan(
        diffraction=np.sqrt(np.arange(4 * 8 * 8, dtype=np.float32)).reshape(4, 8, 8),
        xcoords=np.array([10.0, 15.5, 10.0, 15.5]),
        ycoords=np.array([20.0, 20.0, 26.25, 26.25]),
        probe_guess=None,
        object_guess=None,
        scan_index=np.array([7, 5, 6, 4]),
        metadata=ScanMetadata(
            name="star",
            title="A Siemens star",
            source="a beamline",
            licence="BSD-3-Clause",
            photon_energy_eV=Stated(value=8000.0),
            detector_distance_m=Stated(value=2.0, assumed=True, note="usual at this beamline"),
            detector_pixel_size_m=Stated(value=75e-6),
        ),
    )


@pytest.fixture
def reconstruction(scan: Scan) -> Reconstruction:
    """The scan's object of 24 x 26 px, whose first pixel is scan pixel (4.25, 12)."""
    random = np.random.default_rng(1)
    return Reconstruction(
        object=_complex(random, 24, 26),
        probe=_complex(random, 2, 8, 8),
        xcoords=scan.xcoords - 4.25,
        ycoords=scan.ycoords - 12.0,
        origin_x=4.25,
        origin_y=12.0,
        loss=np.array([3.0, 2.0, 1.0]),
        metrics={},
        config={},
    )


@pytest.fixture
def arrays() -> Arrays:
    random = np.random.default_rng(3)
    row, column = np.mgrid[:16, :16] - 8
    return {
        "diffraction": random.poisson(50 * np.exp(-(row**2 + column**2) / 8), (5, 16, 16)).astype(np.uint16),
        "probeGuess": np.ones((16, 16), np.complex64),
        "objectGuess": np.ones((60, 70), np.complex64),
        "xcoords": random.uniform(10, 26, 5),
        "ycoords": random.uniform(10, 26, 5),
        "scan_index": np.zeros(5, np.int64),
    }


@pytest.fixture
def convert(tmp_path: Path, arrays: Arrays) -> Callable[..., tuple[Any, Path]]:
    def run(meta: ExportMeta = KNOWN, include: bool = True, card: dict[str, Any] | None = None) -> tuple[Any, Path]:
        np.savez(tmp_path / "scan.npz", **arrays)
        if card is not None:
            (tmp_path / "scan.npz.card.yaml").write_text(yaml.safe_dump({**CARD, **card}))
        return export_npz(tmp_path / "scan.npz", tmp_path / "p.h5", meta, include), tmp_path / "p.h5"

    return run
