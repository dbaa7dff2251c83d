"""How a directory shows itself: as a drawn tree, in its size, in a notebook."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smalti.directory import Directory, check_size_on_init, set_verbosity_level
from smalti.directory.views import entry_of


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    """A directory with two levels below."""
    (tmp_path / "note.txt").write_text("x" * 10)
    directory = Directory("d", n=1)
    directory.a, directory.deep.within.b, directory.note__txt = [1, 2], 1, tmp_path / "note.txt"
    directory.t = pd.DataFrame({"x": [1]})
    return directory


def test_the_tree_shows_two_levels_by_default(directory: Directory) -> None:
    lines = repr(directory).splitlines()
    assert re.fullmatch(r"d/ - Last modified: \w+ \d\d, \d{4} \d\d:\d\d:\d\d", lines[0])
    assert lines[1:] == [
        "├── _meta.yaml", "├── a.h5", "├── deep/", "│   └── within/", "│       ...", "├── note.txt", "└── t.csv", "",
        "displaying: 3 directories, 4 files, 2 levels.",
    ]  # fmt: skip


def test_the_tree_shows_as_much_as_is_asked_for(directory: Directory, capsys: pytest.CaptureFixture[str]) -> None:
    set_verbosity_level(0)
    assert len(repr(directory).splitlines()) == 1
    set_verbosity_level(2)
    assert "│       ├── _meta.yaml\n│       └── b.h5" in repr(directory)
    directory.tree(level=1, length_limit=2, last_modified=False)
    assert capsys.readouterr().out.splitlines() == [
        "d/", "├── _meta.yaml", "├── a.h5", "... length_limit, 2, reached,",
        "displaying: 2 directories, 2 files, 1 levels.",
    ]  # fmt: skip
    directory.tree(limit_to_directories=True, verbose=False)
    assert capsys.readouterr().out.splitlines()[1:] == ["└── deep/", "    └── within/"]


def test_what_does_not_exist_is_shown_as_empty() -> None:
    assert repr(Directory("none")) == "none/\n    (empty)"
    assert "empty" in Directory("none")._repr_html_()


def test_a_link_to_a_folder_above_is_not_followed(directory: Directory) -> None:
    size = directory.size
    (directory.path / "loop").symlink_to(directory.path)
    assert "loop/" in repr(directory)
    assert directory.size == size


def test_a_notebook_shows_shapes_kinds_and_how_much_is_left_out(directory: Directory) -> None:
    for number in range(30):
        directory[f"x{number:02}"] = np.zeros((2, 3), "f4")
    entry = entry_of(directory.path, "d/")
    shown = {child.name: child.what for child in entry.children}
    assert (entry.what, entry.more, len(entry.children)) == ("34 entries", 9, 25)
    assert shown["x00"] == "2 × 3, float32"
    assert shown["note.txt"] == "file, 10.0B"
    assert shown["t"] == "table, 4.0B"
    assert [child.name for child in entry.children if child.children] == ["deep"]
    assert "<" in directory._repr_html_()


def test_an_entry_that_cannot_be_read_hides_no_other(directory: Directory) -> None:
    (directory.path / "a.h5").write_bytes(b"no HDF5")
    shown = {child.name: child.what for child in entry_of(directory.path, "d/").children}
    assert shown["a"].startswith("cannot be read")
    assert shown["t"] == "table, 4.0B"


def test_the_size_is_that_of_all_files(directory: Directory) -> None:
    assert directory.size == sum(path.stat().st_size for path in directory.path.rglob("*") if path.is_file())
    assert (Directory("none").size, Directory("none").is_empty) == (0, True)


def test_a_size_above_the_limit_is_warned_of_or_refused(
    directory: Directory, capsys: pytest.CaptureFixture[str]
) -> None:
    assert directory.check_size(print_size=True) == directory.size
    assert re.fullmatch(r"\d+\.\d(Ki)?B\n", capsys.readouterr().out)
    with pytest.warns(ResourceWarning, match="occupies"):
        directory.check_size(warning_at=10)
    with pytest.raises(ValueError, match="more than 10"):
        directory.check_size(warning_at=10, raise_on_warning=True)
    check_size_on_init(True)
    assert Directory("d").size == directory.size


def test_a_directory_is_moved_where_nothing_is(directory: Directory, root: Path) -> None:
    (root / "taken").mkdir()
    with pytest.raises(FileExistsError, match="is not moved there"):
        directory.move("taken")
    moved = directory.move("new/place")
    assert (moved.path, moved.a[:].tolist(), moved.config.n) == (root / "new" / "place", [1, 2], 1)
    assert not directory.path.exists()
    with pytest.raises(FileNotFoundError, match="nothing to move"):
        directory.move("other")


def test_a_directory_is_deleted_only_when_that_is_confirmed(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.rmtree("n")
    monkeypatch.setattr("builtins.input", lambda question: "no" if str(directory.path) in question else "y")
    directory.rmtree()
    assert directory.path.exists()
    directory.rmtree("y")
    directory.rmtree("y")
    assert not directory.path.exists()


def test_the_folder_has_a_parent_and_a_time(directory: Directory, root: Path) -> None:
    assert directory.parent.path == root
    assert directory.mtime().timestamp() == pytest.approx(directory.path.stat().st_mtime)
    with pytest.raises(FileNotFoundError, match="was never changed"):
        Directory("none").mtime()


def test_numbered_directories_are_counted_in_hexadecimal() -> None:
    directory = Directory("d", x=1)
    for number in range(11):
        child = directory._next()
        assert (child.path.name, child.config.x) == (f"{number:04x}", 1)
    assert directory._count() == 11
