"""The real Ptychodus 1.7.0 opens what is written here and means the same by it; what it writes is read here."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalti.codecs.product import Product, ProductMetadata
from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan, ScanMetadata, Stated
from smalti.products import (
    product_from_reconstruction,
    raw_bundle_of,
    read_product,
    validate_product,
    write_product,
)

REASON = "Ptychodus is not installed; pip install --no-deps -r requirements-interop.txt"
io = pytest.importorskip("ptychodus.api.io", reason=REASON)

PIXEL_M = 2e-8
N, PROBE, HEIGHT, WIDTH = 12, 16, 70, 64


def complex_array(*shape: int) -> np.ndarray:
    random = np.random.default_rng(4)
    return (random.normal(size=shape) + 1j * random.normal(size=shape)).astype(np.complex64)


@pytest.fixture
def scan() -> Scan:
    random = np.random.default_rng(5)
    return Scan(
        diffraction=np.ones((N, PROBE, PROBE), np.float32),
        xcoords=random.uniform(100, 140, N),
        ycoords=random.uniform(-30, 10, N),
        probe_guess=None,
        object_guess=None,
        scan_index=random.permutation(N) + 100,
        metadata=ScanMetadata(
            name="star",
            photon_energy_eV=Stated(value=8800.0),
            detector_distance_m=Stated(value=1.9, assumed=True),
            object_pixel_size_m=Stated(value=PIXEL_M),
            exposure_time_s=Stated(value=0.05),
        ),
    )


@pytest.fixture
def reconstruction(scan: Scan) -> Reconstruction:
    """The object's first pixel is scan pixel (88.5, -42.25), far from the scan's origin."""
    return Reconstruction(
        object=complex_array(HEIGHT, WIDTH),
        probe=complex_array(3, PROBE, PROBE),
        xcoords=scan.xcoords - 88.5,
        ycoords=scan.ycoords + 42.25,
        origin_x=88.5,
        origin_y=-42.25,
        loss=np.geomspace(2, 1, 7),
        metrics={},
        config={},
    )


def warnings_of(path: Path, loaded: Any) -> list[str]:
    """Return what is semantically wrong with a product Ptychodus loaded without complaint."""
    return [*_misunderstandings(loaded), *_misfits(path)]


def _misunderstandings(loaded: Any) -> Iterator[str]:
    positions, probes, geometry = loaded.probe_positions, loaded.probes, loaded.object_.get_geometry()
    indexes = positions.get_indexes()
    if len(np.unique(indexes)) != len(indexes):
        yield "positions of one index will be averaged"
    footprint = {
        "x": (geometry.map_probe_positions_to_object_x_px(positions), geometry.width_px, probes.width_px / 2),
        "y": (geometry.map_probe_positions_to_object_y_px(positions), geometry.height_px, probes.height_px / 2),
    }
    for axis, (pixels, size, half_probe) in footprint.items():
        if pixels.min() < half_probe - 1 or pixels.max() > size - half_probe + 1:
            yield f"the probe leaves the object along {axis}"
    if not loaded.losses:
        yield "no losses"
    if not (loaded.metadata.photon_energy_eV > 0 and loaded.metadata.detector_distance_m > 0):
        yield "no energy or distance"
    if not np.isfinite(loaded.metadata.photon_wavelength_m):
        yield "no wavelength"
    if probes.get_pixel_geometry() != loaded.object_.get_pixel_geometry():
        yield "probe and object are sampled differently"


def _misfits(path: Path) -> Iterator[str]:
    with h5py.File(path) as file:
        names = ("probe_position_indexes", "probe_position_x_m", "probe_position_y_m")
        if {file[name].shape for name in names} != {(N,)}:
            yield "lengths differ"
        for name in (*names, "probe", "object", "loss_values", "opr_weights", "object_layer_spacing_m"):
            if name in file and not np.isfinite(file[name][()]).all():
                yield f"{name} is not finite"
        if not all(np.iscomplexobj(file[name][()]) for name in ("probe", "object")):
            yield "probe or object is not complex"
        if "opr_weights" in file and file["opr_weights"].shape != (N, file["probe"].shape[0]):
            yield "opr_weights do not fit"
        if len(file["object_layer_spacing_m"]) + 1 != file["object"].shape[0]:
            yield "layer spacing does not fit"
        pairs = (
            ("photon_energy_eV", "probe_energy_eV"),
            ("mass_attenuation_m2_per_kg", "mass_attenuation_m2_kg"),
        )
        if any(file.attrs[new] != file.attrs[old] for new, old in pairs):
            yield "new and old names disagree"


def load(path: Path, caplog: pytest.LogCaptureFixture) -> Any:
    with caplog.at_level(logging.WARNING):
        loaded = io.load_product(path)
    assert caplog.messages == []
    return loaded


def test_ptychodus_opens_a_reconstruction_and_warns_of_nothing(
    tmp_path: Path, scan: Scan, reconstruction: Reconstruction, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "p.h5"
    product = product_from_reconstruction(scan, reconstruction, "star run")
    write_product(path, product, raw_bundle_of(scan, reconstruction))
    loaded = load(path, caplog)
    assert warnings_of(path, loaded) == []
    assert validate_product(path).violations == ()
    geometry = loaded.object_.get_geometry()
    x = geometry.map_probe_positions_to_object_x_px(loaded.probe_positions)
    y = geometry.map_probe_positions_to_object_y_px(loaded.probe_positions)
    np.testing.assert_allclose(x, reconstruction.xcoords, atol=1e-9)
    np.testing.assert_allclose(y, reconstruction.ycoords, atol=1e-9)
    np.testing.assert_array_equal(loaded.probe_positions.get_indexes(), scan.scan_index)
    np.testing.assert_array_equal(loaded.probes.get_array(), reconstruction.probe[np.newaxis])
    np.testing.assert_array_equal(loaded.object_.get_array(), reconstruction.object[np.newaxis])
    assert [(loss.epoch, loss.value) for loss in loaded.losses] == list(enumerate(reconstruction.loss))
    assert loaded.metadata.comments == product.metadata.comments
    assert loaded.metadata.exposure_time_s == 0.05
    assert loaded.metadata.photon_wavelength_m == pytest.approx(1.239841984e-6 / 8800.0)


@pytest.fixture
def rich_product(scan: Scan, reconstruction: Reconstruction) -> Product:
    """Three coherent modes with OPR weights, two layers, and every number of the metadata known."""
    plain = product_from_reconstruction(scan, reconstruction, "rich")
    numbers = {
        "probe_photon_count": 1e6,
        "mass_attenuation_m2_per_kg": 0.5,
        "tomography_angle_deg": 12.5,
        "focus_object_distance_m": 1e-3,
        "tilt_angle_deg": -2.0,
        "polarization": "right_circular",
        "far_field": False,
    }
    return replace(
        plain,
        probe=complex_array(3, 2, PROBE, PROBE),
        object=complex_array(2, HEIGHT, WIDTH),
        object_layer_spacing_m=np.array([5e-6]),
        opr_weights=np.random.default_rng(6).normal(size=(N, 3)),
        metadata=plain.metadata.model_copy(update=numbers),
    )


def test_ptychodus_reads_everything_a_rich_product_holds(
    tmp_path: Path, rich_product: Product, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "p.h5"
    write_product(path, rich_product)
    loaded = load(path, caplog)
    assert warnings_of(path, loaded) == []
    np.testing.assert_array_equal(loaded.probes.get_opr_weights(), rich_product.opr_weights)
    np.testing.assert_array_equal(loaded.object_.layer_spacing_m, [5e-6])
    ours, theirs = rich_product.metadata, loaded.metadata
    assert theirs.detector_distance_m == ours.detector_object_distance_m
    for name in set(ProductMetadata.model_fields) & set(vars(theirs)):
        assert getattr(theirs, name) == getattr(ours, name), name


def test_what_ptychodus_writes_is_read_whole(tmp_path: Path, rich_product: Product) -> None:
    write_product(tmp_path / "ours.h5", rich_product)
    io.save_product(tmp_path / "theirs.h5", io.load_product(tmp_path / "ours.h5"))
    read = read_product(tmp_path / "theirs.h5")
    assert read.metadata == rich_product.metadata
    for name in (
        "probe_position_x_m",
        "probe_position_y_m",
        "probe_position_indexes",
        "probe",
        "object",
        "object_layer_spacing_m",
        "loss_epochs",
        "loss_values",
        "opr_weights",
    ):
        np.testing.assert_array_equal(getattr(read, name), getattr(rich_product, name), err_msg=name)
    assert validate_product(tmp_path / "theirs.h5").violations == ()
