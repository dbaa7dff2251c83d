"""What a CXI or NeXus file states of its experiment is handed over; what is unclear is said and not used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.unit.formats.hdf5.nexus_files import COUNTS, DETECTOR, JOULE, SOURCE, cxi, put, read, warnings


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
