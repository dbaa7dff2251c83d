"""A full disk: an array is as it was before, or as it was to be, and grows again once there is room."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

from smalti.directory.hdf5.arrays import ArrayFile, extend_array, write_array
from smalti.errors import Unavailable

KIB = 1024


def leave_free(place: Path, nbytes: int) -> Path:
    """Fill the disk but for ``nbytes``; return the file to remove to make room again."""
    stat = os.statvfs(place)
    ballast = place / "ballast"
    with ballast.open("wb") as file:
        file.write(bytes(max(0, stat.f_bavail * stat.f_frsize - nbytes)))
    return ballast


def attempt(path: Path, rows: np.ndarray) -> str:
    """Extend an array; return why that was refused, or nothing."""
    try:
        extend_array(path, rows)
    except Unavailable as error:
        return str(error)
    return ""


@pytest.mark.parametrize("width", [4, 5000], ids=["many rows in a chunk", "a row in a chunk"])
def test_an_extension_at_any_stage_of_fullness_adds_all_rows_or_none(tight_disk: Path, width: int) -> None:
    path = tight_disk / "x.h5"
    extend_array(path, np.zeros((1, width)))
    added, refused = [0], 0
    for number, room in enumerate(range(0, 240 * KIB, 4 * KIB), start=1):
        ballast = leave_free(tight_disk, room)
        before = path.stat().st_size
        reason = attempt(path, np.full((10_000 // width, width), number))
        if reason:
            refused += 1
            assert "No space left" in reason
            assert path.stat().st_size == before, "what was begun takes no room"
        else:
            added += [number] * (10_000 // width)
        assert ArrayFile(path)[:, 0].tolist() == added
        with h5py.File(path) as hdf5:
            assert hdf5["data"][:, 0].tolist() == added
        ballast.unlink()
        if path.stat().st_size > 4_000_000:
            path.unlink()
            extend_array(path, np.zeros((1, width)))
            added = [0]
    assert 10 < refused < number, "the disk was always full, or never"


def test_a_write_that_finds_no_room_leaves_the_array_before(tight_disk: Path) -> None:
    path = tight_disk / "x.h5"
    write_array(path, np.arange(10))
    for room in (0, 4 * KIB, 40 * KIB, 400 * KIB):
        ballast = leave_free(tight_disk, room)
        with pytest.raises(Unavailable, match="No space left"):
            write_array(path, np.zeros(200_000))
        with pytest.raises(Unavailable, match="No space left"):
            extend_array(path, np.zeros(200_000, np.int64))
        assert ArrayFile(path)[:].tolist() == [*range(10)]
        ballast.unlink()
        assert [*tight_disk.iterdir()] == [path]
    write_array(path, np.zeros(200_000))
    assert ArrayFile(path).shape == (200_000,)


def test_arrays_on_a_read_only_disk_are_read_and_say_why_they_are_not_written(tight_disk: Path) -> None:
    path = tight_disk / "x.h5"
    extend_array(path, [1, 2])
    subprocess.run(["mount", "-o", "remount,ro", str(tight_disk)], check=True)
    assert ArrayFile(path).sum() == 3
    for act in (write_array, extend_array):
        with pytest.raises(Unavailable, match="Read-only file system"):
            act(path, [3])
    assert ArrayFile(path)[:].tolist() == [1, 2]
