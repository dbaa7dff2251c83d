"""What every test may ask for: the real data, found in one place or skipped with a reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smalti.compute import prepare_blas

prepare_blas()  # before any test module imports mlx, which happens when pytest collects it

_DATA = Path(os.environ.get("SMALTI_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def star_path() -> Path:
    """The Siemens star measured at the Advanced Photon Source: 516 patterns of 128 x 128, npz in bzip2."""
    path = _DATA / "siemens-star-small.npz.bz2"
    if not path.is_file():
        pytest.skip(f"the measured scan is not at {path}; set SMALTI_TEST_DATA to the folder that holds it")
    return path
