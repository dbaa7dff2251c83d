"""Positions in every unit become the same pixels, and a unit that makes no scan is asked about."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.contracts.violation import errors
from smalti.scans import Card, conform
from smalti.scans.units import METRES, implausible, resolve_unit, spread_of

Arrays = dict[str, Any]
CARD = {"name": "a", "source": "b", "version": "1", "licence": "d"}
PIXEL_M = 5e-8


def raster(per_side: int, step: float) -> tuple[Any, Any]:
    row, column = np.divmod(np.arange(per_side**2), per_side)
    return column * step, row * step


@pytest.fixture
def image(arrays: Arrays) -> Arrays:
    del arrays["objectGuess"]
    return arrays


def card(unit: str | None, pixel_m: float | None = PIXEL_M) -> Card:
    physics = {"object_pixel_size_m": {"value": pixel_m}} if pixel_m else {}
    return Card.model_validate({**CARD, "reading": {"positions": {"unit": unit}}, "physics": physics})


@pytest.mark.parametrize("unit", METRES)
def test_every_unit_of_length_gives_the_same_pixels(image: Arrays, unit: str) -> None:
    given_in = {key: image[key] * PIXEL_M / METRES[unit] for key in ("xcoords", "ycoords")}
    result = conform({**image, **given_in}, card(unit))
    assert result.violations == ()
    for key in ("xcoords", "ycoords"):
        np.testing.assert_allclose(getattr(result.value, key), image[key], rtol=1e-12)
    assert "s to pixels of 5e-08 m" in result.conversions[-1]


@given(st.integers(2, 20), st.floats(0.3, 30), st.sampled_from([32, 64, 256]))
def test_a_scan_that_can_be_in_pixels_is_never_refused(per_side: int, step: float, window: int) -> None:
    spread = spread_of(*raster(per_side, max(step, 1.2 / (per_side - 1))))
    unit, warning = resolve_unit(spread, None, window, None, "a.card.yaml")
    assert unit == "px"
    assert (warning is not None) == (spread.pitch < window / 200 or spread.step > window / 2)
    assert warning is None or warning.severity == "warning"
    assert resolve_unit(spread, "px", window, None, "a.card.yaml") == ("px", None)


@given(st.integers(2, 20), st.floats(1.1, 20), st.floats(1e-9, 2e-7), st.sampled_from(["m", "mm", "um", "nm"]))
def test_a_length_that_cannot_be_pixels_is_asked_about_and_its_unit_named(
    per_side: int, step_px: float, pixel_m: float, unit: Any
) -> None:
    window = 64
    spread = spread_of(*raster(per_side, step_px * pixel_m / METRES[unit]))
    if not implausible(spread, window):
        return
    for known in (pixel_m, None):
        reading, violation = resolve_unit(spread, None, window, known, "a.card.yaml")
        assert reading is None
        assert violation is not None
        assert violation.severity == "error"
        offered = violation.remedy.removeprefix("write reading.positions.unit: ").removesuffix(" in a.card.yaml")
        assert unit in offered.replace("(or ", "").replace(",", "").replace(")", "").split()


def test_36_probes_within_one_pixel_are_asked_about(image: Arrays) -> None:
    x, y = raster(6, 0.15)
    patterns = np.concatenate([image["diffraction"]] * 3)
    scan = {"diffraction": patterns, "xcoords": x, "ycoords": y}
    [violation] = errors(conform(scan, file_name="a.npz").violations)
    assert violation.code == "positions.unit"
    assert (
        "36 positions that span 0.75, 0.15 from one to the next: in px, all probes would lie within" in violation.found
    )
    assert violation.remedy == "write reading.positions.unit: um (or nm, px) in a.npz.card.yaml"
    known = conform(scan, card(None), file_name="a.npz")
    assert "um (steps of 3 pixels of 5e-08 m)" in errors(known.violations)[0].found
    taken = conform(scan, card("um"))
    np.testing.assert_allclose(taken.value.xcoords, raster(6, 3)[0], rtol=1e-12)
    insisted = conform(scan, card("px"))
    np.testing.assert_array_equal(insisted.value.xcoords, x)
    [warning] = [v for v in insisted.violations if v.code == "positions.unit"]
    assert (warning.severity, "the card is followed" in warning.remedy) == ("warning", True)


@pytest.mark.parametrize(
    ("step", "says"),
    [(1e-3, "within one pixel"), (0.09, "0.09 pixels apart"), (40.0, "no window would overlap another one")],
)
def test_what_is_wrong_is_said(step: float, says: str) -> None:
    assert says in implausible(spread_of(*raster(20, step)), 32)


def test_few_positions_may_lie_close_or_far() -> None:
    assert implausible(spread_of(np.array([0, 0.5]), np.zeros(2)), 32) == ""
    assert implausible(spread_of(np.array([0, 500.0]), np.zeros(2)), 32) == ""
    assert "one pixel" in implausible(spread_of(np.array([0, 1e-8]), np.zeros(2)), 32)
    assert implausible(spread_of(np.zeros(1), np.zeros(1)), 32) == ""


def test_exposures_that_are_repeated_in_place_do_not_look_like_small_steps() -> None:
    x, y = (np.repeat(along, 5) for along in raster(4, 3.0))
    jitter = np.random.default_rng(0).normal(0, 0.01, (2, len(x)))
    assert implausible(spread_of(x, y), 32) == ""
    assert implausible(spread_of(x + jitter[0], y + jitter[1]), 32) == ""


def test_a_line_is_a_scan() -> None:
    assert implausible(spread_of(np.arange(40) * 20.0, np.zeros(40)), 32) == ""


def test_a_length_without_a_pixel_size_is_refused_with_the_field(image: Arrays) -> None:
    [violation] = errors(conform(image, card("um", None), file_name="a.npz").violations)
    assert "micrometres and no pixel size" in violation.found
    assert "state object_pixel_size_m, or photon_energy_eV, " in violation.remedy


def test_positions_that_a_cxi_reader_gives_are_in_metres_without_a_card_saying_so(arrays: dict[str, Any]) -> None:
    table = np.stack([arrays.pop("xcoords"), arrays.pop("ycoords")], axis=1) * 5e-8
    card = Card.model_validate(
        {
            "name": "a", "source": "here", "version": "1", "licence": "CC0-1.0",
            "reading": {"positions": {"key": "positions_if_sample_moved", "order": ["x", "y"]}},
            "physics": {"object_pixel_size_m": {"value": 5e-8}},
        }
    )  # fmt: skip
    result = conform({**arrays, "positions_if_sample_moved": table}, card)
    np.testing.assert_allclose(result.value.xcoords, table[:, 0] / 5e-8)
    assert "xcoords: metres to pixels of 5e-08 m" in result.conversions
