"""Patterns, masks and entries of CXI and NeXus files are found where these formats have them, and never guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalti.errors import ContractBroken
from tests.unit.formats.hdf5.nexus_files import COUNTS, DETECTOR, JOULE, SOURCE, cxi, nx, put, read


@pytest.mark.parametrize("path", ["data_1/data", "instrument_1/detector_1/data", "image_1/data"])
@pytest.mark.parametrize("entry", ["entry_1", "entry", "entry1", "entry_7", ""])
def test_patterns_are_found_where_cxi_has_them(tmp_path: Path, entry: str, path: str) -> None:
    content = read(tmp_path / "a.cxi", lambda f: (put(f, "cxi_version", 160), put(f, f"{entry}/{path}", COUNTS)))
    np.testing.assert_array_equal(content.arrays["diffraction"], COUNTS)


@pytest.mark.parametrize("path", ["data", "data/data", "data_1/data", "image_1/data"])
def test_patterns_outside_the_entry_are_found(tmp_path: Path, path: str) -> None:
    content = read(tmp_path / "a.cxi", lambda f: (put(f, path, COUNTS), put(f, f"{SOURCE}/energy", 8000 * JOULE)))
    np.testing.assert_array_equal(content.arrays["diffraction"], COUNTS)
    assert content.physics["photon_energy_eV"].value == pytest.approx(8000)


def test_the_default_signal_is_the_stack_of_patterns(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        nx(file, "scan", "NXentry").attrs["default"] = "eiger"
        for name in ("merlin", "eiger"):
            nx(file, f"scan/{name}", "NXdata").attrs["signal"] = "frames"
            put(file, f"scan/{name}/frames", COUNTS if name == "eiger" else COUNTS + 1)

    np.testing.assert_array_equal(read(tmp_path / "a.nxs", fill).arrays["diffraction"], COUNTS)


def test_a_signal_that_is_no_stack_is_passed_over(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        nx(file, "scan", "NXentry").attrs["default"] = "plot"
        nx(file, "scan/plot", "NXdata").attrs["signal"] = "current"
        put(file, "scan/plot/current", np.ones(12))
        nx(file, "scan/instrument", "NXinstrument"), nx(file, "scan/instrument/eiger", "NXdetector")
        put(file, "scan/instrument/eiger/data", COUNTS)
        put(file, "scan/instrument/eiger/distance", 2.0, "m")

    content = read(tmp_path / "a.nxs", fill)
    np.testing.assert_array_equal(content.arrays["diffraction"], COUNTS)
    assert content.physics["detector_distance_m"].value == 2.0


def detectors(file: h5py.File) -> None:
    nx(file, "scan", "NXentry"), nx(file, "scan/instrument", "NXinstrument")
    for i, name in enumerate(("eiger", "merlin")):
        nx(file, f"scan/instrument/{name}", "NXdetector")
        put(file, f"scan/instrument/{name}/data", COUNTS + i)


def test_two_detectors_with_patterns_are_named_and_the_card_chooses(tmp_path: Path) -> None:
    with pytest.raises(ContractBroken, match="scan/instrument/eiger/data and scan/instrument/merlin/data"):
        read(tmp_path / "a.nxs", detectors)
    named = "scan/instrument/merlin/data"
    content = read(tmp_path / "a.nxs", detectors, named)
    np.testing.assert_array_equal(content.arrays[named], COUNTS + 1)
    assert "diffraction" not in content.arrays


def entries(file: h5py.File) -> None:
    for i, name in enumerate(("entry_1", "entry_2")):
        cxi(file, name)
        put(file, f"{name}/instrument_1/source_1/energy", (8000 + i) * JOULE)
        put(file, f"{name}/instrument_1/detector_1/mask", np.full((16, 16), i, "u4"))


def test_two_entries_with_scans_are_named_and_the_card_chooses_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    with pytest.raises(ContractBroken, match="scans in entry_1 and entry_2, wanted one scan") as error:
        read(tmp_path / "a.cxi", entries)
    assert {violation.code for violation in error.value.violations} == {"hdf5.entries"}
    content = read(tmp_path / "a.cxi", entries, "entry_2/data_1/data")
    assert content.physics["photon_energy_eV"].value == pytest.approx(8001)
    assert content.arrays["bad_pixels"].all()
    np.testing.assert_array_equal(content.arrays["entry_2/data_1/data"], COUNTS)


def test_names_in_two_entries_leave_what_either_states_unused(tmp_path: Path) -> None:
    content = read(tmp_path / "a.cxi", entries, "entry_2/data_1/data", "entry_1/data_1/translation")
    assert {"entry_2/data_1/data", "entry_1/data_1/translation"} <= content.arrays.keys()
    assert not {"diffraction", "positions_if_probe_moved", "bad_pixels"} & content.arrays.keys()
    assert content.physics == {}


def test_the_detector_is_the_one_whose_patterns_are_linked(tmp_path: Path) -> None:
    """As nexusformat writes it: NXdata has a hard link to the data of one of the detectors."""

    def fill(file: h5py.File) -> None:
        detectors(file)
        nx(file, "scan", "NXentry").attrs["default"] = "data"
        nx(file, "scan/data", "NXdata").attrs["signal"] = "data"
        file["scan/data/data"] = file["scan/instrument/merlin/data"]
        for i, name in enumerate(("eiger", "merlin")):
            put(file, f"scan/instrument/{name}/distance", 1.0 + i, "m")

    content = read(tmp_path / "a.nxs", fill)
    np.testing.assert_array_equal(content.arrays["diffraction"], COUNTS + 1)
    assert content.physics["detector_distance_m"].value == 2.0
    assert {skipped.name for skipped in content.skipped} == {
        "scan/instrument/eiger/data",
        "scan/instrument/eiger/distance",
    }


@pytest.mark.parametrize("link", [h5py.SoftLink("/entry_1"), None])
def test_two_names_of_one_entry_are_one_entry(tmp_path: Path, link: Any) -> None:
    def fill(file: h5py.File) -> None:
        group = cxi(file)
        file["entry_2"] = group if link is None else link

    np.testing.assert_array_equal(read(tmp_path / "a.cxi", fill).arrays["diffraction"], COUNTS)


def test_an_entry_without_patterns_is_no_second_scan(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        put(file, "entry_1/image_1/mask", np.ones((4, 4)))
        cxi(file, "entry_2")

    np.testing.assert_array_equal(read(tmp_path / "a.cxi", fill).arrays["diffraction"], COUNTS)


def test_an_entry_alone_is_no_cxi_file(tmp_path: Path) -> None:
    content = read(tmp_path / "a.h5", lambda f: put(f, "entry/measurement/x", np.arange(12.0)))
    assert set(content.arrays) == {"entry/measurement/x"}


@pytest.mark.parametrize("names", [("pixel_mask",), ("detectorSpecific/pixel_mask",), ("mask", "pixel_mask")])
def test_every_bit_of_a_nexus_mask_is_bad_and_masks_are_joined(tmp_path: Path, names: tuple[str, ...]) -> None:
    values = np.zeros((16, 16), "u4")
    values[0, :4] = [1, 0x1000, 16, 1 << 31]

    def fill(file: h5py.File) -> None:
        cxi(file)
        for name in names:
            put(file, f"{DETECTOR}/{name}", values)
            values[1, 0] = 1  # in the second mask only

    bad = read(tmp_path / "a.cxi", fill).arrays["bad_pixels"]
    assert bad.dtype == bool
    wanted = {(0, 0), (0, 1), (0, 2), (0, 3)} | ({(1, 0)} if len(names) > 1 else set())
    values[1, 0] = 0
    assert {tuple(at) for at in np.argwhere(bad)} == wanted


def test_a_mask_that_the_card_names_is_handed_over_as_it_is_too(tmp_path: Path) -> None:
    mask = np.zeros((16, 16), "u4")
    mask[0, 0] = 0x1000
    content = read(tmp_path / "a.cxi", lambda f: (cxi(f), put(f, f"{DETECTOR}/mask", mask)), f"{DETECTOR}/mask")
    np.testing.assert_array_equal(content.arrays[f"{DETECTOR}/mask"], mask)
    assert not content.arrays["bad_pixels"].any()
