"""Tables are read as they were written, stay CSV for other tools, and follow what other tools make of the CSV."""

from __future__ import annotations

import csv
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.pandas import column, data_frames, range_indexes

from smalti.directory import Directory
from smalti.directory.tables import extend_table, read_table, write_table
from smalti.errors import Damaged

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
EXACT = {
    "numbers": pd.DataFrame({"i": [1, 2], "f": [0.1, np.nan], "u1": np.array([0, 255], "u1")}),
    "floats": pd.DataFrame({"f4": np.array([0.1, 1e-40], "f4"), "f8": [0.1 + 0.2, 5e-324]}),
    "nullable": pd.DataFrame({"i": pd.array([1, None], "Int8"), "b": pd.array([True, None], "boolean")}),
    "times": pd.DataFrame(
        {"t": pd.to_datetime(["2024-03-20 12:00:00.123456789", None]),
         "z": pd.to_datetime(["2024-03-20", "2024-07-01"]).tz_localize("Europe/Zurich"),
         "d": pd.to_timedelta([1, 2], "s")}
    ),
    "text": pd.DataFrame({"s": ["", None, "a,\"b\"\n", "1", "NA"], "c": pd.Categorical(list("ababa"))}),
    "bytes": pd.DataFrame({"s": [b"\x00\xff", b""]}),
    "lists": pd.DataFrame({"v": [[1.0, 2.0], [], [3.0]], "n": [[["a"]], [[]], [["b", "c"]]]}),
    "index": pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="key")),
    "index of times": pd.DataFrame({"a": [1, 2]}, index=pd.date_range("2024", periods=2, name="t")),
    "many indices": pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_product([["a"], [1, 2]], names=["p", "q"])),
    "rows from 5": pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(5, 7)),
    "numbered columns": pd.DataFrame(np.eye(2)),
    "no rows": pd.DataFrame({"a": np.empty(0, "f4"), "b": pd.Series([], dtype="str")}),
    "no columns": pd.DataFrame(index=pd.RangeIndex(3)),
}  # fmt: skip


@pytest.fixture
def directory() -> Directory:
    return Directory("d")


@pytest.mark.parametrize("what", EXACT)
def test_a_table_is_read_as_it_was_written(what: str, directory: Directory) -> None:
    directory.t = EXACT[what]
    pd.testing.assert_frame_equal(directory.t, EXACT[what], check_freq=False)
    assert directory.t.map(type).equals(EXACT[what].map(type)) or what == "text"


@given(
    frame=data_frames(
        [column("a", dtype=float), column("b", dtype=int), column("c", elements=TEXTS, dtype=str)],
        index=range_indexes(max_size=5),
    )
)
@settings(max_examples=30, deadline=None)
def test_any_table_is_read_as_it_was_written(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = Directory(tmp_path_factory.mktemp("t"))
    directory.t = frame
    pd.testing.assert_frame_equal(directory.t, frame)


def test_the_file_is_csv_for_other_tools(directory: Directory) -> None:
    directory.t = pd.DataFrame({"a": [1, 2], "b": ["x", "y,z"]})
    directory.u = EXACT["index"]
    with (directory.path / "t.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["a", "b"], ["1", "x"], ["2", "y,z"]]
    assert (directory.path / "u.csv").read_text() == "key,a\nx,1\ny,2\n"


def test_what_another_tool_makes_of_the_csv_is_what_is_read(directory: Directory) -> None:
    directory.t = EXACT["times"]
    (directory.path / "t.csv").write_text("a,b\n1,0.1\n")
    assert directory.t.to_dict("list") == {"a": [1], "b": [0.1]}
    directory.extend("t", pd.DataFrame({"a": [2], "b": [0.2]}))
    assert (directory.path / "t.csv").read_text() == "a,b\n1,0.1\n2,0.2\n"


def test_a_csv_of_another_tool_is_a_table(directory: Directory) -> None:
    directory.path.mkdir()
    (directory.path / "t.csv").write_text("x\n0.30000000000000004\n")
    assert directory.t.x.tolist() == [0.1 + 0.2]


def test_nothing_is_left_of_a_table_that_is_replaced_or_deleted(directory: Directory) -> None:
    directory.t, directory.t_2 = pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]})
    directory.t = pd.DataFrame({"a": [3]})
    assert len(list(directory.path.glob("_t.*"))) == 1
    del directory.t
    assert list(directory.path.glob("*t.*")) == []
    assert directory.t_2.a.tolist() == [2]


def test_a_column_of_mixed_types_is_refused_and_the_table_before_stays(directory: Directory) -> None:
    directory.t = pd.DataFrame({"a": [1]})
    with pytest.raises(TypeError, match=r"cannot be stored: .*give each column one type"):
        directory.t = pd.DataFrame({"a": [1, "x"]})
    assert directory.t.a.tolist() == [1]


def test_a_reader_sees_one_table_or_the_other(directory: Directory) -> None:
    frames = [pd.DataFrame({"a": pd.array([n] * 50, "Int8")}) for n in (1, 2)]
    directory.t = frames[0]
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            for frame in frames:
                directory.t = frame

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(50):
            read = directory.t
            assert any(read.equals(frame) for frame in frames)
    finally:
        ended.set()
        writer.join()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


@pytest.mark.parametrize("text", [b"", b"a,b\n1\n1,2,3\n", b"a\n\xff\n"])
def test_a_table_that_is_none_is_damaged_and_named(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    for act in (read_table, lambda path: extend_table(path, pd.DataFrame({"a": [1]}))):
        with pytest.raises(Damaged, match=r"\.csv cannot be read as a table"):
            act(path)


def test_a_damaged_arrow_file_is_named(path: Path) -> None:
    write_table(path, pd.DataFrame({"a": [1]}))
    beside = next(path.parent.glob("_*.arrow"))
    beside.write_bytes(beside.read_bytes()[:-20])
    with pytest.raises(Damaged, match=r"\.arrow cannot be read as Arrow"):
        read_table(path)
    beside.unlink()
    assert read_table(path)["a"].tolist() == [1]
