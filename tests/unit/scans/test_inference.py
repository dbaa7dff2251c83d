"""What numbers say of themselves, and that two possible readings are never settled by guessing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.scans import inference
from smalti.scans.inference import DC, QUANTITY, STACK_AXIS, Inference, resolve


@given(st.floats(0.5, 1e6), st.integers(0, 99), st.sampled_from(["f4", "f8"]))
def test_counts_and_their_roots_are_told_apart(photons: float, seed: int, dtype: str) -> None:
    counts = np.random.default_rng(seed).poisson(photons, (4, 8, 8)).astype(dtype)
    counts[0, 0, :4] = [2, 3, 5, 6]
    assert inference.quantity_of(counts).says == "counts"
    assert inference.quantity_of(np.sqrt(counts)).says == ("amplitude" if (counts < 1e5).sum() >= 10 else None)


def test_zeros_and_ones_are_amplitude_and_counts_alike() -> None:
    pattern = np.eye(8, dtype="f4")[None]
    assert inference.quantity_of(pattern) == Inference(
        "amplitude", "every value is 0 or 1, where amplitude and counts agree"
    )


@pytest.mark.parametrize(
    ("scale", "says"), [(1, "amplitude"), (9, "amplitude"), (11, None), (1e4, None), ("peaked", None)]
)
def test_other_values_are_a_normalised_amplitude_within_the_published_limits(scale: Any, says: str | None) -> None:
    values = np.random.default_rng(0).uniform(0, 1, (4, 32, 32)).astype("f4")
    values[0, 0, 0] = 1
    values = values**200 if scale == "peaked" else values * np.float32(scale)
    assert inference.quantity_of(values).says == says
    assert inference.quantity_of(values, far_field=False).says is None


@given(st.integers(0, 39), st.floats(11, 1e9))
def test_a_hot_pixel_of_one_pattern_does_not_decide_the_quantity(at: int, value: float) -> None:
    values = np.random.default_rng(0).uniform(0, 1, (40, 8, 8)).astype("f4")
    values[at, at % 8, 3] = value
    assert inference.quantity_of(values).says == "amplitude"


@pytest.mark.parametrize(
    ("shape", "positions", "says"),
    [
        ((5, 8, 8), 5, "first"),
        ((8, 8, 5), 5, "last"),
        ((8, 8, 8), 8, None),
        ((5, 8, 5), 5, None),
        ((8, 8, 5), 6, "first"),
        ((8, 5, 8), 5, "middle"),
        ((5, 5, 8), 5, "first"),
        ((8, 5, 5), 5, "last"),
    ],
)
def test_the_stack_axis_is_the_one_as_long_as_the_positions(
    shape: tuple[int, ...], positions: int, says: str | None
) -> None:
    assert inference.stack_axis_of(shape, positions).says == says


@pytest.mark.parametrize(
    ("shape", "says"), [((3, 8, 8), "first"), ((8, 8, 3), "last"), ((8, 8, 8), None), ((3, 6, 8), "first")]
)
def test_without_patterns_a_square_plane_tells_the_axis_of_the_modes(shape: tuple[int, ...], says: str | None) -> None:
    assert inference.mode_axis_of(shape, None).says == says


def test_a_card_decides_and_hears_what_the_values_certainly_say() -> None:
    open_question = Inference(None, "nothing tells")
    likely, certain = Inference("counts", "seen"), Inference("counts", "seen", "certain")
    assert resolve(QUANTITY, "amplitude", open_question, "a.card.yaml") == ("amplitude", None)
    assert resolve(QUANTITY, "amplitude", likely, "a.card.yaml") == ("amplitude", None)
    assert resolve(QUANTITY, None, likely, "a.card.yaml") == ("counts", None)
    assert resolve(QUANTITY, "counts", certain, "a.card.yaml") == ("counts", None)
    reading, warning = resolve(QUANTITY, "amplitude", certain, "a.card.yaml")
    assert reading == "amplitude"
    assert warning is not None
    assert warning.severity == "warning"
    assert "amplitude in the card and counts in the values: seen" in str(warning)
    assert "the card is followed" in warning.remedy


def test_a_card_that_does_not_fit_the_shapes_is_refused() -> None:
    reading, violation = resolve(STACK_AXIS, "last", inference.stack_axis_of((5, 8, 8), 5), "a.card.yaml")
    assert reading is None
    assert violation is not None
    assert violation.severity == "error"
    assert "last in the card and first in the values: shape (5, 8, 8) with 5 positions" in violation.found


def test_an_open_question_names_both_readings_and_the_field_that_answers_it() -> None:
    reading, asked = resolve(DC, None, Inference(None, "nothing tells"), "a.card.yaml")
    assert reading is None
    assert str(asked) == (
        "diffraction: found values that can be read as centre or corner: nothing tells, wanted one reading; "
        "write reading.diffraction.dc: centre (or corner) in a.card.yaml."
    )
