"""Every release of Ptychodus reads our products in full, and we read what every release writes.

``make test-interop`` runs this for the releases of requirements-interop-all.txt, each unpacked into a folder of
``SMALTI_TEST_PTYCHODUS`` that has its version for a name; without it, for the installed one.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti.codecs.product import Product, ProductMetadata
from smalti.contracts.violation import errors
from smalti.products import RawBundle, import_product, validate_product, write_product

FOLDER = os.environ.get("SMALTI_TEST_PTYCHODUS")
PLACES = {place.name: place for place in Path(FOLDER).resolve().iterdir() if place.is_dir()} if FOLDER else {}
if not FOLDER and importlib.util.find_spec("ptychodus"):
    PLACES = {importlib.metadata.version("ptychodus"): None}
if not PLACES:
    pytest.skip("Ptychodus is not installed; make test-interop installs every release", allow_module_level=True)

FORMS = (".h5", ".npz")
PIXEL_M = 2e-8
# What a release has no place for: today's name -> the first release that reads it, from HDF5 and from NPZ.
READ_SINCE = {
    "probe_position_indexes": ((1, 1), (1, 1)),  # 1.0 counts the rows
    "loss_epochs": ((1, 1), (1, 1)),
    "tilt_angle_deg": ((1, 5), (1, 7)),
    "polarization": ((1, 5), (1, 7)),
    "probe_photon_counts": ((1, 6), (1, 7)),
    "focus_object_distance_m": ((1, 7), (1, 7)),
    "far_field": ((1, 7), (1, 7)),
}
WRITTEN_SINCE = {**READ_SINCE, "tomography_angle_deg": ((1, 5), (1, 7))}
NOT_ARRAYS = ("metadata", "contract", "patterns")
CASES = ("plain", "opr", "many", "layers")


def product(case: str) -> Product:
    """Nine positions far from the world's origin; ``opr`` has weights 9 x 2, ``layers`` two, in the near field.

    ``many`` has more weights than an HDF5 object header holds.
    """
    random = np.random.default_rng(4)
    modes = {"opr": 2, "many": 5}.get(case, 1)
    layers = 2 if case == "layers" else 1
    steps = np.linspace(-12.5, 14.0, 41 if case == "many" else 3) * PIXEL_M
    x, y = (axis.ravel() for axis in np.meshgrid(3e-5 + steps, -1e-5 + 0.7 * steps))
    count = len(x)
    return Product(
        probe_position_x_m=x,
        probe_position_y_m=y,
        probe_position_indexes=random.permutation(count) + 100,
        probe=random.normal(size=(modes, 3, 16, 16, 2)).astype("f4").view("c8")[..., 0],
        object=random.normal(size=(layers, 50, 64, 2)).astype("f4").view("c8")[..., 0],
        object_layer_spacing_m=np.full(layers - 1, 5e-6),
        loss_epochs=np.arange(0, 10, 2),
        loss_values=np.geomspace(2, 1, 5),
        opr_weights=random.normal(size=(count, modes)) if modes > 1 else None,
        probe_photon_counts=random.uniform(1e5, 1e6, count),
        metadata=ProductMetadata(
            name=f"Stern α, {case}",
            comments="two lines\nof words",
            detector_object_distance_m=1.9,
            photon_energy_eV=8800.0,
            probe_photon_count=4.6e5,
            exposure_time_s=0.1,
            mass_attenuation_m2_per_kg=0.25,
            tomography_angle_deg=12.5,
            focus_object_distance_m=1e-3,
            tilt_angle_deg=-2.0,
            far_field=case != "layers",
            polarization="right_circular",
            probe_pixel_width_m=PIXEL_M,
            probe_pixel_height_m=PIXEL_M,
            object_pixel_width_m=PIXEL_M,
            object_pixel_height_m=PIXEL_M,
            object_center_x_m=3e-5,
            object_center_y_m=-1e-5,
        ),
    )


def bundle(of: Product) -> RawBundle:
    """Return patterns to travel with a product."""
    (x_px, y_px), indexes = pixels_of(of), of.probe_position_indexes
    return RawBundle(np.ones((len(indexes), 16, 16), np.uint16), "counts", x_px, y_px, indexes)


def pixels_of(of: Product) -> list[np.ndarray]:
    """Return x and y in pixels of the object, whose centre is the middle of its array."""
    return [
        (getattr(of, f"probe_position_{axis}_m") - getattr(of.metadata, f"object_center_{axis}_m")) / PIXEL_M
        + (size - 1) / 2
        for axis, size in zip("xy", of.object.shape[::-1], strict=False)
    ]


def plain(of: Product) -> dict[str, Any]:
    """Return all that a product says, by its names."""
    arrays = {field.name: getattr(of, field.name) for field in fields(of) if field.name not in NOT_ARRAYS}
    said = {**arrays, **of.metadata.model_dump()}
    return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True)
class Release:
    """What one release of Ptychodus made of our files, in ``folder``."""

    version: tuple[int, ...]
    folder: Path

    def without(self, what: dict[str, Any], since: dict[str, Any], form: str) -> dict[str, Any]:
        """Return what is left when a file of this form has passed this release."""
        first = {name: releases[FORMS.index(form)] for name, releases in since.items()}
        return {name: value for name, value in what.items() if name not in first or self.version >= first[name]}


@pytest.fixture(scope="module", params=sorted(PLACES))
def release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """Let one release read each case in both forms, and write it."""
    folder = tmp_path_factory.mktemp("ptychodus")
    for name in ("ours", "read", "plain", "theirs"):
        (folder / name).mkdir()
    for case in CASES:
        np.savez(folder / "plain" / f"{case}.npz", **plain(product(case)))
        for form in FORMS:
            patterns = bundle(product(case)) if case == "plain" else None
            assert write_product(folder / "ours" / f"{case}{form}", product(case), patterns) == ()
    place = PLACES[request.param]
    path = {"PYTHONPATH": str(place)} if place else {}
    command = [sys.executable, Path(__file__).with_name("ptychodus_release.py"), folder]
    environment = {**os.environ, **path, "OPENBLAS_NUM_THREADS": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert place is None or run.stdout.startswith(str(place)), "another release was imported"
    return Release(tuple(int(part) for part in request.param.split(".")[:2]), folder)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_it_reads_all_that_we_wrote_and_warns_of_nothing(release: Release, case: str, form: str) -> None:
    with np.load(release.folder / "read" / f"{case}{form}.npz") as file:
        held = dict(file)
    assert list(warnings_of(held, release)) == []
    expected = release.without(plain(product(case)), READ_SINCE, form)
    assert expected.keys() - held.keys() == set()
    for name, value in expected.items():
        np.testing.assert_array_equal(held[name], value, err_msg=name)


def warnings_of(held: dict[str, Any], release: Release) -> Iterator[str]:
    """Yield what is semantically wrong with a product that was read without an error."""
    yield from held["complaints"].tolist()
    indexes = held["probe_position_indexes"]
    if len(np.unique(indexes)) != len(indexes):
        yield "positions of one index will be averaged"
    lengths = {len(held[name]) for name in ("probe_position_x_m", "probe_position_y_m", "probe_position_indexes")}
    if len(lengths) > 1:
        yield "lengths differ"
    off_px = 0.5 if release.version < (1, 6) else 0.0  # they put the centre of n pixels at n / 2
    for axis, letter in ((-1, "x"), (-2, "y")):
        half, size, pixels = held["probe"].shape[axis] / 2, held["object"].shape[axis], held[f"{letter}_px"] - off_px
        if pixels.min() < half - 1 or pixels.max() > size - half + 1:
            yield f"the probe leaves the object along {letter}"
        center_m = held[f"object_center_{letter}_m"]
        wanted = (held[f"probe_position_{letter}_m"] - center_m) / PIXEL_M + (size - 1) / 2
        if not np.allclose(pixels, wanted, atol=1e-9):
            yield f"positions lie elsewhere along {letter}"
    if not len(held["loss_values"]):
        yield "no losses"
    if not np.isfinite(held["wavelength_m"]) or not held["wavelength_m"] > 0:
        yield "no wavelength"
    for side in ("width", "height"):
        if held[f"probe_pixel_{side}_m"] != held[f"object_pixel_{side}_m"]:
            yield "probe and object are sampled differently"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_what_it_wrote_is_imported_without_loss(release: Release, case: str, form: str) -> None:
    path = release.folder / "theirs" / f"{case}{form}"
    assert errors(validate_product(path).violations) == ()
    imported = import_product(path)
    assert imported.patterns is None
    expected = release.without(plain(product(case)), WRITTEN_SINCE, form)
    held = plain(imported.product)
    assert expected.keys() - held.keys() == set()
    for name, value in expected.items():
        np.testing.assert_array_equal(held[name], value, err_msg=name)
    if "loss_epochs" not in expected:
        np.testing.assert_array_equal(held["loss_epochs"], np.arange(5))


@pytest.mark.parametrize("form", FORMS)
def test_what_it_wrote_goes_round_through_ours_unchanged(release: Release, form: str, tmp_path: Path) -> None:
    theirs = import_product(release.folder / "theirs" / f"opr{form}").product
    write_product(tmp_path / f"again{form}", theirs)
    again = import_product(tmp_path / f"again{form}").product
    assert plain(replace(again, opr_weights=None)).keys() == plain(replace(theirs, opr_weights=None)).keys()
    for name, value in plain(theirs).items():
        np.testing.assert_array_equal(plain(again)[name], value, err_msg=name)
