"""A root where files arrive, a product file from elsewhere, and the main job as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from smalti import Product
from smalti.codecs.product import ProductMetadata
from smalti.products import write_product
from tests.pipeline.arrival_place import Place

PIXEL_M = 4e-8
PROJECT = Path(__file__).parents[2]
RunOnce = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    (tmp_path / "data" / "raw").mkdir(parents=True)
    with dg.instance_for_test() as instance:
        yield Place(tmp_path, instance)


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


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root and a Dagster home of their own."""
    folder = tmp_path_factory.mktemp("root")
    (folder / ".dagster").mkdir()
    (folder / ".dagster" / "dagster.yaml").write_text((PROJECT / "deploy" / "local" / "dagster.yaml").read_text())
    return folder


@pytest.fixture(scope="module")
def run_once(home: Path) -> RunOnce:
    """Run ``make run``'s program in that home, with these arguments and environment variables beside ours."""

    def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "SMALTI_ROOT": str(home),
            "DAGSTER_HOME": str(home / ".dagster"),
            "MLX_DISABLE_COMPILE": "1",  # g++ would take longer than these small runs
            **variables,
        }
        command = [sys.executable, "-m", "jobs.run_once", *map(str, arguments)]
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=500, check=False
        )

    return run
