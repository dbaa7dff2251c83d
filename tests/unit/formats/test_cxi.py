"""What a CXI or NeXus file says is used: its patterns, masks, positions, energy, distance, sizes; nothing guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalti.errors import ContractBroken
from smalti.formats import Content, read_file
from tests.unit.formats.hostile.making import sound

COUNTS = np.rint(sound()["diffraction"] ** 2).astype("u2")
WHERE = np.random.default_rng(3).uniform(-1e-6, 1e-6, (12, 3))
JOULE = 1.602176634e-19
NAMES = frozenset({"diffraction", "xcoords", "ycoords", "probeGuess", "objectGuess", "scan_index", "bad_pixels"})
Fill = Callable[[h5py.File], Any]


def put(file: h5py.Group, path: str, value: Any, units: str | None = None, **attributes: Any) -> h5py.Dataset:
    dataset = file.create_dataset(path, data=value)
    dataset.attrs.update({**attributes, **({} if units is None else {"units": units})})
    return dataset


def nx(file: h5py.Group, path: str, nx_class: str) -> h5py.Group:
    group = file.require_group(path)
    group.attrs["NX_class"] = nx_class
    return group


def read(path: Path, fill: Fill, *named: str) -> Content:
    with h5py.File(path, "w") as file:
        fill(file)
    content = read_file(path, wanted=NAMES | set(named))
    assert isinstance(content, Content)
    return content


def cxi(file: h5py.File, entry: str = "entry_1") -> h5py.Group:
    """Patterns and translations as CXI 1.6 has them."""
    group = file.require_group(entry)
    put(group, "instrument_1/detector_1/data", COUNTS)
    group["data_1/data"] = h5py.SoftLink(f"/{entry}/instrument_1/detector_1/data")
    put(group, "data_1/translation", WHERE)
    return group


def warnings(content: Content) -> dict[str, str]:
    assert all(violation.severity == "warning" for violation in content.violations)
    return {violation.code: str(violation) for violation in content.violations}


# What is stated of the experiment

DETECTOR, SOURCE = "entry_1/instrument_1/detector_1", "entry_1/instrument_1/source_1"


@pytest.mark.parametrize(
    ("path", "value", "units", "name", "wanted"),
    [
        (f"{SOURCE}/energy", 8000 * JOULE, None, "photon_energy_eV", 8000),
        (f"{SOURCE}/energy", 8000 * JOULE, "J", "photon_energy_eV", 8000),
        (f"{SOURCE}/energy", 8.0, "keV", "photon_energy_eV", 8000),
        (f"{SOURCE}/energy", [8000.0], "EV", "photon_energy_eV", 8000),
        (f"{SOURCE}/energy", np.full(12, 8000.0, "f4"), "eV", "photon_energy_eV", 8000),
        (f"{SOURCE}/wavelength", 1.5498e-10, None, "photon_energy_eV", 8000),
        (f"{SOURCE}/wavelength", 1.5498, "Å", "photon_energy_eV", 8000),
        (f"{SOURCE}/wavelength", 0.15498, "nm", "photon_energy_eV", 8000),
        ("entry_1/instrument_1/beam_1/energy", 8000 * JOULE, None, "photon_energy_eV", 8000),
        ("entry_1/instrument/beam/incident_energy", 8000, "eV", "photon_energy_eV", 8000),
        ("entry_1/instrument/beam/incident_wavelength", 1.5498, "angstrom", "photon_energy_eV", 8000),
        ("entry_1/instrument/monochromator/energy", 8.0, "keV", "photon_energy_eV", 8000),
        (f"{DETECTOR}/distance", 2.5, None, "detector_distance_m", 2.5),
        (f"{DETECTOR}/distance", 2500.0, "mm", "detector_distance_m", 2.5),
        (f"{DETECTOR}/detector_distance", 2.5, "metres", "detector_distance_m", 2.5),
        (f"{DETECTOR}/x_pixel_size", 75e-6, None, "detector_pixel_size_m", 75e-6),
        (f"{DETECTOR}/x_pixel_size", 75.0, "\u03bcm", "detector_pixel_size_m", 75e-6),
        (f"{DETECTOR}/y_pixel_size", 75, "\u00b5m", "detector_pixel_size_m", 75e-6),
        (f"{DETECTOR}/count_time", 0.1, "s", "exposure_time_s", 0.1),
        (f"{DETECTOR}/count_time", np.full(12, 100.0), "ms", "exposure_time_s", 0.1),
    ],
)
def test_a_statement_of_the_file_is_handed_over_in_the_unit_of_its_name(
    tmp_path: Path, path: str, value: Any, units: str | None, name: str, wanted: float
) -> None:
    content = read(tmp_path / "a.cxi", lambda f: (cxi(f), put(f, path, value, units)))
    assert content.physics[name].value == pytest.approx(wanted, rel=1e-4)
    assert content.physics[name].place == f"dataset {path}"
    assert set(content.arrays) == {"diffraction", "positions_if_probe_moved", "positions_if_sample_moved"}
    assert not content.violations


def test_pixels_of_two_sizes_keep_both(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        cxi(file)
        put(file, f"{DETECTOR}/x_pixel_size", 20e-6)
        put(file, f"{DETECTOR}/y_pixel_size", 60e-6)

    stated = {name: said.value for name, said in read(tmp_path / "a.cxi", fill).physics.items()}
    assert stated == {"detector_pixel_width_m": 20e-6, "detector_pixel_height_m": 60e-6}


def test_a_square_pixel_in_float32_is_one_size(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        cxi(file)
        put(file, f"{DETECTOR}/x_pixel_size", np.float32(55e-6))
        put(file, f"{DETECTOR}/y_pixel_size", 55e-6)

    assert set(read(tmp_path / "a.cxi", fill).physics) == {"detector_pixel_size_m"}


@pytest.mark.parametrize(
    ("path", "value", "units", "code", "says"),
    [
        (f"{SOURCE}/energy", 8000.0, None, "physics.implausible", "8000 J (no unit is given)"),
        (f"{SOURCE}/energy", "8 keV", None, "member.dtype", "plain numbers"),
        (f"{SOURCE}/energy", 8.0, "quanta", "hdf5.unit", "the unit 'quanta'"),
        (f"{SOURCE}/energy", np.nan, "eV", "member.values", "values that are not finite"),
        (f"{SOURCE}/energy", [7000.0, 8000.0], "eV", "physics.not_one_value", "from 7000 to 8000 eV"),
        (f"{SOURCE}/wavelength", 0.0, None, "physics.implausible", "0 m"),
        (f"{DETECTOR}/distance", -1.0, "m", "physics.implausible", "-1 m"),
        (f"{DETECTOR}/x_pixel_size", 75.0, None, "physics.implausible", "75 m (no unit is given)"),
        (f"{DETECTOR}/distance", 2.5, "Mm", "hdf5.unit", "the unit 'Mm'"),
    ],
)
def test_a_statement_that_is_unclear_is_not_used_and_that_is_said(
    tmp_path: Path, path: str, value: Any, units: str | None, code: str, says: str
) -> None:
    content = read(tmp_path / "a.cxi", lambda f: (cxi(f), put(f, path, value, units)))
    assert content.physics == {}
    assert says in warnings(content)[code]
    assert "it was not used" in warnings(content)[code]


def test_two_energies_that_contradict_are_both_named_and_neither_is_used(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        cxi(file)
        put(file, f"{SOURCE}/energy", 8000 * JOULE)
        put(file, f"{SOURCE}/wavelength", 1e-10)

    content = read(tmp_path / "a.cxi", fill)
    assert content.physics == {}
    assert "found 8000 in dataset" in warnings(content)["physics.contradiction"]
    assert "and 12398.4 in dataset" in warnings(content)["physics.contradiction"]


def test_the_energy_of_a_storage_ring_is_not_that_of_photons(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        put(file, "entry/data/data", COUNTS)
        put(file, "entry/instrument/source/energy", 6.03, "GeV")
        put(file, "entry/instrument/monochromator/energy", 8.0, "keV")

    content = read(tmp_path / "a.nxs", fill)
    assert content.physics["photon_energy_eV"].value == pytest.approx(8000)
    assert not content.violations


# Positions


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


# Patterns, masks, entries


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
