"""Two directories are equal when all that is in them is; how they differ is told entry by entry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smalti.directory import (
    Directory,
    DirectoryDiff,
    assert_equal_attributes,
    assert_equal_directories,
)


def filled(name: str, note: Path) -> Directory:
    directory = Directory(name, x=1)
    directory.array, directory.nans = np.arange(4), [np.nan, 1]
    directory.table = pd.DataFrame({"a": [1, 2]})
    directory.deep.within = 1
    directory.note__txt = note
    return directory


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Directory, Directory]:
    """Two directories of equal content."""
    note = tmp_path / "note.txt"
    note.write_text("a note")
    return filled("a", note), filled("b", note)


def test_equal_content_is_equal(pair: tuple[Directory, Directory]) -> None:
    a, b = pair
    assert a == b
    assert a == Directory("a")
    assert a.diff(b) == {"a": [], "b": []}
    assert_equal_directories(a, b)


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("array", [0, 1, 2, 4], "≠array: [0 1 2 3]"),
        ("array", np.arange(4, dtype="i4"), "≠array: [0 1 2 3]"),
        ("table", pd.DataFrame({"a": [1.0, 2.0]}), "≠table:    a\n0  1\n1  2"),
        ("array", pd.DataFrame({"a": [1]}), "≠array: [0 1 2 3]"),
        ("deep/within", 2, "≠deep.within: 1"),
        ("deep/within", None, "+deep.within: 1"),
        ("deep/more", 3, "-deep.more: 3"),
    ],
)
def test_every_difference_is_told(key: str, value: object, line: str, pair: tuple[Directory, Directory]) -> None:
    a, b = pair
    if value is None:
        del b[key]
    else:
        b[key] = value
    assert a != b
    there = {"+": "-", "-": "+", "≠": "≠"}[line[0]]
    lines = a.diff(b)
    assert lines["a"] == [line]
    assert [other[0] for other in lines["b"]] == [there]
    assert DirectoryDiff(a, b).diff(invert=True) == b.diff(a)
    with pytest.raises(AssertionError, match=r"differ in"):
        DirectoryDiff(a, b).equal(fail=True)


def test_files_are_compared_by_their_bytes(pair: tuple[Directory, Directory]) -> None:
    a, b = pair
    b.note__txt.write_text("b note")
    assert not DirectoryDiff(a, b).equal()
    assert a.diff(b)["a"] == [f"≠note.txt: {a.note__txt}"]


def test_configuration_type_and_metadata_count(pair: tuple[Directory, Directory]) -> None:
    class Other(Directory):
        pass

    a, _ = pair
    for other, what in [
        (Directory("c", x=2), "configuration"),
        (Other("d", x=1), "type"),
        (Directory("e"), "configuration"),
    ]:
        with pytest.raises(AssertionError, match=what):
            assert_equal_attributes(a, other)
        assert a != other
    assert DirectoryDiff(a, Directory("c")).config_diff() == {"a": ["≠x: 1"], "c": ["≠x: 2"]}


def test_two_folders_of_one_name_are_told_apart_by_those_above() -> None:
    a, b = Directory("a/run"), Directory("b/run")
    a.x, b.x = 1, 2
    assert a.diff(b) == {"a/run": ["≠x: 1"], "b/run": ["≠x: 2"]}
    assert DirectoryDiff(a, b, "mine", "theirs").diff() == {"mine": ["≠x: 1"], "theirs": ["≠x: 2"]}


def test_a_directory_is_not_compared_with_something_else() -> None:
    with pytest.raises(ValueError, match="not with what is of type int"):
        assert Directory("a") == 3
