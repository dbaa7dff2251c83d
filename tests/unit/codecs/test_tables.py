"""Laws of tables: exact or refused, equal tables have equal leaves, Arrow opens them."""

from __future__ import annotations

import datetime
import decimal
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

from smalti import Store, open_store
from smalti.codecs import CODECS
from smalti.errors import Refused
from smalti.store.format.record import Record
from smalti.store.objects.hashing import record_of
from smalti.store.values import Buffer, Encoded
from smalti.testing import tables

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
    "objects: times": pd.Series([datetime.datetime(2020, 1, 1, 2, 3, 4, 5), None, datetime.datetime.max], dtype=object),
    "objects: times of day": pd.Series([datetime.time(1, 2, 3, 4), None, datetime.time()], dtype=object),
    "objects: durations": pd.Series([datetime.timedelta(1, 2, 3), None, -datetime.timedelta(1)], dtype=object),
    "objects: decimals": pd.Series([decimal.Decimal("1.10"), None, decimal.Decimal("-2.00")], dtype=object),
    "objects: lists": pd.Series([[1, 2], None, []], dtype=object),
    "objects: maps": pd.Series([{"a": [1.5], "b": "x"}, None, {"a": [], "b": ""}], dtype=object),
    "category": pd.Categorical(["u", None, "v"]),
    "category, ordered, unused": pd.Categorical(["u", None, "v"], ["z", "v", "u"], ordered=True),
    "category of numbers": pd.Categorical([3, 1, 3]),
    "category of intervals": pd.cut([1, 2, 30], 3),
    "category of times": pd.Categorical(pd.to_datetime(["2020", None, "2020"])),
    "Int64": pd.array([1, None, 3], "Int64"),
    "UInt8": pd.array([1, None, 255], "UInt8"),
    "Float64 with NaN": pd.arrays.FloatingArray(np.array([1.5, np.nan, 0.0]), np.array([False, False, True])),
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


@settings(max_examples=60, deadline=None)
@given(frame=tables.frames())
def test_a_frame_of_any_columns_and_index_comes_back_exactly(frame: Frame) -> None:
    result = back(frame)
    expected = frame.astype({c: d.newbyteorder("<") for c, d in frame.dtypes.items() if isinstance(d, np.dtype)})
    expected.attrs = frame.attrs
    assert_same_frame(result, expected)
    for label in expected.columns[[dtype is np.dtype(object) for dtype in expected.dtypes]]:
        assert [type(cell) for cell in result[label]] == [type(cell) for cell in expected[label]]
    assert address(result) == address(frame)


def test_nan_payloads_and_signs_come_back() -> None:
    bits = np.array([0x7FF8000000000001, 0xFFF8000000000000, 0x8000000000000000], np.uint64)
    assert (back(Frame({"x": bits.view(float)}))["x"].to_numpy().view(np.uint64) == bits).all()


def test_a_frame_that_was_got_can_be_written_to() -> None:
    frame = back(Frame({"x": [1.0, 2.0]}))
    frame.loc[0, "x"] = 5.0
    assert frame["x"].tolist() == [5.0, 2.0]


class OwnType(pa.ExtensionType):
    """An extension type as users define them; pyarrow gives it no hash."""

    def __init__(self) -> None:
        super().__init__(pa.int64(), "smalti.test")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, _storage: pa.DataType, _serialized: bytes) -> OwnType:
        return cls()


STRUCTS = pa.table(
    {
        "x": pa.chunked_array(
            [pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array([{"a": n}])) for n in range(2)]
        )
    }
)


REFUSED = [
    (Frame([[1, 2]], columns=["x", "x"]), "more than one column that is called 'x'"),
    (Frame([[1, 2]], columns=["1", 1]), "more than one column that is called '1'"),
    (Frame({"x": pd.Series(["a", 1], dtype=object)}), "column 'x' holds objects \\(int, str\\) of no one type"),
    (Frame({"x": pd.Series(["a", None, np.nan], dtype=object)}), "missing values of the kinds NoneType, float"),
    (Frame({"x": pd.Series([pd.NaT], dtype=object)}), "missing values of the kinds NaTType; replace"),
    (Frame({"x": pd.Series([decimal.Decimal("1.10"), decimal.Decimal(2)], dtype=object)}), "Decimal\\('2.00'\\)"),
    (Frame({"x": pd.Series([datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)], dtype=object)}), "zoneinfo"),
    (Frame({"x": pd.Series([datetime.time(1, fold=1)], dtype=object)}), "come back as datetime.time\\(1, 0\\)"),
    (Frame({"x": pd.Series([1, 2.5], dtype=object)}), "column 'x' holds 1 in row 0, which would come back as 1.0"),
    (Frame({"x": pd.Series([(1, 2)], dtype=object)}), "column 'x' holds \\(1, 2\\) in row 0"),
    (Frame({"x": pd.Series([{"a": 1}, {}], dtype=object)}), "column 'x' holds {} in row 1"),
    (Frame({"x": pd.Series([object()], dtype=object)}), "column 'x' holds objects \\(object\\) of no one type"),
    (Frame({"x": pd.Series(["\ud800"], dtype=object)}), "column 'x' holds objects \\(str\\) of no one type"),
    (Frame({"x": pd.array(["\ud800"], "string[python]")}), "the table holds a text that is none"),
    (Frame([[1]], columns=pd.Index(["\ud800"], dtype=object)), "the table holds a text that is none"),
    (
        Frame({"x": [1]}, pd.date_range("2020", periods=1, freq=pd.offsets.BusinessHour(start="11:00"))),
        "the index has the frequency <BusinessHour: bh=11:00-17:00>, which its name does not give back",
    ),
    (
        Frame({"x": [1]}, pd.DatetimeIndex(["2020-01-02"], freq=pd.DateOffset(months=1, days=2))),
        "the index has the frequency <DateOffset: days=2, months=1>, which its name does not give back",
    ),
    (
        Frame({"x": [1, 2]}, pd.MultiIndex(levels=[[7, 8], ["a"]], codes=[[0, -1], [0, 0]])),
        "level 0 of the index has missing values, which int64 cannot hold; convert it to float64",
    ),
    (Frame({"x": pd.arrays.SparseArray([0, 0, 1])}), "column 'x' has the pandas type Sparse"),
    (
        Frame({"x": pd.to_datetime(["2020"]).tz_localize(dateutil.tz.gettz("Asia/Tokyo"))}),
        "has the pandas type datetime64",
    ),
    (Frame({"x": [1j]}), "column 'x' has dtype complex128"),
    (Frame({"x": np.zeros(1, np.longdouble)}), "column 'x' has dtype float128"),
    (Frame({("a",): [1]}, columns=pd.Index([("a",)], tupleize_cols=False)), "the label \\('a',\\) .* is a tuple"),
    (Frame([[1]], columns=pd.Index([1], dtype="Int64")), "labels of the columns have the pandas type Int64; use text"),
    (Frame([[1]], columns=pd.Index([np.nan])), "a label of the table is nan, which its header cannot hold; rename it"),
    (Frame({"x": [1]}).rename_axis(index=datetime.date(2020, 1, 1)), "label .* is a date"),
    (pa.table([[1], [2]], names=["x", "x"]), "more than one column 'x'"),
    (pa.table({"x": pa.ListViewArray.from_arrays([0], [1], pa.array([1]))}), "column 'x' has the Arrow type list_view"),
    (pa.table({"x": pa.array([["a"]], pa.list_(pa.dictionary(pa.int8(), pa.string())))}), "column 'x' .* dictionary"),
    (pa.table({"x": [1]}, metadata={b"\xff": b""}), "metadata of the table is not UTF-8"),
    (pa.table({"x": pa.ExtensionArray.from_storage(OwnType(), pa.array([1]))}), "column 'x' has the Arrow type"),
    (
        STRUCTS,
        "cannot be written as one Arrow file .* convert that column",
    ),
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


@settings(max_examples=150, deadline=None)
@given(array=tables.arrow_arrays())
def test_an_arrow_table_comes_back_with_equal_schema_and_content(array: pa.Array) -> None:
    table = pa.table({"x": array})
    result = back(table)
    result.validate(full=True)
    assert result.schema.equals(table.schema, check_metadata=True)
    assert str(result["x"].to_pylist()) == str(array.to_pylist())  # NaN is not equal to itself
    assert str(file_of(table)["x"].to_pylist()) == str(array.to_pylist())


EMPTY = [pa.table({}), pa.table({"x": pa.chunked_array([], pa.string())}), pa.table({"x": [1, 2]}).select([])]


@pytest.mark.parametrize("table", [*EMPTY, EMPTY[2].replace_schema_metadata({"a": "b"})], ids=str)
def test_a_table_without_rows_or_columns_comes_back(store: Store, table: pa.Table) -> None:
    for found in (back(table), store.open(store.put(table)).to_arrow()):
        assert found.schema.equals(table.schema, check_metadata=True)
        assert found.num_rows == table.num_rows
    assert len({address(table) for table in EMPTY}) == 3
    assert file_of(table).schema == table.schema


@pytest.mark.parametrize("about", ["not JSON", "[1]", '{"a": NaN}'])
def test_metadata_that_is_not_what_pandas_writes_is_kept_as_it_is(about: str) -> None:
    table = pa.table({"x": [1]}, metadata={"pandas": about})
    assert back(table).schema.metadata == table.schema.metadata


def test_importing_the_codecs_loads_neither_pandas_nor_pyarrow() -> None:
    program = "import sys, smalti.codecs; print(sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not {"pandas", "pyarrow", "h5py"} & set(loaded.split("'"))
