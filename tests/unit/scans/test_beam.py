"""Where the beam is: three answers, and none of them moved by a few bad pixels or a few bad patterns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from smalti.scans import Card, conform
from smalti.scans.beam import dc_of, typical_pattern, without_spikes

Float = NDArray[np.float32]
CARD = {"name": "a", "source": "b", "version": "1", "licence": "d"}


def beam(side: int, row: int, column: int, *, width: float = 1.5, count: int = 12, stop: float = 0.0) -> Float:
    """(count, side, side) amplitudes with Poisson noise, a beam that does not wrap, and its shadow of a beamstop."""
    rows, columns = np.mgrid[:side, :side]
    away = np.hypot(rows - row, columns - column)
    expected = np.where(away < stop, 0, 500 * np.exp(-((away / width) ** 2) / 2) + 2)
    return np.sqrt(np.random.default_rng(0).poisson(expected, (count, side, side))).astype("f4")


@pytest.mark.parametrize("side", [15, 16, 31, 32, 64])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_dc_is_where_the_light_is(side: int, count: int) -> None:
    centred = beam(side, side // 2, side // 2, count=count)
    corner = np.fft.ifftshift(centred, axes=(-2, -1))
    assert dc_of(centred).says == "centre"
    assert dc_of(corner).says == "corner"
    assert dc_of(np.ones_like(centred)).says is None
    assert dc_of(centred + corner).says is None
    assert dc_of(np.zeros_like(centred)).says is None


@given(st.integers(0, 31), st.integers(0, 31))
def test_a_beam_off_the_centre_that_does_not_wrap_is_never_at_the_corner(row: int, column: int) -> None:
    seen = dc_of(beam(32, row, column))
    off = max(abs(row - 16), abs(column - 16))
    if max(row, column) > 1:  # a narrow beam on the very pixel [0, 0] cannot be told from DC there
        assert seen.says in ("centre", "neither")
    if off <= 3:
        assert seen.says == "centre"
    if off >= 6 and max(row, column) > 1:
        assert seen.says == "neither"


def test_the_message_names_where_the_middle_of_the_light_is() -> None:
    assert "the middle of the light is at [25, 6] of 32 x 32 pixels" in dc_of(beam(32, 25, 6)).because


@pytest.mark.parametrize("corner", [False, True])
def test_a_beamstop_hides_no_beam(corner: bool) -> None:
    stopped = beam(32, 16, 16, width=5, stop=3)
    assert dc_of(np.fft.ifftshift(stopped, axes=(1, 2)) if corner else stopped).says == (
        "corner" if corner else "centre"
    )


@given(
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 31), st.integers(0, 31)), min_size=1, max_size=4),
    st.floats(1, 1e5),
    st.booleans(),
)
def test_hot_pixels_of_a_few_patterns_do_not_move_the_beam(
    hot: list[tuple[int, int, int]], value: float, corner: bool
) -> None:
    patterns = beam(32, 16, 16, count=40)
    patterns = np.fft.ifftshift(patterns, axes=(1, 2)) if corner else patterns
    for at in hot:
        patterns[at] = value
    assert dc_of(patterns).says == ("corner" if corner else "centre")


@given(st.integers(0, 31), st.integers(0, 31), st.floats(1, 1e5))
def test_a_pixel_that_is_hot_in_every_pattern_does_not_move_the_beam(row: int, column: int, value: float) -> None:
    patterns = beam(32, 16, 16)
    patterns[:, row, column] = value
    assert dc_of(patterns).says == "centre"


def test_empty_patterns_do_not_hide_the_beam() -> None:
    patterns = beam(32, 16, 16, count=40)
    patterns[10:] = 0
    assert dc_of(patterns).says == "centre"
    assert typical_pattern(patterns).max() > 100


def test_a_spike_is_limited_to_what_lies_beside_it() -> None:
    image = np.ones((5, 5))
    image[2, 2] = 1e9
    assert without_spikes(image)[2, 2] == 4
    alone = np.zeros((5, 5))
    alone[2, 2] = 7
    assert without_spikes(alone)[2, 2] == 7


@pytest.fixture
def off_centre() -> dict[str, Any]:
    return {"diffraction": beam(32, 4, 5), "xcoords": np.arange(12.0), "ycoords": np.arange(12.0) ** 1.1}


def test_a_beam_off_the_centre_stays_where_it_is_and_is_named(off_centre: dict[str, Any]) -> None:
    result = conform(off_centre, file_name="a.npz")
    assert result.value is not None
    np.testing.assert_array_equal(result.value.diffraction, off_centre["diffraction"])
    [warning] = [v for v in result.violations if v.code == "diffraction.dc"]
    assert warning.severity == "warning"
    assert "a beam at neither: the middle of the light is at [" in warning.found
    assert "the patterns stay as they are" in warning.wanted
    assert "a.npz.card.yaml" in warning.remedy


@pytest.mark.parametrize("stated", ["centre", "corner"])
def test_the_card_decides_on_a_beam_off_the_centre(off_centre: dict[str, Any], stated: str) -> None:
    result = conform(off_centre, Card.model_validate({**CARD, "reading": {"diffraction": {"dc": stated}}}))
    assert result.value is not None
    moved = np.fft.fftshift(off_centre["diffraction"], axes=(1, 2))
    np.testing.assert_array_equal(result.value.diffraction, moved if stated == "corner" else off_centre["diffraction"])
    [warning] = [v for v in result.violations if v.code == "diffraction.dc"]
    assert f"{stated} in the card and neither in the values" in warning.found


@pytest.mark.parametrize("side", [16, 17, 31])
def test_dc_at_the_first_pixel_comes_to_the_middle_of_any_side(side: int) -> None:
    patterns = np.zeros((4, side, side), "f4")
    patterns[:, 0, 0], patterns[:, 1, 0], patterns[:, -1, 0], patterns[:, 0, 1], patterns[:, 0, -1] = 30, 9, 9, 9, 9
    result = conform({"diffraction": patterns, "xcoords": np.arange(4.0), "ycoords": np.arange(4.0)})
    assert result.value is not None
    assert np.unravel_index(result.value.diffraction[0].argmax(), (side, side)) == (side // 2, side // 2)
