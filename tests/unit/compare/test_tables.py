"""Laws of comparing tables: columns, rows by key or by content and place, cells; as pandas and pyarrow write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import Store, open_store
from smalti.compare import TableDifference, compare, page, summary, text
from smalti.errors import NotFound


def difference(before: Any, after: Any, key: str | tuple[str, ...] = ()) -> TableDifference:
    """Return how two tables differ that are stored."""
    store = open_store("memory:")
    (found,) = compare(store, store.put(before), store.put(after), key=key).differences
    assert isinstance(found.content, TableDifference)
    return found.content


def cells(found: TableDifference) -> list[tuple[str, str, str, str]]:
    return [(cell.row, cell.column, cell.before, cell.after) for cell in found.cells]


PEOPLE = pd.DataFrame(
    {
        "PersonId": [3, 1, 2, 9],
        "age": [35.0, np.nan, 8.0, 70.0],
        "class": pd.Categorical(["a", "b", "a", None]),
        "seen": pd.to_datetime(["2020-01-01", None, "2021-05-05", "2022-01-01"]).tz_localize("Europe/Berlin"),
        "note": ["x", None, "<script>alert(1)</script>", "long" * 400],
    }
)


def test_rows_are_matched_by_the_column_that_is_called_an_id() -> None:
    after = PEOPLE.iloc[::-1].reset_index(drop=True)
    after.loc[after["PersonId"] == 3, "age"] = 36
    after.loc[after["PersonId"] == 1, "age"] = 4
    after = pd.concat([after[after["PersonId"] != 9], after[:1].assign(PersonId=10)], ignore_index=True)
    found = difference(PEOPLE, after)
    assert found.key == ("PersonId",)
    assert (found.added, found.removed) == (("10",), ("9",))
    assert cells(found) == [("1", "age", "NaN", "4.0"), ("3", "age", "35.0", "36.0")]
    assert found.rows_moved == 2, "three rows are in the opposite order"


def test_nan_equals_nan_and_missing_equals_missing() -> None:
    found = difference(PEOPLE, PEOPLE.assign(age=PEOPLE["age"] + 0.0, new=1))
    assert (found.columns_added, found.columns, found.cells) == ((("new", "int64"),), (), ())


def test_categories_and_zones_are_compared_by_what_they_say() -> None:
    after = PEOPLE.assign(**{"class": PEOPLE["class"].astype("str"), "seen": PEOPLE["seen"].dt.tz_convert("UTC")})
    found = difference(PEOPLE, after)
    assert {column.name: column.cells for column in found.columns} == {"class": 0, "seen": 0}
    later = difference(PEOPLE, PEOPLE.assign(seen=PEOPLE["seen"] + pd.Timedelta("1h")))
    assert {column.name: column.cells for column in later.columns} == {"seen": 3}


def test_a_key_that_repeats_pairs_its_rows_in_order() -> None:
    before = pd.DataFrame({"k": [1, 1, 2], "x": [1, 2, 3]})
    after = pd.DataFrame({"k": [2, 1, 1, 1], "x": [3, 1, 5, 7]})
    found = difference(before, after, key="k")
    assert cells(found) == [("1", "x", "2", "5")]
    assert (found.rows_added, found.rows_removed) == (1, 0)
    assert "some values repeat" in found.matching


def test_long_whole_numbers_are_keys_to_the_last_digit_also_where_some_are_missing() -> None:
    long = 2**63 - 1
    before = pa.table({"id": [long - 1, long, None], "x": [1, 2, 3]})
    after = pa.table({"id": [long, long - 1, None], "x": [2, 1, 9]})
    found = difference(before, after, key="id")
    assert [(cell[1:]) for cell in cells(found)] == [("x", "3", "9")]
    assert (found.rows_added, found.rows_removed) == (0, 0)


def test_several_columns_may_be_the_key() -> None:
    before = pd.DataFrame({"year": [1, 1, 2], "month": ["a", "b", "a"], "x": [1, 2, 3]})
    after = before[::-1].reset_index(drop=True).assign(x=[3, 2, 9])
    assert cells(difference(before, after, key=("year", "month"))) == [("1, a", "x", "1", "9")]


def test_a_key_that_is_not_there_is_refused_with_the_columns() -> None:
    with pytest.raises(NotFound, match=r"no column 'nothing'; it has PersonId, age"):
        difference(PEOPLE, PEOPLE[:2], key="nothing")


def test_without_a_key_a_row_in_between_moves_nothing() -> None:
    before = pd.DataFrame({"x": np.arange(50.0), "y": [str(i) for i in range(50)]})
    after = pd.concat([before[:20], pd.DataFrame({"x": [0.5], "y": ["new"]}), before[20:]], ignore_index=True)
    after.loc[30, "x"] = -1.0
    found = difference(before, after)
    assert (found.key, found.rows_added, found.rows_removed, found.rows_changed) == ((), 1, 0, 1)
    assert cells(found) == [("29 -> 30", "x", "29.0", "-1.0")]
    assert found.added == ("20",)


def test_without_a_key_rows_in_another_order_are_found_again() -> None:
    before = pd.DataFrame({"x": np.arange(30), "y": np.arange(30) * 2.5})
    found = difference(before, before.sample(frac=1, random_state=0).reset_index(drop=True))
    assert (found.rows_changed, found.rows_added, found.rows_removed) == (0, 0, 0)
    assert found.rows_moved > 15


def test_the_index_of_a_frame_is_its_key() -> None:
    before = pd.DataFrame({"x": [1, 2, 3]}, index=["a", "b", "c"])
    after = pd.DataFrame({"x": [3, 9]}, index=["c", "b"])
    found = difference(before, after)
    assert cells(found) == [("b", "x", "2", "9")]
    assert found.removed == ("a",)
    assert "the index" in found.matching


def test_what_differs_beside_cells_is_said() -> None:
    found = difference(PEOPLE, PEOPLE.rename_axis(columns="names").copy())
    assert found.about.changes
    assert not found.cells


TABLES = {
    "no rows": (PEOPLE[:0], PEOPLE),
    "no columns": (pd.DataFrame(index=range(3)), pd.DataFrame(index=range(4))),
    "lists": (pa.table({"x": [[1, 2], None]}), pa.table({"x": [[1, 2], [3]]})),
    "structures": (pa.table({"x": [{"a": 1}]}), pa.table({"x": [{"a": 2}]})),
    "text became numbers": (pd.DataFrame({"x": ["1", "2"]}), pd.DataFrame({"x": [1, 2]})),
    "nothing at all in a column": (pa.table({"x": pa.nulls(3)}), pa.table({"x": [1, 2, 3]})),
    "bytes": (pa.table({"x": [b"a"]}), pa.table({"x": [b"b"]})),
    "truths": (pa.table({"x": [True, None]}), pa.table({"x": [False, None]})),
    "large integers": (pa.table({"x": pa.array([2**63], pa.uint64())}), pa.table({"x": pa.array([-1], pa.int64())})),
    "decimals": (
        pa.table({"x": pa.array([1], pa.decimal128(5, 2))}),
        pa.table({"x": pa.array([2], pa.decimal128(5, 2))}),
    ),
    "durations": (
        pa.table({"x": pa.array([1], pa.duration("s")), "t": pa.array([1], pa.time32("s"))}),
        pa.table({"x": pa.array([2], pa.duration("s")), "t": pa.array([2], pa.time32("s"))}),
    ),
    "times": (
        pa.table({"x": [datetime(2020, 1, 1, tzinfo=UTC)]}),
        pa.table({"x": pa.array([0], pa.timestamp("ns", "Asia/Tokyo"))}),
    ),
    "columns in another order": (pa.table({"a": [1], "b": [2]}), pa.table({"b": [2], "a": [1]})),
    "a hostile name": (pa.table({"<script>": [1]}), pa.table({"<script>": [2]})),
    "nullable integers": (
        pd.DataFrame({"x": pd.array([1, None], "Int64")}),
        pd.DataFrame({"x": pd.array([1, 2], "Int64")}),
    ),
}


@pytest.mark.parametrize("pair", TABLES.values(), ids=TABLES)
@pytest.mark.filterwarnings("error")
def test_tables_of_every_kind_are_compared_in_words_and_as_a_page(pair: tuple[Any, Any]) -> None:
    store = open_store("memory:")
    found = compare(store, store.put(pair[0]), store.put(pair[1]))
    assert text(found)[0].startswith("changed  (the value)  table")
    assert "<script>" not in page(found, store)
    assert len(summary(found).splitlines()) <= 20


def test_a_pandas_and_an_arrow_table_of_equal_cells_differ_in_nothing_that_a_person_sees() -> None:
    frame = pd.DataFrame({"x": [1.5, 2.5]})
    found = difference(frame, pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None))
    assert (found.columns, found.cells, found.rows_changed) == ((), (), 0)


@st.composite
def edited(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame, set[int], set[int], set[tuple[int, str]]]:
    """Draw a table with unique ids, an edited one, and which ids were removed and added and which cells changed."""
    ids = draw(st.lists(st.integers(0, 99), min_size=1, max_size=12, unique=True))
    before = pd.DataFrame({"id": ids, "x": [float(i) for i in ids], "y": [str(i) for i in ids]})
    gone = set(draw(st.lists(st.sampled_from(ids), max_size=len(ids) // 2, unique=True)))
    after = before[~before["id"].isin(gone)].copy()
    changed = set()
    for row in draw(st.lists(st.sampled_from(list(after.index)), max_size=3, unique=True)):
        after.loc[row, "x"] = -1.0 if draw(st.booleans()) else np.nan
        changed.add((int(after.loc[row, "id"]), "x"))
    came = set(draw(st.lists(st.integers(100, 110), max_size=3, unique=True)))
    more = pd.DataFrame({"id": sorted(came), "x": 0.0, "y": "new"}).astype({"id": "int64", "y": after["y"].dtype})
    after = pd.concat([after, more], ignore_index=True).sample(frac=1, random_state=draw(st.integers(0, 9)))
    return before, after.reset_index(drop=True), gone, came, changed


@given(edited())
@settings(max_examples=60, deadline=None)
def test_what_was_edited_is_found(
    case: tuple[pd.DataFrame, pd.DataFrame, set[int], set[int], set[tuple[int, str]]],
) -> None:
    before, after, gone, came, changed = case
    store: Store = open_store("memory:")
    refs = store.put(before), store.put(after)
    if refs[0].digest == refs[1].digest:
        return
    found = difference(before, after, key="id")
    assert set(found.added) == {str(key) for key in came}
    assert set(found.removed) == {str(key) for key in gone}
    assert {(int(cell.row), cell.column) for cell in found.cells} == changed
    assert found.cells_changed == len(changed)
