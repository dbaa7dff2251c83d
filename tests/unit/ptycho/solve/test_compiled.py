"""Compiled kernels give the reconstruction that plain operations give."""

import mlx.core as mx
import numpy as np
import pytest

from smalti.ptycho.solve.solver import SolverSettings, solve
from smalti.simulation import simulate_scan


@pytest.fixture(scope="module")
def without_compiled_kernels() -> None:
    """Override: these tests compile."""


def test_a_compiled_solve_is_that_of_plain_operations() -> None:
    scan = simulate_scan("compiled", positions_per_side=4, window=32)
    settings = SolverSettings(epochs=3, batch=8, refine_positions_from=2)
    mx.disable_compile()
    plain = solve(scan, settings)
    mx.enable_compile()
    compiled = solve(scan, settings)
    assert compiled.loss == pytest.approx(plain.loss, rel=1e-3)
    assert np.abs(compiled.object - plain.object).mean() < 1e-3
    assert compiled.metrics["r_factor"] == pytest.approx(plain.metrics["r_factor"], rel=1e-3)
