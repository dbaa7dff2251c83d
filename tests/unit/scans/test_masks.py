"""Masks of every usual convention say the same, and one that hides the light is noticed and never turned around."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from smalti.contracts import SCAN
from smalti.contracts.violation import errors
from smalti.scans import Card, conform
from smalti.scans.masks import MASK_NAMES
from smalti.scans.read import names_for

Arrays = dict[str, Any]
Pixels = NDArray[np.bool_]
CARD = {"name": "a", "source": "b", "version": "1", "licence": "d"}


def card(**mask: str) -> Card:
    return Card.model_validate({**CARD, "reading": {"mask": mask}})


@pytest.fixture
def bad() -> Pixels:
    """(16, 16), a gap and a pixel away from the light."""
    pixels = np.zeros((16, 16), bool)
    pixels[2:4] = pixels[13, 9] = True
    return pixels


@pytest.fixture
def image(arrays: Arrays) -> Arrays:
    del arrays["objectGuess"]
    return arrays


WRITTEN: dict[str, tuple[Any, str]] = {
    "0 and 1": (lambda bad: bad.astype("u1"), "true_is_bad"),
    "0 and 255": (lambda bad: bad * np.uint8(255), "true_is_bad"),
    "one mask for each pattern": (lambda bad: np.repeat(bad[None], 12, 0), "true_is_bad"),
    "with an axis too many": (lambda bad: bad[..., None].astype("i8"), "true_is_bad"),
    "1 is good": (lambda bad: (~bad).astype("f8"), "true_is_good"),
    "255 is good": (lambda bad: ~bad * np.uint8(255), "true_is_good"),
    "CXI": (lambda bad: np.where(bad, 0x1 | 0x200, 0x1000).astype("u4"), "bit_field"),
    "NeXus": (lambda bad: np.where(bad, 0x8, np.arange(16) % 2 << 31).astype("u4"), "bit_field"),
    "both bits": (lambda bad: np.where(bad, 0x1008, 0).astype("i4"), "bit_field"),
}


@pytest.mark.parametrize(("write", "convention"), WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("key", ["bad_pixels", "flags"])
def test_a_mask_in_any_convention_that_the_card_names_says_the_same(
    image: Arrays, bad: Pixels, write: Any, convention: str, key: str
) -> None:
    result = conform({**image, key: write(bad)}, card(key=key, convention=convention))
    assert errors(result.violations) == ()
    assert result.value.bad_pixels.dtype == bool
    np.testing.assert_array_equal(result.value.bad_pixels, bad)
    np.testing.assert_array_equal(result.value.diffraction, np.where(bad, 0, image["diffraction"]))


def test_more_than_two_values_are_a_bit_field(image: Arrays, bad: Pixels) -> None:
    mask = np.where(bad, 0x8, 0).astype("u4")
    mask[0, 0], mask[1, 1], mask[5, 5] = 0x1000, 0x80000000, 0x1 | 0x1000
    result = conform({**image, "bad_pixels": mask})
    expected = bad.copy()
    expected[5, 5] = True
    np.testing.assert_array_equal(result.value.bad_pixels, expected)
    assert "bad_pixels: a bit field" in " ".join(result.conversions)


@pytest.mark.parametrize("name", MASK_NAMES)
def test_a_mask_is_known_by_its_name(image: Arrays, bad: Pixels, name: str) -> None:
    assert name in names_for(SCAN, None)
    good = MASK_NAMES[name] == "true_is_good"
    result = conform({**image, name: (~bad if good else bad).astype("u1")})
    np.testing.assert_array_equal(result.value.bad_pixels, bad)
    assert f"bad_pixels: named {name} in the file" in result.conversions
    assert not any(v.code == "key.unknown" for v in result.violations)


@pytest.mark.parametrize("good", [False, True])
def test_a_mask_of_an_open_name_is_read_as_it_hides_the_least_light(image: Arrays, bad: Pixels, good: bool) -> None:
    result = conform({**image, "mask": ~bad if good else bad})
    np.testing.assert_array_equal(result.value.bad_pixels, bad)
    says = f"bad_pixels: what is not 0 taken as {'good' if good else 'bad'}, for so it hides "
    assert any(conversion.startswith(says) for conversion in result.conversions)


def test_a_mask_that_hides_half_is_asked_about(image: Arrays) -> None:
    half = np.zeros((16, 16), bool)
    half[:, :8] = True
    image["diffraction"] = np.full((12, 16, 16), 1.5, "f4")
    asked = conform({**image, "mask": half}, file_name="a.npz").violations
    [violation] = [v for v in asked if v.code == "bad_pixels.convention"]
    assert violation.remedy == "write reading.mask.convention: true_is_bad (or true_is_good) in a.npz.card.yaml"
    assert violation.severity == "error"


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_an_inverted_mask_is_a_warning_and_stays_as_it_is(seed: int) -> None:
    random = np.random.default_rng(seed)
    row, col = np.mgrid[:16, :16] - 8
    counts = random.poisson(200 * np.exp(-(row**2 + col**2) / 8), (12, 16, 16))
    good = (random.random((16, 16)) < 0.97) | (np.hypot(row, col) < 2)
    steps = np.arange(12.0)
    result = conform({"diffraction": counts, "xcoords": steps, "ycoords": steps, "bad_pixels": good}, file_name="a.npz")
    [warning] = [v for v in result.violations if v.code == "bad_pixels.hides_light"]
    assert warning.severity == "warning"
    assert " of the light; turned around the mask would hide " in warning.found
    assert "write reading.mask.convention: true_is_good in a.npz.card.yaml" in warning.remedy
    assert not any("turned around" in conversion for conversion in result.conversions)
    if result.value is not None:
        np.testing.assert_array_equal(result.value.bad_pixels, good)


def test_the_card_is_told_of_a_mask_that_it_reads_the_wrong_way(image: Arrays, bad: Pixels) -> None:
    result = conform({**image, "bad_pixels": bad}, card(convention="true_is_good"))
    [warning] = [v for v in result.violations if v.code == "bad_pixels.hides_light"]
    assert "write reading.mask.convention: true_is_bad" in warning.remedy


def test_codes_are_no_light_that_a_mask_could_hide(image: Arrays, counts: Any, bad: Pixels) -> None:
    patterns = counts.astype("u4")
    patterns[:, bad] = 2**32 - 1
    result = conform({**image, "diffraction": patterns, "bad_pixels": bad})
    assert errors(result.violations) == ()
    assert "bad_pixels.hides_light" not in {v.code for v in result.violations}


def test_what_has_another_shape_is_no_mask_of_the_detector(image: Arrays) -> None:
    result = conform({**image, "mask": np.ones((40, 48), bool)})
    assert result.value.bad_pixels is None
    assert "key.unknown" in {v.code for v in result.violations}


def test_bad_pixels_win_over_other_names(image: Arrays, bad: Pixels) -> None:
    result = conform({**image, "bad_pixels": bad, "mask": np.eye(16, dtype=bool)})
    np.testing.assert_array_equal(result.value.bad_pixels, bad)


def test_a_mask_that_the_card_names_and_the_file_lacks_is_missing(image: Arrays) -> None:
    [violation] = errors(conform(image, card(key="flags")).violations)
    assert (violation.code, violation.place) == ("key.missing", "bad_pixels")
