"""Versions in more than one store: a push takes the whole history along, and no second history begins unnoticed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from smalti import open_store
from smalti.directory import Directory
from smalti.errors import NotFound
from smalti.store import Store


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Directory:
    """A directory with three versions in the store of the root."""
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    directory = Directory("d")
    for number in range(3):
        directory.x = [number]
        directory.commit(f"version {number}")
    return directory


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def test_a_push_takes_every_version_along(directory: Directory, store: Store, tmp_path: Path) -> None:
    other = open_store(tmp_path / "other")
    store.push(other)
    before = [(version.number, version.message) for version in directory.log()]
    assert [(version.number, version.message) for version in directory.log(other)] == before
    assert store.push(other).sent == 0
    assert len(directory.log(other)) == 3, "a second push gives no version again"
    directory.checkout(1, other)
    assert directory.x[:].tolist() == [0]


def test_a_push_adds_to_what_was_committed_there(directory: Directory, store: Store, tmp_path: Path) -> None:
    other = open_store(tmp_path / "other")
    store.push(other)
    for where, value in ((other, 10), (store, 20)):
        directory.x = [value]
        directory.commit(str(value), where)
    store.push(other)
    store.push(other)
    assert [version.message for version in directory.log(other)][:2] == ["20", "10"]


def test_an_empty_folder_with_the_file_of_a_history_is_filled(directory: Directory, store: Store) -> None:
    new = directory.path.with_name("new")
    new.mkdir()
    shutil.copy(directory.path / "_versions.json", new)
    Directory("new").checkout(2)
    assert Directory("new").x[:].tolist() == [1]


@pytest.mark.parametrize("act", ["log", "diff", "commit", "checkout"])
def test_another_store_of_the_root_is_not_taken_for_the_one_of_the_versions(
    directory: Directory, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path / "elsewhere"))
    with pytest.raises(NotFound, match="give the one that it was committed to"):
        getattr(directory, act)(*{"commit": ["again"], "checkout": [1]}.get(act, []))
    assert [version.number for version in directory.log(store)] == [3, 2, 1]


def test_the_history_of_a_directory_within_is_in_the_versions_of_the_outer_one(directory: Directory) -> None:
    directory.inner.y = [1]
    directory.inner.commit("inner")
    directory.commit("outer")
    directory.checkout(1)
    assert not (directory.path / "inner").exists()
    directory.checkout(4)
    assert [version.message for version in directory.inner.log()] == ["inner"]


@pytest.mark.parametrize(
    ("act", "arguments"),
    [("checkout", [None]), ("checkout", [1.0]), ("checkout", [True]), ("commit", [None]), ("commit", [5])],
)
def test_what_is_no_version_or_message_is_said_to_be_none(directory: Directory, act: str, arguments: list[Any]) -> None:
    directory.x = [9]
    with pytest.raises(TypeError, match="a version is given"):
        getattr(directory, act)(*arguments)
    with pytest.raises(TypeError, match="store= is a store that was opened"):
        directory.log("store")
