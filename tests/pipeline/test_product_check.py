"""The check on a product looks at the file that the asset wrote, and fails when that file is not sound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import h5py
import numpy as np
import pytest

from assets.checks import is_sound
from assets.products import ptychodus_product
from smalti import Product, Reconstruction
from smalti.simulation import simulate_scan


@pytest.fixture
def product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Product:
    """What the asset makes of a simulated scan and its true object; its file lies where Ptychodus looks for it."""
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    scan = simulate_scan("small", positions_per_side=3, window=16)
    assert scan.object_guess is not None
    assert scan.probe_guess is not None
    found = Reconstruction(
        object=scan.object_guess,
        probe=scan.probe_guess,
        xcoords=scan.xcoords,
        ycoords=scan.ycoords,
        origin_x=0.0,
        origin_y=0.0,
        loss=np.array([2.0, 1.0]),
        metrics={},
        config={},
    )
    made = ptychodus_product(dg.build_asset_context(partition_key="small"), scan, found)
    assert isinstance(made, Product)
    return made


@pytest.fixture
def path(product: Product, tmp_path: Path) -> Path:
    return tmp_path / "outputs" / "ptychodus_products" / "small.h5"


def check(product: Product) -> dg.AssetCheckResult:
    result = is_sound(product)
    assert isinstance(result, dg.AssetCheckResult)
    return result


def test_the_product_that_the_asset_wrote_is_sound(product: Product, path: Path) -> None:
    assert path.is_file()
    assert check(product).passed


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
    product: Product, path: Path, damage: Callable[[h5py.File], None], code: str
) -> None:
    with h5py.File(path, "r+") as file:
        damage(file)
    result = check(product)
    assert not result.passed
    told = result.metadata["violations"].records
    assert code in {record.data["code"] for record in told}


def test_a_product_file_cut_short_fails_the_check_and_says_so(product: Product, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])
    result = check(product)
    assert not result.passed
    assert "copy the file again from its source" in str(result.description)


def test_a_warning_is_shown_and_passes(product: Product, path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["probe"].attrs["pixel_width_m"] = 1.25e-7
    result = check(product)
    assert result.passed
    assert [record.data["code"] for record in result.metadata["violations"].records] == ["field.pixels_differ"]
