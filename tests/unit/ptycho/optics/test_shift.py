"""The ramp of the solver is that of ``smalti.optics``, compiled or not."""

import mlx.core as mx
import numpy as np
import pytest

from smalti import optics
from smalti.ptycho.optics.shift import shift_ramp

SHIFT_px = np.array([[0.3, -0.2], [-0.5, 0.1], [0, 0]], np.float32)


@pytest.mark.parametrize("window", [(16, 12), (9, 8)])
def test_the_ramp_is_that_of_the_independent_formula(window) -> None:
    down, right = (optics.shift_ramp(n, SHIFT_px[:, axis]) for axis, n in enumerate(window))
    found = np.array(shift_ramp(window, mx.array(SHIFT_px)))
    assert (found.shape, found.dtype) == ((3, *window), np.complex64)
    assert np.allclose(found, down[:, :, None] * right[:, None, :], atol=1e-6)
