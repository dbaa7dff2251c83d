"""Laws of the addresses of tables: equal tables have one, however they lie in memory; different ones have others."""

from __future__ import annotations

import datetime
import zoneinfo
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.codecs import CODECS
from smalti.errors import Refused
from smalti.store.format.record import Record
from smalti.store.objects.hashing import record_of
from smalti.store.values import Buffer, Encoded
from smalti.testing import tables

Frame = pd.DataFrame


def record(table: Any) -> Record:
    encoded = CODECS.encode(table)
    assert isinstance(encoded, Encoded)
    return record_of(encoded)


def address(table: Any) -> str:
    return record(table).address


def back(table: Any) -> Any:
    encoded = CODECS.encode(table)
    assert isinstance(encoded, Encoded)
    return CODECS.decode(encoded.header, [piece.data for piece in encoded.pieces if isinstance(piece, Buffer)])


@settings(max_examples=150, deadline=None)
@given(data=st.data(), array=tables.arrow_arrays())
def test_chunks_slices_and_what_nulls_hide_do_not_change_the_address(data: st.DataObject, array: pa.Array) -> None:
    if pa.types.is_dictionary(array.type):  # whose values count in their order, also those that no row has
        array = pa.array(["u", "v", *array.to_pylist()], array.type)[2:]
    laid_out = [data.draw(tables.layouts(array)) for _ in range(2)]
    assert len({address(pa.table({"x": column})) for column in (array, *laid_out)}) == 1


SMALL = [
    pa.table({"a": pa.array(a, pa.int8()), "b": pa.array(b, pa.int8())}) for a in ([0], [None]) for b in ([0], [None])
]
PAIR = pa.struct([("a", pa.int8()), ("b", pa.int8())])
SMALL += [pa.table({"x": pa.array([cell], PAIR)}) for cell in (None, {"a": None, "b": 0}, {"a": 0, "b": None})]


def test_where_the_nulls_are_is_part_of_an_address_also_where_the_bytes_are_the_same() -> None:
    assert len({address(table) for table in SMALL}) == len(SMALL)
    assert [back(table).to_pylist() for table in SMALL] == [table.to_pylist() for table in SMALL]


cells = st.sampled_from([None, 0, 1])
numbers = st.lists(st.tuples(cells, cells), min_size=1, max_size=9)


@settings(deadline=None, max_examples=200)
@given(one=numbers, other=numbers)
def test_tables_with_other_cells_have_other_addresses(one: list[Any], other: list[Any]) -> None:
    kinds = ("a", pa.int8()), ("b", pa.int8())
    tables_of = [
        pa.table({n: pa.array(c, t) for (n, t), c in zip(kinds, zip(*rows, strict=True), strict=True)})
        for rows in (one, other)
    ]
    assert (address(tables_of[0]) == address(tables_of[1])) == (one == other)


def test_nulls_that_lie_elsewhere_than_the_header_says_are_refused() -> None:
    encoded = CODECS.encode(SMALL[1])
    assert isinstance(encoded, Encoded)
    buffers = [memoryview(bytes(buffer.data)) for buffer in encoded.buffers]
    with pytest.raises(Refused, match="the nulls of this table lie elsewhere than its header says"):
        CODECS.decode(encoded.header, [buffers[2], buffers[1], buffers[0], buffers[3]])
    with pytest.raises(Refused, match="has 4 buffers, and there are 3"):
        CODECS.decode(encoded.header, buffers[:3])


def test_bytes_under_nulls_and_bitmaps_without_nulls_do_not_count() -> None:
    clean = pa.array([1, None, 3])
    dirty = pa.Array.from_buffers(pa.int64(), 3, [pa.py_buffer(b"\xfd"), pa.py_buffer(np.array([1, 99, 3]))])
    full = pa.Array.from_buffers(pa.int64(), 3, [pa.py_buffer(b"\xff"), pa.py_buffer(np.array([1, 2, 3]))])
    assert address(pa.table({"x": clean})) == address(pa.table({"x": dirty}))
    assert address(pa.table({"x": full})) == address(pa.table({"x": [1, 2, 3]}))


def test_bytes_under_nulls_do_not_move_the_cuts_of_batches() -> None:
    random = np.random.default_rng(0)
    values = random.integers(0, 2**60, 50_000)
    null = random.random(50_000) < 0.5
    bitmap = pa.py_buffer(np.packbits(~null, bitorder="little"))
    dirty = [np.where(null, random.integers(0, 2**60, 50_000), values) for _ in range(2)]
    arrays = [pa.Array.from_buffers(pa.int64(), 50_000, [bitmap, pa.py_buffer(data)]) for data in dirty]
    assert address(pa.table({"x": arrays[0]})) == address(pa.table({"x": arrays[1]}))


def test_what_a_null_parent_hides_does_not_count() -> None:
    mask = pa.array([False, True, False])
    child = [pa.array([1, 2, 3]), pa.array([1, None, 3]), pa.array([1, 77, 3])]
    structs = [pa.StructArray.from_arrays([values], ["a"], mask=mask) for values in child]
    assert len({address(pa.table({"x": array})) for array in structs}) == 1
    offsets = pa.array([0, 1, 3, 4], pa.int32())
    lists = pa.ListArray.from_arrays(offsets, pa.array([1, 7, 7, 3]), mask=mask)
    assert address(pa.table({"x": lists})) == address(pa.table({"x": pa.array([[1], None, [3]])}))


def test_a_dictionary_in_chunks_is_one_dictionary() -> None:
    chunked = pa.chunked_array([pa.array(["u", "v"]).dictionary_encode(), pa.array(["v", "w"]).dictionary_encode()])
    whole = pa.chunked_array([pa.array(["u", "v", "v", "w"]).dictionary_encode()])
    assert address(pa.table({"x": chunked})) == address(pa.table({"x": whole}))
    assert back(pa.table({"x": chunked}))["x"].to_pylist() == ["u", "v", "v", "w"]


def test_library_versions_in_the_metadata_do_not_count_but_the_rest_does() -> None:
    table = pa.Table.from_pandas(Frame({"x": [1]}, index=pd.Index(["a"], name="i")), preserve_index=True)
    older = table.schema.metadata[b"pandas"].replace(pd.__version__.encode(), b"1.0").replace(b'"pyarrow"', b'"arrow"')
    assert address(table.replace_schema_metadata({b"pandas": older})) == address(table)
    assert address(table.replace_schema_metadata({b"unit": b"m"})) != address(table.replace_schema_metadata())
    pd.testing.assert_frame_equal(back(table).to_pandas(), table.to_pandas())


def test_tables_that_differ_have_different_addresses() -> None:
    column = pa.array([1, 2])
    tables = [
        pa.table({"x": column}),
        pa.table({"y": column}),
        pa.table({"x": column.cast(pa.int32())}),
        pa.table({"x": column, "y": column}),
        pa.table({"x": pa.array([2, 1])}),
        pa.table({"x": pa.array([1, None])}),
        pa.table({"x": column}, schema=pa.schema([pa.field("x", pa.int64(), nullable=False)])),
        pa.table({"x": column}, schema=pa.schema([pa.field("x", pa.int64(), metadata={"unit": "m"})])),
        Frame({"x": [1, 2]}),
        Frame({"x": [1, 2]}, index=[1, 2]),
        Frame({"x": [1, 2]}, index=pd.RangeIndex(1, 3)),
        Frame({"x": pd.array([1, 2], "Int64")}),
    ]
    assert len({address(table) for table in tables}) == len(tables)
    a, b = pa.array([1, 2]), pa.array([3, 4])
    assert address(pa.table({"a": a, "b": b})) != address(pa.table({"b": b, "a": a}))


def test_a_frame_and_its_arrow_table_share_their_leaves() -> None:
    frame = Frame({"x": np.arange(5000), "s": [f"row {i}" for i in range(5000)]})
    assert record(frame).leaf_ids == record(pa.Table.from_pandas(frame, preserve_index=False)).leaf_ids


def test_memory_layout_of_a_frame_does_not_change_the_address() -> None:
    values = np.random.default_rng(0).random((50, 4))
    frames = [Frame(values), Frame(np.asfortranarray(values)), Frame({i: values[:, i] for i in range(4)})]
    frames[2].columns = pd.RangeIndex(4)
    assert len({address(frame) for frame in frames}) == 1


def test_addresses_of_known_tables_never_change() -> None:
    """If this fails, tables stored before are no longer found by content."""
    rows = 5000
    frame = Frame(
        {
            "i": np.arange(rows),
            "f": np.arange(rows) / 7,
            "s": [f"text {i % 97}" for i in range(rows)],
            "c": pd.Categorical.from_codes(np.arange(rows) % 3, ["u", "v", "w"]),
            "n": pd.array([None if i % 5 else i for i in range(rows)], "Int64"),
        }
    )
    assert {"frame": address(frame), "flags": address(frame[["c"]].head(3))} == PINNED


PINNED = {
    "frame": "sha256:a8531230befc1a985e83f51511e51f2abc6ab08d505e735d3fb3d0502177e8f3",
    "flags": "sha256:0e8a2bd938a16adb8a4e03e81c00935599d6a5d16eeb5c3e932f8b9b2da1bfa6",
}


SAME_FRAMES = {
    "where a range stops": [Frame({"x": [1, 2]}, pd.RangeIndex(0, stop, 2)) for stop in (3, 4)],
    "where an empty range is": [Frame({"x": []}, pd.RangeIndex(start, start)) for start in (0, 5)],
    "the step of one row": [Frame({"x": [1]}, pd.RangeIndex(2, stop, step)) for stop, step in ((3, 1), (9, 7))],
    "where a range of labels stops": [Frame([[1, 2]], columns=pd.RangeIndex(0, stop, 2)) for stop in (3, 4)],
    "levels that no row uses": [
        Frame({"x": [1]}, pd.MultiIndex.from_product([["a", "b"], [1]])[:1]),
        Frame({"x": [1]}, pd.MultiIndex.from_product([["a"], [1]])),
    ],
    "how UTC is written": [
        Frame({"x": pd.to_datetime(["2020"]).tz_localize(zone)})
        for zone in ("UTC", datetime.UTC, zoneinfo.ZoneInfo("UTC"))
    ],
    "what missing ones hide": [
        Frame({"x": pd.arrays.IntegerArray(np.array([1, hidden]), np.array([False, True]))}) for hidden in (1, 77)
    ],
    "the width of codes": [
        Frame({"x": pd.Categorical.from_codes(np.array([0, 1], dtype), ["a", "b"])}) for dtype in ("i1", "i8")
    ],
    "every true": [Frame({"x": np.array([0, 1], np.uint8).view("?") if odd else [False, True]}) for odd in (0, 1)],
    "what Arrow keeps text in": [
        Frame({"x": pd.Series(pa.array(["a"], t()), dtype="str")}) for t in (pa.string, pa.large_string)
    ],
    "the names of categories": [
        Frame({"x": pd.Categorical.from_codes([0], pd.Index(["a"], name=n))}) for n in (None, "n")
    ],
}


@pytest.mark.parametrize("what", SAME_FRAMES)
def test_what_pandas_takes_for_equal_does_not_change_the_address(what: str) -> None:
    first, *others = SAME_FRAMES[what]
    for other in others:
        assert first.equals(other)
        assert (first.dtypes == other.dtypes).all()
    assert len({address(frame) for frame in SAME_FRAMES[what]}) == 1


def test_frames_that_differ_have_different_addresses() -> None:
    text = pd.Index(["a"], dtype=object)
    frames = [
        *(Frame({"x": pd.Series(["a"], dtype=dtype)}) for dtype in (object, "str", "string", "string[python]")),
        *(Frame({"x": pd.Series([missing], dtype=object)}) for missing in (None, np.nan, pd.NA)),
        *(Frame({"x": [value]}) for value in (0, 0.0, -0.0, False, 1)),
        *(Frame({"x": [0]}, index) for index in (text, pd.Index(["a"]), [0], pd.RangeIndex(1, name="n"), [0.0])),
        *(
            Frame([[0]], columns=labels)
            for labels in (text, [0], pd.RangeIndex(1, name="n"), pd.Index(["a"], name="n"))
        ),
        *(
            Frame({"x": pd.Categorical(["a"], values, ordered=o)})
            for values in (["a"], ["a", "b"])
            for o in (True, False)
        ),
        *(Frame({"x": pd.to_datetime(["2020"]).as_unit(unit)}) for unit in ("s", "ns")),
        *(Frame({"x": [0]}, pd.DatetimeIndex(["2020"], freq=freq)) for freq in (None, "D")),
    ]
    assert len({address(frame) for frame in frames}) == len(frames)
