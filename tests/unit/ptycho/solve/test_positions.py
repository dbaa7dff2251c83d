"""Laws of position correction: against the gradient, within the range, without a mean shift, on the canvas."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.ptycho.geometry import place
from smalti.ptycho.solve.positions import Positions

RNG = np.random.default_rng(0)
X, Y = RNG.uniform(0, 40, (2, 50))
PADDING, RANGE_px = 5, 4.0
PLACEMENT = place(X, Y, (8, 8), PADDING)
ALL = np.arange(50)


def test_unmoved_positions_are_those_of_the_placement() -> None:
    corner, shift = Positions(PLACEMENT, RANGE_px).at(ALL)
    assert np.array_equal(corner, np.stack([PLACEMENT.rows, PLACEMENT.cols], axis=1))
    assert np.allclose(shift, np.stack([PLACEMENT.dy, PLACEMENT.dx], axis=1), atol=1e-6)
    assert (corner.dtype, shift.dtype) == (np.int32, np.float32)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), rate_px=st.floats(0.01, 3), size=st.floats(1e-6, 1e6))
def test_no_gradient_takes_a_position_out_of_its_range_or_a_window_off_the_canvas(seed, rate_px, size) -> None:
    rng = np.random.default_rng(seed)
    positions = Positions(PLACEMENT, RANGE_px)
    for _ in range(8):
        positions.step(ALL, (rng.normal(0.5, 1, (50, 2)) * size).astype(np.float32), rate_px)
        positions.remove_mean_shift()
        corner, shift = positions.at(ALL)
        assert np.abs(positions.state.shift_px).max() <= RANGE_px
        assert (shift >= -0.5).all()
        assert (shift <= 0.5).all()
        assert (corner >= 0).all()
        assert (corner + 8 <= PLACEMENT.canvas.shape).all()


def test_wrong_positions_are_found_again_up_to_a_shift_of_all() -> None:
    wrong = RNG.uniform(-1.5, 1.5, (50, 2))
    positions = Positions(PLACEMENT, RANGE_px)
    for epoch in range(100):
        for some in np.split(ALL, 5):
            error = positions.state.shift_px[some] - wrong[some]
            positions.step(some, (1e-3 * error).astype(np.float32), 0.2 * (1 - epoch / 100))
        positions.remove_mean_shift()
    left = positions.state.shift_px - (wrong - wrong.mean(axis=0))
    assert np.abs(left).max() < 0.1
    assert np.abs(positions.state.shift_px.mean(axis=0)).max() < 1e-9


def test_nothing_moves_where_there_is_no_gradient() -> None:
    positions = Positions(PLACEMENT, RANGE_px)
    positions.step(ALL, np.zeros((50, 2), np.float32), 0.1)
    assert not positions.state.shift_px.any()


def test_corrections_are_resumed_to_the_same_bits() -> None:
    gradient = RNG.normal(size=(3, 50, 2)).astype(np.float32)
    straight = Positions(PLACEMENT, RANGE_px)
    for some in gradient:
        straight.step(ALL, some, 0.1)
    first = Positions(PLACEMENT, RANGE_px)
    first.step(ALL, gradient[0], 0.1)
    resumed = Positions(PLACEMENT, RANGE_px, first.state)
    for some in gradient[1:]:
        resumed.step(ALL, some, 0.1)
    assert resumed.state.shift_px.tobytes() == straight.state.shift_px.tobytes()
