"""What numbers say of themselves, and that two possible readings are never settled by guessing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.contracts.violation import Violation
from smalti.scans import inference
from smalti.scans.inference import DC, QUANTITY, Evidence, settle


@given(st.floats(0.5, 1e6), st.integers(0, 99), st.sampled_from(["f4", "f8"]))
def test_counts_and_their_roots_are_told_apart(photons: float, seed: int, dtype: str) -> None:
    counts = np.random.default_rng(seed).poisson(photons, (4, 8, 8)).astype(dtype)
    counts[0, 0, :4] = [2, 3, 5, 6]
    assert inference.quantity_of(counts).says == "counts"
    assert inference.quantity_of(np.sqrt(counts)).says == ("amplitude" if (counts < 1e5).sum() >= 10 else None)


def test_zeros_and_ones_are_amplitude_and_counts_alike() -> None:
    pattern = np.eye(8, dtype="f4")[None]
    assert inference.quantity_of(pattern) == Evidence(
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


@pytest.mark.parametrize("side", [15, 16])
def test_dc_is_where_the_energy_is(side: int) -> None:
    row, col = np.mgrid[:side, :side] - side // 2
    centred = np.exp(-(row**2 + col**2) / 8)[None].astype("f4")
    corner = np.fft.ifftshift(centred, axes=(-2, -1))
    assert inference.dc_of(centred).says == "centre"
    assert inference.dc_of(corner).says == "corner"
    assert inference.dc_of(np.ones_like(centred)).says is None
    assert inference.dc_of(centred + corner).says is None


@pytest.mark.parametrize(
    ("shape", "positions", "says"),
    [
        ((5, 8, 8), 5, "first"),
        ((8, 8, 5), 5, "last"),
        ((8, 8, 8), 8, None),
        ((5, 8, 5), 5, None),
        ((8, 8, 5), 6, "first"),
    ],
)
def test_the_stack_axis_is_the_one_as_long_as_the_positions(
    shape: tuple[int, ...], positions: int, says: str | None
) -> None:
    assert inference.stack_axis_of(shape, positions).says == says


@pytest.mark.parametrize(("step", "says"), [(9.0, "px"), (2e-8, None), (0.0, "px")])
def test_a_scan_smaller_than_a_pixel_may_be_in_metres(step: float, says: str | None) -> None:
    assert inference.unit_of(np.arange(5) * step, np.zeros(5)).says == says


def test_a_card_decides_unless_the_values_exclude_it() -> None:
    open_question = Evidence(None, "nothing tells")
    likely, certain = Evidence("counts", "seen"), Evidence("counts", "seen", certain=True)
    assert settle(QUANTITY, "amplitude", open_question, "a.card.yaml") == "amplitude"
    assert settle(QUANTITY, "amplitude", likely, "a.card.yaml") == "amplitude"
    assert settle(QUANTITY, None, likely, "a.card.yaml") == "counts"
    assert settle(QUANTITY, "counts", certain, "a.card.yaml") == "counts"
    contradiction = settle(QUANTITY, "amplitude", certain, "a.card.yaml")
    assert isinstance(contradiction, Violation)
    assert "amplitude in the card and counts in the values: seen" in str(contradiction)


def test_an_open_question_names_both_readings_and_the_field_that_answers_it() -> None:
    asked = settle(DC, None, Evidence(None, "nothing tells"), "a.card.yaml")
    assert str(asked) == (
        "diffraction: found values that can be read as centre or corner: nothing tells, wanted one reading; "
        "write reading.diffraction.dc: centre (or corner) in a.card.yaml."
    )
