"""A directory is moved, deleted and looked at also where the machine does not let everything be done."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smalti.directory import Directory
from smalti.errors import Unavailable


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder of another file system."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system is known here")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def closed() -> Iterator[Directory]:
    """A directory with a folder and an array that may not be read."""
    directory = Directory("d")
    directory.x = [1]
    directory.inner.y = [1]
    (directory.path / "x.h5").chmod(0)
    (directory.path / "inner").chmod(0)
    if os.access(directory.path / "x.h5", os.R_OK):
        pytest.skip("root may read everything")
    yield directory
    (directory.path / "inner").chmod(0o700)


def test_a_directory_is_moved_to_another_disk(other_disk: Path) -> None:
    directory = Directory("d", setting=1)
    directory.inner.x = [1, 2]
    moved = directory.move(other_disk / "d")
    assert moved.config.setting == 1
    assert moved.inner.x[:].tolist() == [1, 2]
    assert not directory.path.exists()
    assert [path.name for path in other_disk.iterdir()] == ["d"]


def test_what_cannot_be_copied_to_another_disk_stays_whole(other_disk: Path) -> None:
    directory = Directory("d")
    directory.x = [1]
    (directory.path / "lost").symlink_to("x.h5")
    os.mkfifo(directory.path / "pipe")
    with pytest.raises(Unavailable, match="could not finish moving"):
        directory.move(other_disk / "d")
    assert directory.x[0] == 1
    assert not list(other_disk.iterdir())


@pytest.mark.parametrize(
    "act", [lambda d: d.x[:], lambda d: d.inner, lambda d: d.size, lambda d: list(d.items()), lambda d: d.rmtree("y")]
)
def test_what_may_not_be_read_or_deleted_is_named(closed: Directory, act: Callable[[Directory], object]) -> None:
    with pytest.raises(Unavailable, match="Permission denied"):
        act(closed)


def test_what_may_not_be_read_hides_nothing_else(closed: Directory) -> None:
    assert "inner" in str(closed)
    assert "Permission denied" in closed._repr_html_()
