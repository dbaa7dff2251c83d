"""Forms of a scan that leave something open: what is converted, what is asked, and that x and y are never guessed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smalti.codecs.scan import Scan
from smalti.contracts import SCAN, FieldSpec, ValidationResult
from smalti.contracts.violation import errors
from smalti.scans import Card, conform

Arrays = dict[str, Any]
CARD = {"name": "star", "source": "a beamline", "version": "1", "licence": "CC0-1.0"}


def card(**sections: Any) -> Card:
    return Card.model_validate({**CARD, **sections})


def accepted(outcome: ValidationResult) -> Scan:
    assert outcome.value is not None, [str(v) for v in outcome.violations]
    return outcome.value


@pytest.fixture
def wide(arrays: Arrays) -> Arrays:
    """A scan of a wide object: its positions fit it only as they are, not swapped."""
    arrays["objectGuess"] = np.ones((32, 80), np.complex64)
    arrays["xcoords"] = np.linspace(8, 70, 12)
    arrays["ycoords"] = np.linspace(9, 22, 12)
    return arrays


def test_swapped_positions_are_refused_and_named_never_swapped(wide: Arrays) -> None:
    accepted(conform(wide))
    wide["xcoords"], wide["ycoords"] = wide["ycoords"], wide["xcoords"]
    outcome = conform(wide)
    assert outcome.value is None
    [violation] = errors(outcome.violations)
    assert (violation.code, violation.place) == ("positions.outside_object", "ycoords")
    assert "with xcoords and ycoords swapped they would fit, and so they would on a transposed objectGuess" in str(
        violation
    )
    assert "swap xcoords and ycoords, or transpose objectGuess, whichever was saved wrong" in violation.remedy


def test_an_object_that_the_positions_leave_is_not_used_and_that_is_said(wide: Arrays) -> None:
    wide["xcoords"] = wide["xcoords"] + 500
    outcome = conform(wide)
    scan = accepted(outcome)
    assert scan.object_guess is None
    assert scan.metadata.object_role is None
    assert "objectGuess: left out, for the positions leave it" in scan.metadata.conversions
    [warning] = [v for v in outcome.violations if v.code == "positions.outside_object"]
    assert warning.severity == "warning"
    assert "swapped" not in str(warning)


def test_positions_that_fit_both_ways_are_read_as_they_are_named(arrays: Arrays) -> None:
    arrays["xcoords"], arrays["ycoords"] = np.linspace(8, 30, 12), np.linspace(9, 29, 12)
    scan = accepted(conform(arrays))
    np.testing.assert_array_equal(scan.xcoords, arrays["xcoords"])
    assert scan.metadata.conversions == ()


def table_of(arrays: Arrays) -> Arrays:
    table = np.stack([arrays.pop("ycoords"), arrays.pop("xcoords")], axis=1)
    return {**arrays, "scan": table[np.newaxis]}


def test_one_table_of_positions_is_asked_about_with_both_readings(arrays: Arrays) -> None:
    del arrays["objectGuess"]
    asked = [v for v in conform(table_of(arrays), file_name="a.npz").violations if v.code == "key.missing"]
    assert [v.place for v in asked] == ["xcoords", "ycoords"]
    for violation in asked:
        assert "scan of 12 x 2 numbers may hold both, as [y, x] or [x, y]" in violation.found
        assert violation.remedy == (
            "write reading.positions: {key: scan, order: [y, x]} in a.npz.card.yaml (or order: [x, y])"
        )


def test_one_table_that_fits_the_object_only_one_way_says_which(wide: Arrays) -> None:
    asked = [v for v in conform(table_of(wide), file_name="a.npz").violations if v.code == "key.missing"]
    for violation in asked:
        assert "may hold both, as [y, x], for only so they lie on objectGuess" in violation.found
        assert violation.remedy == "write reading.positions: {key: scan, order: [y, x]} in a.npz.card.yaml"


@pytest.mark.parametrize("order", [["y", "x"], ["x", "y"]])
def test_the_order_a_card_states_is_taken(arrays: Arrays, order: list[str]) -> None:
    del arrays["objectGuess"]
    foreign = table_of(arrays)
    scan = accepted(conform(foreign, card(reading={"positions": {"key": "scan", "order": order}})))
    np.testing.assert_array_equal(scan.xcoords, foreign["scan"][0, :, order.index("x")])


def test_metres_become_pixels_of_the_size_that_the_geometry_gives(arrays: Arrays) -> None:
    """At 12.39841984332003 keV the wavelength is 0.1 nm; 2 m away, 16 pixels of 75 µm give one of 1/6 µm."""
    pixel = 1e-10 * 2 / (16 * 75e-6)
    metres = {key: arrays[key] * pixel for key in ("xcoords", "ycoords")}
    physics = {
        "photon_energy_eV": {"value": 12398.41984332003},
        "detector_distance_m": {"value": 2, "assumed": True},
        "detector_pixel_size_m": {"value": 75e-6},
    }
    said = card(reading={"positions": {"unit": "m"}}, physics=physics)
    scan = accepted(conform({**arrays, **metres}, said))
    np.testing.assert_allclose(scan.xcoords, arrays["xcoords"], rtol=1e-12)
    assert "xcoords: metres to pixels of 1.66667e-07 m (assumed)" in scan.metadata.conversions
    stated = card(reading={"positions": {"unit": "m"}}, physics={**physics, "object_pixel_size_m": {"value": 1e-7}})
    assert "xcoords: metres to pixels of 1e-07 m" in (conform({**arrays, **metres}, stated).conversions)


def test_patches_that_lie_as_the_patterns_do_are_moved_with_them(arrays: Arrays) -> None:
    last = {"diffraction": np.moveaxis(arrays["diffraction"], 0, -1), "Y": np.ones((16, 16, 12), "c8")}
    scan = accepted(conform({**arrays, **last}))
    assert scan.metadata.conversions == (
        "diffraction: last axis moved to the front",
        "Y: last axis moved to the front",
    )


def test_the_axis_of_the_modes_is_asked_when_both_fit_and_either_answer_is_taken(arrays: Arrays) -> None:
    probe = np.arange(16**3).reshape(16, 16, 16).astype("c8")
    [asked] = conform({**arrays, "probeGuess": probe}, file_name="a.npz").violations
    assert asked.code == "probeGuess.mode_axis"
    assert asked.remedy == "write reading.probe.mode_axis: first (or last) in a.npz.card.yaml"
    first, last = (
        accepted(conform({**arrays, "probeGuess": probe}, card(reading={"probe": {"mode_axis": axis}}))).probe_guess
        for axis in ("first", "last")
    )
    np.testing.assert_array_equal(first, probe)
    np.testing.assert_array_equal(last, np.moveaxis(probe, -1, 0))


@pytest.mark.parametrize("dtype", ["u1", "i2", "<u4", ">i8", "f2", "f8"])
@pytest.mark.parametrize("corner", [False, True])
@pytest.mark.parametrize("axis", [0, -1])
def test_counts_of_any_type_and_layout_become_the_same_amplitudes(
    arrays: Arrays, counts: Any, dtype: str, corner: bool, axis: int
) -> None:
    few = np.minimum(counts, 200)
    patterns = np.fft.ifftshift(few, axes=(1, 2)) if corner else few
    foreign = {**arrays, "diffraction": np.moveaxis(patterns, 0, axis).astype(dtype)}
    scan = accepted(conform(foreign))
    np.testing.assert_array_equal(scan.diffraction, np.sqrt(few.astype("f4")))
    said = " ".join(scan.metadata.conversions)
    assert ("fftshift" in said, "moved to the front" in said) == (corner, axis == -1)
    assert "square root" in said


def test_negative_counts_are_refused_with_their_place(arrays: Arrays, counts: Any) -> None:
    counts[2, 3, 4] = -7
    [violation] = conform({**arrays, "diffraction": counts}).violations
    assert (violation.code, violation.index) == ("array.below_minimum", (2, 3, 4))
    assert "subtract the background" in violation.remedy


def test_a_contract_that_asks_for_more_is_recorded_with_the_scan(arrays: Arrays) -> None:
    energy = FieldSpec(key="photon_energy_eV", meaning="Photon energy.", unit="eV", minimum=5000)
    mine = SCAN.extended("beamline", 4, "Ours.", fields=(energy,))
    [violation] = conform(arrays, card(), mine).violations
    assert violation.code == "field.missing"
    [violation] = conform(arrays, card(physics={"photon_energy_eV": {"value": 800}}), mine).violations
    assert violation.code == "field.out_of_range"
    scan = accepted(conform(arrays, card(physics={"photon_energy_eV": {"value": 8800}}), mine))
    assert scan.metadata.contract == "beamline/4"


@pytest.mark.parametrize("shape", [(3, 1, 16, 16), (3, 2, 16, 16), (16, 16, 1, 3), (16, 16, 2, 3), (2, 3, 1, 16, 16)])
def test_coherent_modes_are_no_incoherent_ones(arrays: Arrays, shape: tuple[int, ...]) -> None:
    arrays["probeGuess"] = np.ones(shape, "c8")
    [violation] = errors(conform(arrays).violations)
    assert violation.code == "probeGuess.coherent_modes"
    assert f"shape {shape}, which has {2 if len(shape) == 5 else 3} coherent (OPR) modes" in violation.found
    assert "they are no incoherent modes" in violation.found
    assert ("probeGuess[..., 0]" if shape[0] == 16 else "probeGuess[0]") in violation.remedy


@pytest.mark.parametrize(
    ("shape", "modes"),
    [
        ((16, 16), 1),
        ((16, 16, 1), 1),
        ((1, 16, 16), 1),
        ((1, 1, 16, 16), 1),
        ((1, 3, 16, 16), 3),
        ((16, 16, 3, 1), 3),
        ((1, 1, 1, 1, 16, 16), 1),
        ((1, 1, 1, 3, 16, 16), 3),
        ((16, 16, 3), 3),
    ],
)
def test_incoherent_modes_come_first_whatever_axes_stand_around_them(
    arrays: Arrays, shape: tuple[int, ...], modes: int
) -> None:
    planes = np.arange(modes * 256).reshape(modes, 16, 16).astype("c8")
    last = shape[0] == 16
    arrays["probeGuess"] = (np.moveaxis(planes, 0, -1) if last else planes).reshape(shape)
    np.testing.assert_array_equal(accepted(conform(arrays)).probe_guess, planes)


def test_more_patterns_than_positions_are_refused_with_both_numbers(arrays: Arrays) -> None:
    arrays["diffraction"] = np.concatenate([arrays["diffraction"], arrays["diffraction"][:1]])
    del arrays["scan_index"]
    broken = errors(conform(arrays).violations)
    assert [(v.code, v.place) for v in broken] == [("dimension.mismatch", "xcoords"), ("dimension.mismatch", "ycoords")]
    assert all("found N = 12, wanted N = 13 as in diffraction" in str(v) for v in broken)


def test_a_position_that_is_no_number_is_named_by_its_index(arrays: Arrays) -> None:
    arrays["ycoords"][7] = np.nan
    [violation] = errors(conform(arrays).violations)
    assert (violation.code, violation.place, violation.index) == ("array.not_finite", "ycoords", (7,))
