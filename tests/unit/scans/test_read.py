"""Reading files: the measured star by its card, and files that are not what their card says."""

from __future__ import annotations

import bz2
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti.errors import ContractBroken
from smalti.formats import read_arrays
from smalti.formats.regular_file import sha256_of
from smalti.scans import Card, conform, read_scan, validate_scan
from smalti.scans.shipped import card_for
from smalti.simulation import card_fields, simulate_scan, write_raw_npz


def test_the_star_is_read_by_its_shipped_card(star_path: Path) -> None:
    scan = read_scan(star_path, card_for(star_path))
    assert scan.diffraction.shape == (516, 128, 128)
    assert scan.diffraction.dtype == np.float32
    mean = (scan.diffraction**2).mean(axis=0)
    corners = np.fft.fftshift(mean)
    assert mean[32:96, 32:96].sum() > 900 * corners[32:96, 32:96].sum()
    assert np.unravel_index(mean.argmax(), mean.shape) == pytest.approx((64, 64), abs=20)
    assert scan.probe_guess is not None
    assert scan.probe_guess.shape == (1, 128, 128)
    assert scan.object_guess is None
    assert (np.ptp(scan.xcoords), np.ptp(scan.ycoords)) == pytest.approx((328.9, 331.9), abs=0.1)
    assert scan.metadata.name == "siemens-star-small"
    assert [line.split(" = ")[0] for line in scan.metadata.assumptions()] == [
        "photon_energy_eV",
        "detector_distance_m",
        "detector_pixel_size_m",
    ]
    assert all("nothing in the file supports it" in line for line in scan.metadata.assumptions())
    assert {
        "diffraction: named data in the file",
        "xcoords: column 1 of shape (516, 2)",
        "ycoords: column 0 of shape (516, 2)",
        "diffraction: counts to amplitude by the square root",
        "diffraction: DC moved from the corner to the centre (fftshift)",
    } <= set(scan.metadata.conversions)


def test_the_values_of_the_star_agree_with_its_card(star_path: Path) -> None:
    """Nothing but the names must be told: quantity, DC, axes and unit are settled by the values, the same way."""
    card = card_for(star_path)
    assert card is not None
    diffraction = card.reading.diffraction.model_copy(update={"quantity": None, "dc": None, "stack_axis": None})
    silent = card.model_copy(update={"reading": card.reading.model_copy(update={"diffraction": diffraction})})
    told, untold = read_scan(star_path, card), read_scan(star_path, silent)
    np.testing.assert_array_equal(told.diffraction, untold.diffraction)
    assert told.metadata == untold.metadata


def test_the_star_loses_nothing_on_the_way(star_path: Path) -> None:
    scan = read_scan(star_path, card_for(star_path))
    raw = read_arrays(star_path)["data"][0]
    shifted_back = np.fft.ifftshift(scan.diffraction, axes=(1, 2))
    np.testing.assert_allclose(shifted_back.astype("f8") ** 2, raw, atol=1e-3)


def test_without_its_card_the_star_says_which_keys_it_lacks(star_path: Path) -> None:
    outcome = conform(read_arrays(star_path))
    assert outcome.value is None
    assert [(v.code, v.place) for v in outcome.violations if v.severity == "error"] == [
        ("key.missing", "diffraction"),
        ("key.missing", "xcoords"),
        ("key.missing", "ycoords"),
    ]


def test_a_simulated_file_needs_no_conversion(tmp_path: Path) -> None:
    scan = simulate_scan("sim", positions_per_side=3)
    write_raw_npz(scan, tmp_path / "sim.npz")
    outcome = validate_scan(tmp_path / "sim.npz")
    assert [v.code for v in outcome.violations] == ["physics.pixel_size"]
    described = validate_scan(tmp_path / "sim.npz", Card.model_validate(card_fields(scan)))
    assert described.violations == ()
    assert outcome.value is not None
    assert outcome.value.metadata.conversions == ()
    np.testing.assert_array_equal(outcome.value.diffraction, scan.diffraction)


def test_a_card_of_another_file_is_refused(tmp_path: Path, arrays: dict[str, Any]) -> None:
    path = tmp_path / "scan.npz.bz2"
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    path.write_bytes(bz2.compress(buffer.getvalue()))
    said = {"name": "a", "source": "b", "version": "c", "licence": "d"}
    assert read_scan(path, Card(**said, sha256=sha256_of(path))).metadata.name == "a"
    with pytest.raises(ContractBroken, match=r"wanted 0000.* as its card says; get that version"):
        read_scan(path, Card(**said, sha256="0" * 64))
