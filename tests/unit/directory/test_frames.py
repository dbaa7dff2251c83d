"""Arrays of a directory are columns of a table and the other way round, always those of now."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from smalti.directory import Directory


def test_a_table_becomes_arrays_and_the_arrays_the_table() -> None:
    frame = pd.DataFrame({"n": [1, 2], "name": ["a", "größe"]})
    directory = Directory.from_df(frame, {"n": "i4", "name": "S"}, "d", source="here")
    assert directory.n.dtype == np.dtype("i4")
    assert directory.config.source == "here"
    again = directory.to_df()
    assert again.n.tolist() == [1, 2]
    assert again.name.tolist() == ["a", "größe"]


@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [
        (["abc"], "S2", "text of 3 bytes"),
        ([300], "u1", "values that uint8 does not hold"),
        ([1.5], "i8", "does not hold"),
        ([-1], "u8", "does not hold"),
        (["x"], "f8", "cannot be stored as float64"),
        ([np.nan], "i4", "does not hold"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_values_that_do_not_fit_are_refused_and_nothing_is_written(
    values: list[object], dtype: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Directory.from_df(pd.DataFrame({"a": values}), {"a": dtype}, "d")
    with pytest.raises(ValueError, match="no dtype was given for b"):
        Directory.from_df(pd.DataFrame({"b": values}), {"a": dtype}, "d")
    assert not Directory("d").path.exists()


def test_arrays_of_the_commonest_length_are_columns() -> None:
    directory = Directory("d")
    directory.a, directory.b, directory.longer = [1, 2], [[1, 2], [3, 4]], [1, 2, 3]
    directory.one, directory.scalar, directory.text = [7], 8, np.array([b"x", b"y"])
    directory.table = pd.DataFrame({"a": [1]})
    frame = directory.to_df()
    assert frame.to_dict("list") == {
        "a": [1, 2], "b": [[1, 2], [3, 4]], "one": [7, 7], "scalar": [8, 8], "text": ["x", "y"],
    }  # fmt: skip
    assert directory.to_df({"a": "f4", "text": str}).dtypes["a"] == np.dtype("f4")
    assert list(directory.to_df({"a": "f4"})) == ["a"]
    assert sorted(directory.to_dict()) == ["a", "b", "longer", "one", "scalar", "text"]


def test_a_directory_without_arrays_is_a_table_without_columns() -> None:
    assert Directory("d").to_df().shape == (0, 0)
    assert Directory("d").to_dict() == {}


def test_what_was_written_since_is_in_the_table() -> None:
    directory = Directory("d")
    directory.a = [1, 2]
    assert directory.to_df().a.tolist() == [1, 2]
    directory.a = [3, 4]
    directory.extend("a", [5])
    assert directory.to_df().a.tolist() == [3, 4, 5]
    assert directory.to_dict()["a"].tolist() == [3, 4, 5]
