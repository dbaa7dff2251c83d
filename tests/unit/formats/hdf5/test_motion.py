"""Positions out of CXI and NeXus files: along the detector's columns and rows, in metres, under both meanings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalti.errors import ContractBroken
from tests.unit.formats.hdf5.nexus_files import COUNTS, DETECTOR, WHERE, cxi, nx, put, read, warnings


@pytest.mark.parametrize("layout", [(3, 2), (2, 3)])
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("column", [1, -1])
@pytest.mark.parametrize("row", [1, -1])
def test_positions_run_along_the_columns_and_rows_of_the_detector(
    tmp_path: Path, row: int, column: int, swapped: bool, layout: tuple[int, int]
) -> None:
    """Vectors as cdtools writes them: the first is that of rows, the second that of columns."""
    along_row, along_column = np.array([0, row, 0]) * 55e-6, np.array([column, 0, 0]) * 55e-6
    if swapped:
        along_row, along_column = along_row[[1, 0, 2]], along_column[[1, 0, 2]]
    basis = np.stack([along_row, along_column], axis=1)

    def fill(file: h5py.File) -> None:
        cxi(file)
        put(file, f"{DETECTOR}/basis_vectors", basis if layout == (3, 2) else basis.T)

    content = read(tmp_path / "a.cxi", fill)
    x, y = (WHERE[:, 1], WHERE[:, 0]) if swapped else (WHERE[:, 0], WHERE[:, 1])
    moved = np.stack([column * x, row * y], axis=1)
    np.testing.assert_array_equal(content.arrays["positions_if_probe_moved"], moved)
    np.testing.assert_array_equal(content.arrays["positions_if_sample_moved"], -moved)
    assert "along the columns and rows of the detector" in content.conversions[0]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(angle=st.floats(-3, 3), mirrored=st.booleans())
def test_a_turned_detector_sees_the_turned_scan(tmp_path: Path, angle: float, mirrored: bool) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    column, row = turn[:, 0], turn[:, 1] * (-1 if mirrored else 1)
    basis = np.zeros((3, 2))
    basis[:2, 0], basis[:2, 1] = row * 55e-6, column * 55e-6

    def fill(file: h5py.File) -> None:
        cxi(file)
        put(file, f"{DETECTOR}/basis_vectors", basis)

    moved = read(tmp_path / "a.cxi", fill).arrays["positions_if_probe_moved"]
    np.testing.assert_allclose(moved[:, :1] * column + moved[:, 1:] * row, WHERE[:, :2], atol=1e-18)


@pytest.mark.parametrize("basis", [np.zeros((3, 2)), np.ones((3, 2)), np.eye(3), np.full((3, 2), np.nan)])
def test_vectors_that_span_no_detector_are_not_used_and_that_is_said(tmp_path: Path, basis: Any) -> None:
    content = read(tmp_path / "a.cxi", lambda f: (cxi(f), put(f, f"{DETECTOR}/basis_vectors", basis)))
    np.testing.assert_array_equal(content.arrays["positions_if_probe_moved"], WHERE[:, :2])
    assert "positions are taken along x and y as they are" in warnings(content)["cxi.basis_vectors"]


@pytest.mark.parametrize(
    ("place", "by_ptychodus", "last"),
    [
        ("sample_1/geometry_1/translation", False, "sample"),
        ("sample_1/geometry_1/translation", True, "probe"),
        ("instrument_1/detector_1/translation", False, "sample"),
    ],
)
def test_the_motion_that_the_file_speaks_for_comes_last(
    tmp_path: Path, place: str, by_ptychodus: bool, last: str
) -> None:
    def fill(file: h5py.File) -> None:
        entry = cxi(file)
        del entry["data_1/translation"]
        entry[place] = WHERE
        entry["data_1/translation"] = h5py.SoftLink(f"/entry_1/{place}")
        if by_ptychodus:
            entry.create_group("ptychodus")

    content = read(tmp_path / "a.cxi", fill)
    assert list(content.arrays)[-1] == f"positions_if_{last}_moved"
    assert ("as the sample's" in content.conversions[0]) == (place.startswith("sample") and not by_ptychodus)


def axes(file: h5py.File, *chain: tuple[str, Any, str, Any, str], start: str = "transformations/") -> None:
    """A sample on axes, the one on top first: name, values, unit, vector, type."""
    put(file, "entry/data/data", COUNTS)
    nx(file, "entry", "NXentry"), nx(file, "entry/sample", "NXsample")
    names = [name for name, *_ in chain]
    file["entry/sample/depends_on"] = f"{start}{names[0]}"
    for (name, values, units, vector, kind), below in zip(chain, [*names[1:], "."], strict=True):
        path = f"entry/sample/transformations/{name}"
        put(file, path, values, units, vector=vector, transformation_type=kind, depends_on=below)


def test_positions_follow_a_chain_of_translations(tmp_path: Path) -> None:
    chain = (
        ("fine_x", WHERE[:, 0] * 1e6, "um", [1.0, 0, 0], "translation"),
        ("fine_y", WHERE[:, 1] * 1e3, "mm", [0, 2.0, 0], "translation"),
        ("coarse_x", 5e-3, "m", [-1.0, 0, 0], "translation"),
        ("theta", 0.0, "deg", [0, 1.0, 0], "rotation"),
    )
    for start in ("transformations/", "/entry/sample/transformations/"):
        moved = read(tmp_path / "a.nxs", lambda f, s=start: axes(f, *chain, start=s)).arrays
        np.testing.assert_allclose(moved["positions_if_probe_moved"], WHERE[:, :2] - [5e-3, 0], atol=1e-15)
        assert moved.keys() == {"diffraction", "positions_if_probe_moved", "positions_if_sample_moved"}
        assert list(moved)[-1] == "positions_if_sample_moved"


def test_one_axis_is_a_line(tmp_path: Path) -> None:
    chain = (("x", WHERE[:, 0], "m", [-1, 0, 0], "translation"),)
    moved = read(tmp_path / "a.nxs", lambda f: axes(f, *chain)).arrays["positions_if_probe_moved"]
    np.testing.assert_array_equal(moved, np.stack([-WHERE[:, 0], 0 * WHERE[:, 0]], axis=1))


X = ("x", WHERE[:, 0], "m", [1, 0, 0], "translation")


@pytest.mark.parametrize(
    ("chain", "says"),
    [
        ((X, ("theta", 30.0, "deg", [0, 1, 0], "rotation")), "type rotation"),
        ((X, ("y", WHERE[:5, 1], "m", [0, 1, 0], "translation")), "axes of 5 and 12 values"),
        ((X, ("y", WHERE[:, 1], "deg", [0, 1, 0], "translation")), "a vector and a unit"),
        ((X, ("y", WHERE[:, 1], "m", [0, 0, 0], "translation")), "a vector and a unit"),
        ((X, ("x", 0, "m", [0, 0, 0], "translation")), "more than 16 axes"),
    ],
)
def test_a_chain_that_is_not_plain_translation_is_not_used_and_that_is_said(
    tmp_path: Path, chain: Any, says: str
) -> None:
    def fill(file: h5py.File) -> None:
        axes(file, *{axis[0]: axis for axis in chain}.values())
        if chain[-1][0] == "x":
            file["entry/sample/transformations/x"].attrs["depends_on"] = "x"

    content = read(tmp_path / "a.nxs", fill)
    assert "positions_if_probe_moved" not in content.arrays
    assert says in warnings(content)["nexus.transformations"]


def test_a_chain_into_nothing_is_said(tmp_path: Path) -> None:
    content = read(tmp_path / "a.nxs", lambda f: (axes(f, X), f["entry/sample/transformations"].pop("x")))
    assert "nothing in this file" in warnings(content)["nexus.transformations"]


def test_a_module_says_how_columns_and_rows_run(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        axes(file, X, ("y", WHERE[:, 1], "m", [0, 1, 0], "translation"))
        nx(file, "entry/instrument", "NXinstrument"), nx(file, "entry/instrument/detector", "NXdetector")
        module = nx(file, "entry/instrument/detector/module", "NXdetector_module")
        put(module, "fast_pixel_direction", 75e-6, "m", vector=[-1, 0, 0])
        put(module, "slow_pixel_direction", 75e-6, "m", vector=[0, -1, 0])

    moved = read(tmp_path / "a.nxs", fill).arrays["positions_if_sample_moved"]
    np.testing.assert_array_equal(moved, WHERE[:, :2])


@pytest.mark.parametrize("place", ["elsewhere/x", "entry_1/motors/x"])
def test_a_translation_that_cannot_be_read_matters_only_where_the_card_names_no_positions(
    tmp_path: Path, place: str
) -> None:
    def fill(file: h5py.File) -> None:
        cxi(file)["data_1/translation"].attrs["units"] = "furlong"
        put(file, place, np.arange(12.0))

    with pytest.raises(ContractBroken, match="the unit 'furlong'"):
        read(tmp_path / "a.cxi", fill)
    content = read(tmp_path / "a.cxi", fill, place)
    assert set(content.arrays) == {place, "diffraction"}
    assert not content.conversions


def test_a_translation_that_is_not_finite_is_for_the_contract_to_say(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        cxi(file)["data_1/translation"][3, 0] = np.nan

    moved = read(tmp_path / "a.cxi", fill).arrays["positions_if_probe_moved"]
    assert np.argwhere(np.isnan(moved)).tolist() == [[3, 0]]
