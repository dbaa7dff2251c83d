"""What every test may ask for: the real data, found in one place or skipped with a reason, and temporary folders.

``tmp_path`` is in memory where there is a tmpfs with room at /dev/shm, because most of a store's time goes into syncs.
Laws about syncs, full disks and killed or failing processes need a disk: all tests in ``tests/faults``, whose
``tmp_path`` is ``disk_path``. To have everything on a disk, set ``PYTEST_DEBUG_TEMPROOT=/tmp``.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from smalti.compute import prepare_blas

prepare_blas()  # before any test module imports mlx, which happens when pytest collects it
# A shell that starts the tests in the background lets them ignore Ctrl-C, and what they start would, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

_MEMORY = Path("/dev/shm")
_ROOM_NBYTES = 4 << 30


def _memory_has_room() -> bool:
    if not (_MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)):
        return False
    memory = os.statvfs(_MEMORY)
    return memory.f_bavail * memory.f_frsize >= _ROOM_NBYTES and not memory.f_flag & os.ST_NOEXEC


if "PYTEST_DEBUG_TEMPROOT" not in os.environ and _memory_has_room():
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(_MEMORY)  # the workers of pytest-xdist inherit it


@pytest.fixture
def disk_path() -> Iterator[Path]:
    """A temporary folder that is never in memory, unless TMPDIR is."""
    with tempfile.TemporaryDirectory(prefix="smalti-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


_DATA = Path(os.environ.get("SMALTI_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def star_path() -> Path:
    """The Siemens star measured at the Advanced Photon Source: 516 patterns of 128 x 128, npz in bzip2."""
    path = _DATA / "siemens-star-small.npz.bz2"
    if not path.is_file():
        pytest.skip(f"the measured scan is not at {path}; set SMALTI_TEST_DATA to the folder that holds it")
    return path


@pytest.fixture(scope="session")
def titanic_paths() -> tuple[Path, Path]:
    """Kaggle's Titanic tables as CSV: 891 passengers to train on, 418 to predict."""
    train, test = _DATA / "titanic_train.csv", _DATA / "titanic_test.csv"
    if not (train.is_file() and test.is_file()):
        pytest.skip(f"the Titanic tables are not in {_DATA}; set SMALTI_TEST_DATA to the folder that holds them")
    return train, test
