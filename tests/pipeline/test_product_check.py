"""The check on a product looks at the file that the asset wrote, and fails when that file is not sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import h5py
import numpy as np
import pytest

from assets.partitions import SCANS
from assets.products import is_sound, ptychodus_product
from resources import SettingsResource, StoreIOManager, StoreResource
from smalti import Reconstruction, Scan
from smalti.simulation import simulate_scan


@pytest.fixture
def measured() -> Scan:
    return simulate_scan("small", positions_per_side=3, window=16)


@pytest.fixture
def found(measured: Scan) -> Reconstruction:
    """The true object and probe of the simulated scan."""
    assert measured.object_guess is not None
    assert measured.probe_guess is not None
    return Reconstruction(
        object=measured.object_guess,
        probe=measured.probe_guess,
        xcoords=measured.xcoords,
        ycoords=measured.ycoords,
        origin_x=0.0,
        origin_y=0.0,
        loss=np.array([2.0, 1.0]),
        metrics={},
        config={},
    )


def made(root: Path, measured: Scan, found: Reconstruction) -> dg.ExecuteInProcessResult:
    """Run the asset on this scan and its reconstruction."""

    @dg.asset(partitions_def=SCANS)
    def scan() -> Scan:
        return measured

    @dg.asset(partitions_def=SCANS)
    def reconstruction() -> Reconstruction:
        return found

    store = StoreResource(place=str(root / "store"))
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(str(SCANS.name), ["small"])
        return dg.materialize(
            [scan, reconstruction, ptychodus_product],
            partition_key="small",
            instance=instance,
            resources={"io_manager": StoreIOManager(store=store), "store": store, "settings": SettingsResource()},
        )


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: Scan, found: Reconstruction) -> Path:
    """The product file that the asset wrote, where Ptychodus looks for it."""
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    assert made(tmp_path, measured, found).success
    return tmp_path / "outputs" / "ptychodus_products" / "small.h5"


def test_the_product_that_the_asset_wrote_is_sound(path: Path) -> None:
    assert path.is_file()
    assert is_sound("small", path).passed


def off_the_object(file: h5py.File) -> None:
    file["probe_position_x_m"][0] += 1.0


def an_index_twice(file: h5py.File) -> None:
    file["probe_position_indexes"][1] = file["probe_position_indexes"][0]


def not_finite(file: h5py.File) -> None:
    file["object"][0, 0, 0] = np.nan


def two_energies(file: h5py.File) -> None:
    file.attrs["probe_energy_eV"] = 1.0


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (off_the_object, "positions.outside_object"),
        (an_index_twice, "probe_position_indexes.repeated"),
        (not_finite, "array.not_finite"),
        (two_energies, "product.names_disagree"),
    ],
)
def test_a_product_file_that_is_not_sound_fails_the_check(
    path: Path, damage: Callable[[h5py.File], None], code: str
) -> None:
    with h5py.File(path, "r+") as file:
        damage(file)
    result = is_sound("small", path)
    assert not result.passed
    told = result.metadata["violations"].records
    assert code in {record.data["code"] for record in told}


def test_a_product_file_cut_short_fails_the_check_and_says_so(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])
    result = is_sound("small", path)
    assert not result.passed
    assert "copy the file again from its source" in str(result.description)


def test_a_warning_is_shown_and_passes(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["probe"].attrs["pixel_width_m"] = 1.25e-7
    result = is_sound("small", path)
    assert result.passed
    assert [record.data["code"] for record in result.metadata["violations"].records] == ["field.pixels_differ"]


def test_a_run_that_makes_a_product_checks_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: Scan, found: Reconstruction
) -> None:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    checks = made(tmp_path, measured, found).get_asset_check_evaluations()
    assert [(check.check_name, check.passed) for check in checks] == [("is_sound", True)]
    assert (tmp_path / "outputs" / "ptychodus_products" / "small.h5").is_file()


def test_a_scan_without_a_pixel_size_has_no_product_and_its_run_succeeds_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: Scan, found: Reconstruction
) -> None:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    unknown = dict.fromkeys(("object_pixel_size_m", "detector_pixel_size_m", "detector_distance_m"))
    nobody_said = replace(measured, metadata=measured.metadata.model_copy(update=unknown))
    run = made(tmp_path, nobody_said, found)
    assert run.success
    assert run.asset_materializations_for_node("ptychodus_product") == []
    (check,) = run.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "object_pixel_size_m, or detector_distance_m and detector_pixel_size_m" in str(check.description)
    assert not (tmp_path / "outputs" / "ptychodus_products" / "small.h5").exists()
