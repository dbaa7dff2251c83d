"""Physics of card and file: the file's is used, the card's wins, and a contradiction is said with both numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.codecs.scan import Stated, object_pixel_m
from smalti.contracts.violation import errors
from smalti.datasets.splits import split_positions
from smalti.errors import Refused
from smalti.formats import Content
from smalti.formats.content import Statement
from smalti.models.ptychography import TOKENS_PER_SIDE
from smalti.scans import Card, conform
from smalti.scans.physics import FIELDS

Arrays = dict[str, Any]
CARD = {"name": "a", "source": "b", "version": "1", "licence": "d"}
FILE = {
    "photon_energy_eV": Statement(8000.0, "entry_1/source_1/energy"),
    "detector_distance_m": Statement(2.0, "entry_1/detector_1/distance"),
    "detector_pixel_size_m": Statement(75e-6, "entry_1/detector_1/x_pixel_size"),
}
PIXEL_M = 1.239841984332003e-6 / 8000 * 2 / (16 * 75e-6)


def card(**sections: Any) -> Card:
    return Card.model_validate({**CARD, **sections})


def test_what_the_file_states_is_used_and_its_place_kept(arrays: Arrays) -> None:
    result = conform(Content(arrays, FILE), card())
    assert result.violations == ()
    metadata = result.value.metadata
    assert metadata.photon_energy_eV == Stated(value=8000, note="stated by the file (entry_1/source_1/energy)")
    assert object_pixel_m(metadata, 16).value == pytest.approx(PIXEL_M)


def test_a_number_under_the_name_of_a_field_is_a_statement(arrays: Arrays) -> None:
    said = {field: np.array([statement.value]) for field, statement in FILE.items()}
    result = conform({**arrays, **said})
    assert result.violations == ()
    assert result.value.metadata.detector_distance_m.value == 2


def test_positions_in_metres_need_no_more_than_what_the_file_states(arrays: Arrays) -> None:
    metres = {key: arrays[key] * PIXEL_M for key in ("xcoords", "ycoords")}
    result = conform(Content({**arrays, **metres}, FILE), card(reading={"positions": {"unit": "m"}}))
    np.testing.assert_allclose(result.value.xcoords, arrays["xcoords"], rtol=1e-12)


@given(st.floats(1.002, 100) | st.floats(0.01, 0.998), st.sampled_from(sorted(FILE)))
def test_a_contradiction_is_refused_with_both_numbers(factor: float, field: str) -> None:
    arrays = {"diffraction": np.ones((2, 4, 4)), "xcoords": np.arange(2.0), "ycoords": np.zeros(2)}
    mine = FILE[field].value * factor
    result = conform(Content(arrays, FILE), card(physics={field: {"value": mine}}), file_name="a.h5")
    [violation] = [v for v in errors(result.violations) if v.code == "physics.contradiction"]
    assert violation.place == field
    assert f"{FILE[field].value:g} ({FILE[field].place}) in the file and {mine:g} in the card" in violation.found
    assert f"correct physics.{field} in a.h5.card.yaml" in violation.remedy


def test_the_same_number_in_fewer_digits_is_no_contradiction(arrays: Arrays) -> None:
    result = conform(Content(arrays, FILE), card(physics={"photon_energy_eV": {"value": 8001}}))
    assert result.violations == ()
    assert result.value.metadata.photon_energy_eV.value == 8001


def test_what_the_card_only_assumes_gives_way_to_the_file(arrays: Arrays) -> None:
    result = conform(Content(arrays, FILE), card(physics={"photon_energy_eV": {"value": 12000, "assumed": True}}))
    assert result.value.metadata.photon_energy_eV.value == 8000
    assert result.value.metadata.assumptions() == ()
    assert "where it is assumed; the file's is taken" in result.conversions[0]


def test_a_card_may_correct_the_file(arrays: Arrays) -> None:
    physics = {"photon_energy_eV": {"value": 12000}, "corrects_file": True}
    result = conform(Content(arrays, FILE), card(physics=physics))
    assert result.value.metadata.photon_energy_eV.value == 12000
    assert "the card corrects the file" in result.conversions[0]


WIDE = {"detector_pixel_width_m": Statement(75e-6, "x"), "detector_pixel_height_m": Statement(150e-6, "y")}


def test_pixels_that_are_not_square_give_each_axis_its_own_scale(arrays: Arrays) -> None:
    del arrays["objectGuess"]
    metres = {"xcoords": arrays["xcoords"] * PIXEL_M, "ycoords": arrays["ycoords"] * PIXEL_M / 2}
    result = conform(Content({**arrays, **metres}, {**FILE, **WIDE}), card(reading={"positions": {"unit": "m"}}))
    for key in ("xcoords", "ycoords"):
        np.testing.assert_allclose(getattr(result.value, key), arrays[key], rtol=1e-12)
    metadata = result.value.metadata
    assert metadata.detector_pixel_size_m is None
    assert (metadata.detector_pixel_width_m.value, metadata.detector_pixel_height_m.value) == (75e-6, 150e-6)
    assert object_pixel_m(metadata, 16) is None
    [warning] = result.violations
    assert (warning.code, warning.severity) == ("physics.pixel_size", "warning")
    assert "m wide and " in warning.found


def test_one_size_in_the_card_contradicts_two_in_the_file(arrays: Arrays) -> None:
    stated = {"detector_pixel_size_m": {"value": 75e-6}}
    result = conform(Content(arrays, {**FILE, **WIDE}), card(physics=stated))
    [violation] = errors(result.violations)
    assert "0.00015 (y) in the file and 7.5e-05 in the card" in violation.found
    assumed = {"detector_pixel_size_m": {"value": 75e-6, "assumed": True}}
    metadata = conform(Content(arrays, {**FILE, **WIDE}), card(physics=assumed)).value.metadata
    assert metadata.detector_pixel_size_m is None
    assert metadata.detector_pixel_height_m.value == 150e-6


def test_width_and_height_that_agree_are_one_size(arrays: Arrays) -> None:
    alike = {name: Statement(75e-6, "x") for name in WIDE}
    metadata = conform(Content(arrays, {**FILE, **alike}), card()).value.metadata
    assert metadata.detector_pixel_size_m.value == 75e-6
    assert metadata.detector_pixel_width_m is None


def test_what_is_no_positive_number_states_nothing(arrays: Arrays) -> None:
    nothing = {field: Statement(value, "x") for field, value in zip(FILE, (0.0, -1.0, np.nan), strict=True)}
    metadata = conform(Content(arrays, nothing)).value.metadata
    assert all(getattr(metadata, field) is None for field in FIELDS)


@pytest.mark.parametrize(
    ("physics", "codes"),
    [
        ({}, ["physics.pixel_size"]),
        ({"object_pixel_size_m": {"value": 1e-7}}, []),
        ({"far_field": False}, ["physics.near_field", "physics.pixel_size"]),
        ({"far_field": False, "object_pixel_size_m": {"value": 1e-7}}, ["physics.near_field"]),
        (
            {
                "far_field": False,
                "object_pixel_size_m": {"value": 1e-7},
                "photon_energy_eV": {"value": 8e3},
                "detector_distance_m": {"value": 1},
            },
            [],
        ),
    ],
)
def test_what_will_not_come_of_a_scan_is_said_when_it_is_accepted(
    arrays: Arrays, physics: dict[str, Any], codes: list[str]
) -> None:
    del arrays["objectGuess"]
    result = conform(arrays, card(physics=physics))
    assert result.accepted
    assert [v.code for v in result.violations] == codes
    assert {v.severity for v in result.violations} <= {"warning"}


def test_a_stated_object_pixel_that_the_geometry_does_not_give_is_a_warning(arrays: Arrays) -> None:
    result = conform(Content(arrays, FILE), card(physics={"object_pixel_size_m": {"value": 5e-8}}))
    [warning] = result.violations
    assert (warning.code, warning.severity) == ("physics.contradiction", "warning")
    assert f"5e-08 m stated and {PIXEL_M:g} m from" in warning.found


def test_one_pattern_is_accepted_and_what_will_not_come_of_it_is_said(arrays: Arrays) -> None:
    one = {key: a[:1] if len(a) == 12 else a for key, a in arrays.items()}
    result = conform(Content(one, FILE))
    assert result.value.diffraction.shape == (1, 16, 16)
    [violation] = result.violations
    assert (violation.code, violation.severity) == ("diffraction.one_pattern", "warning")
    assert "no run reconstructs it; call smalti.ptycho.solve.solver.solve" in violation.remedy
    with pytest.raises(Refused, match="a scan of 1 position cannot be split"):
        split_positions(result.value)


@pytest.mark.parametrize("count", [2, 3])
def test_two_patterns_and_three_are_split_and_nothing_is_said(arrays: Arrays, count: int) -> None:
    some = {key: a[:count] if len(a) == 12 else a for key, a in arrays.items()}
    result = conform(Content(some, FILE))
    assert result.violations == ()
    split = split_positions(result.value)
    assert (len(split["train"]), len(split["validation"])) == (count - 1, 1)


def test_patterns_that_are_smaller_than_the_patches_of_a_network_are_told(arrays: Arrays) -> None:
    side = TOKENS_PER_SIDE
    for size, codes in ((side, []), (side - 1, ["diffraction.too_small"])):
        low, high = 8 - size // 2, 8 + (size + 1) // 2
        small = {k: a[..., low:high, low:high] if a.shape[-2:] == (16, 16) else a for k, a in arrays.items()}
        result = conform(small, card(physics={"object_pixel_size_m": {"value": 1e-7}}))
        assert [v.code for v in result.violations if v.code != "positions.unit"] == codes
