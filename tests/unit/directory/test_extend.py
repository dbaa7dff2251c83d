"""Extending joins arrays, tables, files and directories, and loses nothing when many do it at once."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smalti.directory import Directory


@pytest.fixture
def directory() -> Directory:
    return Directory("d")


def test_everything_is_extended_by_its_kind_and_created_when_absent(directory: Directory, tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("line\n")
    part = {"a": [[1, 2]], "t": pd.DataFrame({"x": [1]}), "log.txt": tmp_path / "log.txt", "deep": {"b": [0.5]}}
    directory.extend("all", part)
    directory.extend("all", directory.all)
    assert directory.all.a[:].tolist() == [[1, 2], [1, 2]]
    assert directory.all.t.x.tolist() == [1, 1]
    assert directory.all["log.txt"].read_text() == "line\nline\n"
    assert directory.all.deep.b[:].tolist() == [0.5, 0.5]


def test_what_was_written_whole_is_extended(directory: Directory) -> None:
    directory.x = np.arange(3)
    directory.extend("x", [3])
    directory.extend("x", np.empty(0, int))
    assert directory.x[:].tolist() == [0, 1, 2, 3]
    assert directory.x.dtype == np.arange(3).dtype


def test_another_form_is_refused_and_nothing_changed(directory: Directory, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    directory.a, directory.t, directory.f = [1], pd.DataFrame({"x": [1]}), {"b": 1}
    for key, value, message in [
        ("a", pd.DataFrame({"x": [1]}), "'a' is an array, which cannot be extended by a table"),
        ("a", {"x": [1]}, "'a' is an array, which cannot be extended by a mapping"),
        ("t", [1], "'t' is a table, which cannot be extended by an array"),
        ("f", [1], "'f' is a folder, which cannot be extended by an array"),
        ("t", pd.DataFrame({"y": [1]}), "columns x cannot be extended by rows of y"),
        ("a", "text", "."),
    ]:
        with pytest.raises(TypeError, match=message):
            directory.extend(key, value)
    with pytest.raises(ValueError, match="has no extension"):
        directory.extend("file", tmp_path / "file")
    assert (directory.a[:].tolist(), directory.t.x.tolist(), list(directory.f)) == ([1], [1], ["b"])


def test_rows_keep_their_types_and_numbering(directory: Directory) -> None:
    first = pd.DataFrame({"at": pd.to_datetime(["2024-03-20"]), "n": pd.array([1], "Int8")})
    directory.extend("t", first)
    directory.extend("t", first[["n", "at"]])
    directory.extend("t", first[:0])
    pd.testing.assert_frame_equal(directory.t, pd.concat([first, first], ignore_index=True))
    named = first.set_index("at")
    directory.u = named
    directory.extend("u", named)
    pd.testing.assert_frame_equal(directory.u, pd.concat([named, named]))


def test_bytes_are_appended_to_a_csv_as_to_any_file_but_not_to_an_array(directory: Directory, tmp_path: Path) -> None:
    (tmp_path / "more").write_text("2\n")
    directory.t, directory.a = pd.DataFrame({"x": [1]}), [1]
    directory.extend("t.csv", tmp_path / "more")
    assert directory.t.x.tolist() == [1, 2]
    with pytest.raises(TypeError, match="cannot be extended by a file"):
        directory.extend("a.h5", tmp_path / "more")


def test_only_absent_keys_are_updated(directory: Directory) -> None:
    directory.a = 1
    directory.update({"a": 2, "b": 3})
    directory.update(directory, suffix="_copy")
    assert {key: value[()] for key, value in directory.items()} == {"a": 1, "b": 3, "a_copy": 1, "b_copy": 3}


def test_many_threads_lose_no_rows_and_no_bytes(directory: Directory, tmp_path: Path) -> None:
    (tmp_path / "line.txt").write_text("line\n")

    def work(number: int) -> None:
        for _ in range(5):
            directory.extend("table", pd.DataFrame({"x": [number]}))
            directory.extend("log.txt", tmp_path / "line.txt")

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(directory.table.x) == sorted(list(range(8)) * 5)
    assert directory["log.txt"].read_text() == "line\n" * 40
    assert directory.modified
