"""A small scan as it would lie in a file: 12 patterns of 16 x 16 that keep the contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture
def counts() -> NDArray[np.int64]:
    """(12, 16, 16) photons, DC at [8, 8]."""
    rng = np.random.default_rng(1)
    row, col = np.mgrid[:16, :16] - 8
    return rng.poisson(200 * np.exp(-(row**2 + col**2) / 8), (12, 16, 16))


@pytest.fixture
def arrays(counts: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """The canonical raw keys; nothing needs converting."""
    rng = np.random.default_rng(2)
    return {
        "diffraction": np.sqrt(counts).astype(np.float32),
        "probeGuess": np.ones((16, 16), np.complex64),
        "objectGuess": np.ones((40, 48), np.complex64),
        "xcoords": rng.uniform(8, 39, 12),
        "ycoords": rng.uniform(8, 31, 12),
        "scan_index": np.arange(12),
    }
