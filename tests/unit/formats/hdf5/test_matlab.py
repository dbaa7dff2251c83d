"""MATLAB 7.3 files are read as MATLAB shows them: its axis order, its complex numbers, none of its internals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray

from smalti.errors import ContractBroken
from smalti.formats import Content, read_arrays, read_file
from smalti.scans import validate_scan
from tests.unit.formats.hostile.making import sound

CLASSES = {"f8": "double", "f4": "single", "u2": "uint16", "i4": "int32", "c16": "double", "c8": "single"}


def save(file: h5py.File, name: str, array: NDArray[Any], said: str | None = None) -> h5py.Dataset:
    """As ``save -v7.3`` does: the first axis fastest, at least two axes, complex numbers as two parts."""
    array = np.atleast_2d(array)
    said = said or CLASSES[array.dtype.str[1:]]
    if np.iscomplexobj(array):
        pair = np.zeros(array.shape, [("real", array.real.dtype), ("imag", array.real.dtype)])
        pair["real"], pair["imag"] = array.real, array.imag
        array = pair
    dataset = file.create_dataset(name, data=np.ascontiguousarray(array.T))
    dataset.attrs["MATLAB_class"] = np.bytes_(said)
    return dataset


def written(path: Path, fill: Callable[[h5py.File], Any]) -> Path:
    with h5py.File(path, "w", userblock_size=512) as file:
        fill(file)
    with path.open("r+b") as head:
        head.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(CLASSES)).flatmap(
        lambda kind: arrays_of.arrays(kind, arrays_of.array_shapes(min_dims=2, max_dims=4, max_side=4))
    )
)
def test_an_array_is_what_matlab_shows(tmp_path: Path, array: NDArray[Any]) -> None:
    read = read_arrays(written(tmp_path / "a.mat", lambda file: save(file, "a", array)))["a"]
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_a_scan_is_stored_as_it_was_in_matlab_and_not_transposed(tmp_path: Path) -> None:
    counts = np.rint(sound()["diffraction"] ** 2).astype("u2")
    counts[:, 3, 9] = 50  # so that no pattern is its own transpose

    def fill(file: h5py.File) -> None:
        save(file, "diffraction", np.moveaxis(counts, 0, -1))
        save(file, "xcoords", sound()["xcoords"][:, None])
        save(file, "ycoords", sound()["ycoords"])
        save(file, "probeGuess", sound()["probeGuess"].astype("c16"))

    outcome = validate_scan(written(tmp_path / "scan.mat", fill))
    assert outcome.value is not None, outcome.violations
    np.testing.assert_array_equal(outcome.value.diffraction, np.sqrt(counts.astype("f4")))
    np.testing.assert_array_equal(outcome.value.xcoords, sound()["xcoords"])
    np.testing.assert_array_equal(outcome.value.probe_guess, sound()["probeGuess"][None])
    assert any("as MATLAB has them" in how for how in outcome.conversions)
    assert any("out of real and imag" in how for how in outcome.conversions)


@pytest.mark.parametrize("parts", [("real", "imag"), ("re", "im"), ("r", "i")])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_two_parts_are_one_complex_number_whoever_wrote_them(tmp_path: Path, parts: tuple[str, str], kind: str) -> None:
    pair = np.zeros((2, 3), [(part, kind) for part in parts])
    pair[parts[0]], pair[parts[1]] = 1.5, -2.0
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["probeGuess"] = pair
    read = read_arrays(tmp_path / "a.h5")["probeGuess"]
    assert read.dtype == ("c8" if kind == "f4" else "c16")
    np.testing.assert_array_equal(read, np.full((2, 3), 1.5 - 2.0j))


@pytest.mark.parametrize("fields", [[("real", "f8"), ("imag", "f4")], [("imag", "f8"), ("real", "f8")], [("x", "f8")]])
def test_another_compound_is_no_complex_number(tmp_path: Path, fields: list[tuple[str, str]]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["probeGuess"] = np.zeros((2, 3), fields)
    with pytest.raises(ContractBroken, match="plain numbers"):
        read_arrays(tmp_path / "a.h5")


def test_an_array_beside_it_that_matlab_did_not_write_is_left_as_it_is(tmp_path: Path) -> None:
    ours = np.arange(6.0).reshape(2, 3)
    path = written(
        tmp_path / "a.mat", lambda file: (save(file, "theirs", ours), file.create_dataset("ours", data=ours))
    )
    read = read_arrays(path)
    np.testing.assert_array_equal(read["ours"], read["theirs"])


def test_text_truth_values_cells_and_internals_are_told_apart(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        save(file, "bad_pixels", np.eye(16, dtype="u1"), "logical").attrs["MATLAB_int_decode"] = 1
        save(file, "comment", np.frombuffer(b"measured at night", "u1").astype("u2"), "char")
        save(file, "xcoords", np.zeros(2, "u8"), "double").attrs["MATLAB_empty"] = 1
        file.create_group("#refs#")["a"] = np.ones(3)
        file.create_dataset("cell", (1, 2), h5py.ref_dtype).attrs["MATLAB_class"] = np.bytes_("cell")

    path = written(tmp_path / "a.mat", fill)
    content = read_file(path, wanted={"bad_pixels"})
    assert isinstance(content, Content)
    assert {name: array.dtype for name, array in content.arrays.items()} == {"bad_pixels": np.dtype(bool)}
    assert {skipped.name: skipped.reason for skipped in content.skipped}["comment"] == "text"
    with pytest.raises(ContractBroken, match="no values at all"):
        read_file(path, wanted={"xcoords"})
