"""Codes of a detector are never counts: where they stand in every pattern they are bad pixels, or are asked about."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from smalti.contracts import ValidationResult
from smalti.contracts.violation import errors
from smalti.scans import Card, conform
from smalti.scans.detector_codes import named

CARD = {"name": "a", "source": "b", "version": "1", "licence": "d"}
GAP = (slice(None), slice(5, 8))  # rows 5 to 7 of every pattern
ROWS = np.zeros((16, 16), bool)
ROWS[5:8] = True


def scan(patterns: NDArray[Any], **more: Any) -> dict[str, Any]:
    steps = np.arange(float(len(patterns)))
    return {"diffraction": patterns, "xcoords": 3 * steps, "ycoords": steps, **more}


def card(**diffraction: str) -> Card:
    return Card.model_validate({**CARD, "reading": {"diffraction": diffraction}})


def codes(result: ValidationResult) -> list[str]:
    return [v.code for v in result.violations if not v.code.startswith("physics")]


HELD = [
    ("u1", 2**8 - 1), ("u2", 2**16 - 1), ("u2", 2**16 - 2), ("u4", 2**32 - 1), ("u4", 2**32 - 2), ("u8", 2**64 - 1),
    ("i2", 2**15 - 1), ("i4", 2**31 - 1), (">i4", -1), ("i4", -2), ("i2", -2**15), ("i8", -9999),
    ("u4", 2**16 - 1), ("i4", 2**16 - 1), ("i8", 2**32 - 1), ("f4", 2**32 - 1), ("f8", 2**32 - 2), ("f4", 2**16 - 1),
    ("f4", -1), ("f8", -2), ("f4", (2**32 - 1) ** 0.5), ("f8", (2**16 - 1) ** 0.5),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "held"), HELD)
@pytest.mark.parametrize("corner", [False, True])
def test_a_code_in_the_same_pixels_of_every_pattern_makes_them_bad(
    counts: NDArray[np.int64], dtype: str, held: float, corner: bool
) -> None:
    few = np.minimum(counts, 200)
    few[:, 0, :] = 0  # a detector has dark pixels too
    patterns = (np.fft.ifftshift(few, axes=(1, 2)) if corner else few).astype(dtype)
    patterns[GAP] = held
    result = conform(scan(patterns))
    assert codes(result) == []
    bad = np.fft.fftshift(ROWS) if corner else ROWS
    np.testing.assert_array_equal(result.value.bad_pixels, bad)
    np.testing.assert_array_equal(result.value.diffraction, np.where(bad, 0, np.sqrt(few.astype("f4"))))
    [note] = [c for c in result.conversions if "taken as bad pixels" in c]
    assert note.startswith("bad_pixels: 48 pixels (rows 5 to 7) hold ")
    assert " in every pattern" in note


def test_the_mask_of_the_file_is_extended_and_never_dropped(counts: NDArray[np.int64]) -> None:
    patterns = counts.astype("u4")
    patterns[GAP] = 2**32 - 1
    own = np.zeros((16, 16), bool)
    own[12, 3] = True
    result = conform(scan(patterns, bad_pixels=own))
    np.testing.assert_array_equal(result.value.bad_pixels, own | ROWS)
    covered = conform(scan(patterns, bad_pixels=own | ROWS))
    assert not any("taken as bad" in conversion for conversion in covered.conversions)


def test_a_pattern_in_ten_may_lack_the_code(counts: NDArray[np.int64]) -> None:
    patterns = np.concatenate([counts, counts]).astype("u4")
    patterns[GAP] = 2**32 - 1
    patterns[7, 5:8] = 0
    result = conform(scan(patterns))
    np.testing.assert_array_equal(result.value.bad_pixels, ROWS)
    assert "in nearly every one of 24 patterns" in " ".join(result.conversions)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4"])
def test_a_saturated_beam_is_asked_about_and_either_answer_is_taken(dtype: str) -> None:
    held = 255 if dtype == "u1" else 65535
    row, col = np.mgrid[:16, :16] - 8
    patterns = np.rint(held * 4 * np.exp(-(row**2 + col**2) / 12)).clip(0, held)[None].repeat(6, 0).astype(dtype)
    beam = patterns[0] == held
    result = conform(scan(patterns), file_name="a.npz")
    [violation] = errors(result.violations)
    assert violation.code == "diffraction.codes"
    assert f"{beam.sum()} pixels (rows " in violation.found
    assert f"that hold {held} in every pattern" in violation.found
    assert "mark them in bad_pixels, or write reading.diffraction.codes: bad in a.npz.card.yaml" in violation.remedy
    masked = conform(scan(patterns), card(codes="bad"))
    np.testing.assert_array_equal(masked.value.bad_pixels, beam)
    kept = conform(scan(patterns), card(codes="signal"))
    assert kept.value.bad_pixels is None
    np.testing.assert_array_equal(kept.value.diffraction, np.sqrt(patterns.astype("f4")))
    given_mask = conform(scan(patterns, bad_pixels=beam))
    assert codes(given_mask) == []


@given(st.integers(0, 11), st.integers(0, 15), st.integers(0, 15), st.sampled_from(["u2", "u4", "i4"]))
def test_the_largest_number_in_one_pattern_is_a_warning_that_names_the_pixel(
    n: int, row: int, column: int, dtype: str
) -> None:
    rows, columns = np.mgrid[:16, :16] - 8
    patterns = np.random.default_rng(1).poisson(200 * np.exp(-(rows**2 + columns**2) / 8), (12, 16, 16)).astype(dtype)
    clean = patterns.copy()
    patterns[n, row, column] = np.iinfo(dtype).max
    result = conform(scan(patterns))
    assert codes(result) == ["diffraction.saturated"]
    [warning] = [v for v in result.violations if v.code == "diffraction.saturated"]
    assert (warning.severity, warning.index) == ("warning", (n, row, column))
    assert f"mark pixel {[row, column]} in bad_pixels" in warning.remedy
    others = np.ones(patterns.shape, bool)
    others[n, row, column] = False
    np.testing.assert_array_equal(result.value.diffraction[others], np.sqrt(clean.astype("f4"))[others])
    assert result.value.bad_pixels is None


@pytest.mark.parametrize("dtype", ["u4", "f4"])
def test_a_hot_pixel_of_one_pattern_is_a_warning_that_names_it(counts: NDArray[np.int64], dtype: str) -> None:
    patterns = counts.astype(dtype)
    patterns[4, 2, 3] = 1e6
    [warning] = [v for v in conform(scan(patterns)).violations if v.code == "diffraction.hot_pixel"]
    assert (warning.severity, warning.index) == ("warning", (4, 2, 3))
    assert "1 of 12 patterns with a hot pixel (first at [4, 2, 3]: 1e+06)" in warning.found
    marked = np.zeros((16, 16), bool)
    marked[2, 3] = True
    assert codes(conform(scan(patterns, bad_pixels=marked))) == []


@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_no_number_in_the_same_pixels_is_refused_with_the_mask_as_remedy(
    counts: NDArray[np.int64], hole: float
) -> None:
    patterns = counts.astype("f4")
    patterns[GAP] = hole
    result = conform(scan(patterns), file_name="a.npz")
    [violation] = errors(result.violations)
    assert violation.code == "array.not_finite"
    assert "48 pixels (rows 5 to 7) that hold NaN or infinity in every pattern" in violation.found
    assert "bad_pixels" in violation.remedy
    masked = conform(scan(patterns), card(codes="bad"))
    np.testing.assert_array_equal(masked.value.bad_pixels, ROWS)
    assert "as the card says" in " ".join(masked.conversions)


@pytest.mark.parametrize("stated", [None, "bad", "signal"])
def test_no_number_here_and_there_is_refused_with_its_place(counts: NDArray[np.int64], stated: str | None) -> None:
    patterns = counts.astype("f4")
    patterns[2, 3, 4] = patterns[9, 1, 1] = np.nan
    result = conform(scan(patterns), card(codes=stated) if stated else None)
    [violation] = errors(result.violations)
    assert (violation.code, violation.index) == ("array.not_finite", (2, 3, 4))
    assert "2 of 3072 values (first at [2, 3, 4]) that are NaN or infinite" in violation.found


def test_background_below_zero_is_no_code(counts: NDArray[np.int64]) -> None:
    patterns = (counts - np.random.default_rng(0).integers(0, 6, counts.shape)).astype("i4")
    [violation] = errors(conform(scan(patterns)).violations)
    assert violation.code == "array.below_minimum"


def test_empty_patterns_are_named(counts: NDArray[np.int64]) -> None:
    patterns = counts.astype("u2")
    patterns[3:10] = 0
    result = conform(scan(patterns))
    assert result.accepted
    [warning] = [v for v in result.violations if v.code == "diffraction.empty_patterns"]
    assert "7 of 12 patterns that are nothing but zeros (3, 4, 5, 6, 7, 8, ...)" in warning.found
    assert warning.index == (3,)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.s_[2:5, :], "48 pixels (rows 2 to 4)"),
        (np.s_[:, 7], "16 pixels (column 7)"),
        (np.s_[1:3, 4:6], "4 pixels (rows 1 to 2, columns 4 to 5)"),
        (np.s_[9, 3], "1 pixel ([9, 3])"),
        (np.s_[:, :], "256 pixels (all over the detector)"),
    ],
)
def test_pixels_are_named_by_their_rows_and_columns(pixels: Any, words: str) -> None:
    where = np.zeros((16, 16), bool)
    where[pixels] = True
    assert named(where) == words
