"""Laws of tables: exact or refused, equal tables have equal leaves, Arrow opens them."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path
from typing import Any

import dateutil.tz
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import Store, open_store
from smalti.codecs import CODECS
from smalti.errors import Refused
from smalti.store.record import Record, record_of
from smalti.store.values import Buffer, Encoded

Frame = pd.DataFrame


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def encoded(table: Any) -> Encoded:
    result = CODECS.encode(table)
    assert isinstance(result, Encoded)
    return result


def record(table: Any) -> Record:
    return record_of(encoded(table))


def address(table: Any) -> str:
    return record(table).address


def back(table: Any) -> Any:
    """The value after a round trip through bytes of its own."""
    result = encoded(table)
    buffers = [memoryview(bytes(piece.data)) for piece in result.pieces if isinstance(piece, Buffer)]
    return CODECS.decode(result.header, buffers)


def file_of(table: Any) -> pa.Table:
    pieces = (bytes(piece.data) if isinstance(piece, Buffer) else piece for piece in encoded(table).pieces)
    table = pa.ipc.open_file(pa.py_buffer(b"".join(pieces))).read_all()
    table.validate(full=True)
    return table


def assert_same_frame(a: Frame, b: Frame) -> None:
    pd.testing.assert_frame_equal(a, b, check_exact=True, check_freq=True, check_column_type="exact")
    assert type(a.index) is type(b.index)
    assert type(a.columns) is type(b.columns)
    assert a.attrs == b.attrs


COLUMNS = {
    "int64": [1, 2, 3],
    "uint8": np.array([1, 2, 255], np.uint8),
    "big endian": np.array([1, 2, 255], ">i4"),
    "float16": np.array([1, np.nan, -0.0], np.float16),
    "float64": [1.5, np.nan, -0.0],
    "bool": [True, False, True],
    "datetime in seconds": np.array(["2020", "NaT", "1850"], "M8[s]"),
    "datetime in nanoseconds": np.array(["2020", "NaT", "2021"], "M8[ns]"),
    "timedelta": pd.to_timedelta([1, None, 3], unit="s"),
    "time zone": pd.to_datetime(["2020-01-01", None, "2020-07-01"]).tz_localize("Europe/Berlin"),
    "fixed offset": pd.to_datetime(["2020-01-01T00:00+05:30"] * 3),
    "text": ["a", None, "čé"],
    "text with NA": pd.array(["a", None, ""], "string"),
    "text kept by Python": pd.array(["a", None, ""], "string[python]"),
    "objects: text and None": pd.Series(["a", None, ""], dtype=object),
    "objects: text and NaN": pd.Series(["a", np.nan, ""], dtype=object),
    "objects: text and NA": pd.Series(["a", pd.NA, ""], dtype=object),
    "objects: all None": pd.Series([None, None, None], dtype=object),
    "objects: bytes": pd.Series([b"a", None, b"\0"], dtype=object),
    "objects: bool": pd.Series([True, None, False], dtype=object),
    "objects: int": pd.Series([2**60, None, -1], dtype=object),
    "objects: dates": pd.Series([datetime.date(2020, 1, 1), None, datetime.date(1, 1, 1)], dtype=object),
    "objects: lists": pd.Series([[1, 2], None, []], dtype=object),
    "objects: maps": pd.Series([{"a": [1.5], "b": "x"}, None, {"a": [], "b": ""}], dtype=object),
    "category": pd.Categorical(["u", None, "v"]),
    "category, ordered, unused": pd.Categorical(["u", None, "v"], ["z", "v", "u"], ordered=True),
    "category of numbers": pd.Categorical([3, 1, 3]),
    "category of intervals": pd.cut([1, 2, 30], 3),
    "category of times": pd.Categorical(pd.to_datetime(["2020", None, "2020"])),
    "Int64": pd.array([1, None, 3], "Int64"),
    "UInt8": pd.array([1, None, 255], "UInt8"),
    "Float64 with NaN": pd.array([1.5, None, 0.0], "Float64") / pd.array([1, 1, 0], "Float64"),
    "boolean": pd.array([True, None, False], "boolean"),
    "period": pd.PeriodIndex(["2020-01", None, "2020-03"], freq="M"),
    "interval": pd.arrays.IntervalArray.from_tuples([(0, 1), None, (2, 3)], closed="left"),
    "Arrow list": pd.array([[1], None, [2, 3]], pd.ArrowDtype(pa.list_(pa.int64()))),
    "Arrow decimal": pd.array([1, None, 3], pd.ArrowDtype(pa.decimal128(10, 2))),
    "Arrow struct": pd.array([{"a": 1}, None, {"a": None}], pd.ArrowDtype(pa.struct([("a", pa.int32())]))),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_of_every_kind_comes_back_exactly(kind: str) -> None:
    frame = Frame({"x": pd.Series(COLUMNS[kind])})
    expected = frame.astype(frame["x"].dtype.newbyteorder("<")) if kind == "big endian" else frame
    assert_same_frame(back(frame), expected)
    assert_same_frame(back(frame[:0]), expected[:0])
    if kind.startswith("objects"):
        assert [type(cell) for cell in back(frame)["x"]] == [type(cell) for cell in frame["x"]]


@pytest.mark.parametrize("kind", COLUMNS)
def test_the_file_is_an_arrow_file_that_pyarrow_opens(kind: str) -> None:
    table = file_of(Frame({"x": pd.Series(COLUMNS[kind])}))
    assert table.num_rows == 3
    assert table.column_names == ["x"]
    assert not table.schema.metadata


INDEXES = [
    pd.RangeIndex(3),
    pd.RangeIndex(10, 4, -2, name="n"),
    pd.Index([3, 1, 2]),
    pd.Index(["a", "b", None], name="key"),
    pd.Index(["a", "b", "c"], dtype=object, name=7),
    pd.date_range("2020", periods=3, freq="D"),
    pd.date_range("2020", periods=3, freq="ME", tz="Asia/Tokyo", name="when"),
    pd.timedelta_range("1s", periods=3, freq="s"),
    pd.period_range("2020-01", periods=3, freq="M"),
    pd.CategoricalIndex(["a", "b", "a"], ordered=True),
    pd.interval_range(0, 3),
    pd.MultiIndex.from_product([["a"], [1, 2, 3]], names=["x", None]),
    pd.MultiIndex.from_arrays([pd.to_datetime(["2020", None, "2021"])]),
]


@pytest.mark.parametrize("index", INDEXES, ids=lambda index: f"{type(index).__name__} {index.name}")
def test_a_row_index_comes_back_with_names_and_frequency(store: Store, index: pd.Index) -> None:
    frame = Frame({"x": [1.0, 2.0, 3.0]}, index=index)
    assert_same_frame(back(frame), frame)
    assert_same_frame(back(frame[[]]), frame[[]])
    assert_same_frame(store.open(store.put(frame))[1:3], frame[1:3])


LABELS = [
    pd.RangeIndex(2),
    pd.Index([5, 3]),
    pd.Index([0.5, 1.0]),
    pd.Index(["b", "a"], name="what"),
    pd.Index(["b", 0], dtype=object),
    pd.date_range("2020", periods=2, freq="D"),
    pd.MultiIndex.from_tuples([("a", 1), ("a", 2)], names=["x", "y"]),
]


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: f"{type(labels).__name__} {labels.dtype}")
def test_column_labels_keep_their_type(labels: pd.Index) -> None:
    frame = Frame([[1, 2], [3, 4]], columns=labels)
    assert_same_frame(back(frame), frame)
    assert file_of(frame).column_names == [str(label) for label in labels]


def test_attributes_and_flags_come_back() -> None:
    frame = Frame({"x": [1]})
    frame.attrs = {"unit": "m", "steps": [1, {"a": None}]}
    unique = frame.set_flags(allows_duplicate_labels=False)
    assert_same_frame(back(frame), frame)
    assert not back(unique).flags.allows_duplicate_labels
    assert address(unique) != address(frame) != address(Frame({"x": [1]}))


def test_nan_payloads_and_signs_come_back() -> None:
    bits = np.array([0x7FF8000000000001, 0xFFF8000000000000, 0x8000000000000000], np.uint64)
    assert (back(Frame({"x": bits.view(float)}))["x"].to_numpy().view(np.uint64) == bits).all()


def test_a_frame_that_was_got_can_be_written_to() -> None:
    frame = back(Frame({"x": [1.0, 2.0]}))
    frame.loc[0, "x"] = 5.0
    assert frame["x"].tolist() == [5.0, 2.0]


REFUSED = [
    (Frame([[1, 2]], columns=["x", "x"]), "more than one column that is called 'x'"),
    (Frame([[1, 2]], columns=["1", 1]), "more than one column that is called '1'"),
    (Frame({"x": pd.Series(["a", 1], dtype=object)}), "column 'x' mixes Python objects \\(int, str\\)"),
    (Frame({"x": pd.Series(["a", None, np.nan], dtype=object)}), "column 'x' mixes kinds of missing values"),
    (Frame({"x": pd.Series([1, 2.5], dtype=object)}), "column 'x' holds 1 in row 0, which would come back as 1.0"),
    (Frame({"x": pd.Series([(1, 2)], dtype=object)}), "column 'x' holds \\(1, 2\\) in row 0"),
    (Frame({"x": pd.Series([{"a": 1}, {}], dtype=object)}), "column 'x' holds {} in row 1"),
    (Frame({"x": pd.Series([object()], dtype=object)}), "column 'x' mixes Python objects \\(object\\)"),
    (Frame({"x": pd.Series(["\ud800"], dtype=object)}), "column 'x' mixes Python objects"),
    (Frame({"x": pd.arrays.SparseArray([0, 0, 1])}), "column 'x' has the pandas type Sparse"),
    (
        Frame({"x": pd.to_datetime(["2020"]).tz_localize(dateutil.tz.gettz("Asia/Tokyo"))}),
        "has the pandas type datetime64",
    ),
    (Frame({"x": [1j]}), "column 'x' has dtype complex128"),
    (Frame({"x": np.zeros(1, np.longdouble)}), "column 'x' has dtype float128"),
    (Frame({("a",): [1]}, columns=pd.Index([("a",)], tupleize_cols=False)), "the label \\('a',\\) .* is a tuple"),
    (Frame({"x": [1]}, columns=pd.CategoricalIndex(["x"])), "labels of the columns have the pandas type category"),
    (Frame({"x": [1]}).rename_axis(index=datetime.date(2020, 1, 1)), "label .* is a date"),
    (pa.table([[1], [2]], names=["x", "x"]), "more than one column 'x'"),
    (pa.table({"x": pa.array(["a"], pa.string_view())}), "column 'x' has the Arrow type string_view"),
    (pa.table({"x": pa.array([["a"]], pa.list_(pa.dictionary(pa.int8(), pa.string())))}), "column 'x' .* dictionary"),
    (pa.table({"x": [1]}, metadata={b"\xff": b""}), "metadata of the table is not UTF-8"),
]


@pytest.mark.parametrize(("table", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_would_not_come_back_is_refused_in_a_sentence_that_names_it(table: Any, message: str) -> None:
    with pytest.raises(Refused, match=message):
        encoded(table)


@pytest.mark.parametrize("attrs", [{"x": (1, 2)}, {"x": float("nan")}, {1: 2}, {"x": np.zeros(1)}])
def test_attributes_that_are_not_plain_json_are_refused(attrs: dict[Any, Any]) -> None:
    frame = Frame({"x": [1]})
    frame.attrs = attrs
    with pytest.raises(Refused, match="attrs of the table"):
        encoded(frame)


PAIR = pa.struct([pa.field("a", pa.int64()), pa.field("b", pa.large_string(), nullable=False)])
PAIRS = st.fixed_dictionaries({"a": st.integers(0, 9) | st.none(), "b": st.text(max_size=3)})
TIMES = st.datetimes(timezones=st.just(datetime.UTC)).map(lambda time: time.replace(microsecond=0))
ARROW_TYPES = [
    (pa.null(), st.none()),
    (pa.bool_(), st.booleans()),
    (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    (pa.float64(), st.floats()),
    (pa.string(), st.text(max_size=5)),
    (pa.large_binary(), st.binary(max_size=5)),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.decimal128(9, 2), st.decimals(-99, 99, places=2)),
    (pa.timestamp("ms", "UTC"), TIMES),
    (pa.list_(pa.int8()), st.lists(st.none() | st.integers(-9, 9), max_size=4)),
    (pa.list_(pa.float32(), 2), st.lists(st.floats(width=32), min_size=2, max_size=2)),
    (PAIR, PAIRS),
    (pa.list_(PAIR), st.lists(PAIRS, max_size=3)),
    (pa.map_(pa.string(), pa.int32()), st.lists(st.tuples(st.text(max_size=2), st.integers(0, 9)), max_size=3)),
    (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["u", "v"])),
]


@st.composite
def arrow_arrays(draw: st.DrawFn) -> pa.Array:
    dtype, cells = draw(st.sampled_from(ARROW_TYPES))
    return pa.array(draw(st.lists(st.none() | cells, max_size=12)), dtype)


@settings(max_examples=150, deadline=None)
@given(array=arrow_arrays())
def test_an_arrow_table_comes_back_with_equal_schema_and_content(array: pa.Array) -> None:
    table = pa.table({"x": array})
    result = back(table)
    result.validate(full=True)
    assert result.schema == table.schema
    assert str(result["x"].to_pylist()) == str(array.to_pylist())  # NaN is not equal to itself
    assert str(file_of(table)["x"].to_pylist()) == str(array.to_pylist())


@settings(max_examples=150, deadline=None)
@given(array=arrow_arrays(), data=st.data())
def test_chunks_slices_and_what_nulls_hide_do_not_change_the_address(array: pa.Array, data: st.DataObject) -> None:
    expected = address(pa.table({"x": array}))
    cut = data.draw(st.integers(0, len(array)))
    padded = pa.concat_arrays([array[:1], array, array[:3]])
    sliced = padded[len(array[:1]) : len(array[:1]) + len(array)]
    chunks = [chunk for chunk in (array[:cut], array[cut:]) if len(chunk)]
    assert address(pa.table({"x": sliced})) == expected
    assert address(pa.table({"x": pa.chunked_array(chunks, array.type)})) == expected


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


@pytest.mark.parametrize("table", [pa.table({}), pa.table({"x": pa.chunked_array([], pa.string())})], ids=str)
def test_a_table_without_rows_or_columns_comes_back(table: pa.Table) -> None:
    assert back(table).schema == table.schema
    assert file_of(table).num_rows == back(table).num_rows == 0


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
    "frame": "sha256:3f678c35b999e24d5103676ebbd84cf15cc7a21d23bf1f5efcae5db532cc3b25",
    "flags": "sha256:9cd64bf5029f49ff86ff786e4c4cc5fe4c2266613b6fc01aa6214656acdde0eb",
}


def test_importing_the_codecs_loads_neither_pandas_nor_pyarrow() -> None:
    program = "import sys, smalti.codecs; print(sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not {"pandas", "pyarrow", "h5py"} & set(loaded.split("'"))
