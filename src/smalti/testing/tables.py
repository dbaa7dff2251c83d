"""Hypothesis strategies for tables: Arrow columns of every type that is stored, laid out in any way, and DataFrames.

>>> from hypothesis import given
>>> from smalti.testing.tables import frames
>>> @given(frame=frames())
... def test_my_function_keeps_every_frame(frame): ...
"""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

_TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
_PAIR = pa.struct([pa.field("a", pa.int64()), pa.field("b", pa.large_string(), nullable=False)])
_PAIRS = st.fixed_dictionaries({"a": st.integers(0, 9) | st.none(), "b": _TEXT})
_TIMES = st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1))
_OF_DAY = st.times().map(lambda time: time.replace(fold=0))  # Arrow does not know of two equal hours
_SECONDS = _TIMES.map(lambda time: time.replace(microsecond=0, tzinfo=datetime.UTC))

ARROW_TYPES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.null(), st.none()),
    (pa.bool_(), st.booleans()),
    (pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float64(), st.floats()),
    (pa.string(), _TEXT),
    (pa.string_view(), _TEXT),
    (pa.list_(pa.string_view()), st.lists(_TEXT, max_size=2)),
    (pa.large_binary(), st.binary(max_size=5)),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.decimal128(9, 2), st.decimals(-99, 99, places=2)),
    (pa.date32(), st.dates()),
    (pa.time64("us"), _OF_DAY),
    (pa.duration("ms"), st.integers(-(2**40), 2**40)),
    (pa.timestamp("ms", "UTC"), _SECONDS),
    (pa.list_(pa.int8()), st.lists(st.none() | st.integers(-9, 9), max_size=4)),
    (pa.list_(pa.float32(), 2), st.lists(st.floats(width=32), min_size=2, max_size=2)),
    (_PAIR, _PAIRS),
    (pa.list_(_PAIR), st.lists(_PAIRS, max_size=3)),
    (pa.map_(pa.string(), pa.int32()), st.lists(st.tuples(_TEXT, st.integers(0, 9)), max_size=3)),
    (pa.dictionary(pa.int8(), pa.string()), st.sampled_from(["u", "v"])),
]
"""Arrow types, plain and nested, and what their cells are made from."""


@st.composite
def arrow_arrays(draw: st.DrawFn, rows: int | None = None) -> pa.Array:
    """Arrow arrays of any of these types, of ``rows`` rows (0 to 12 where not said), some of them null."""
    dtype, cells = draw(st.sampled_from(ARROW_TYPES))
    size = draw(st.integers(0, 12)) if rows is None else rows
    return pa.array(draw(st.lists(st.none() | cells, min_size=size, max_size=size)), dtype)


@st.composite
def layouts(draw: st.DrawFn, array: pa.Array) -> pa.ChunkedArray:
    """Chunked arrays equal to ``array``: cut anywhere, each chunk a slice with other rows before and after it."""
    cuts = sorted(draw(st.lists(st.integers(0, len(array)), max_size=3)))
    parts = [array[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(array)], strict=True)]
    padded = [pa.concat_arrays([array[:1], part, array[:3]])[len(array[:1]) :][: len(part)] for part in parts]
    return pa.chunked_array(padded, array.type)


@st.composite
def arrow_tables(draw: st.DrawFn) -> pa.Table:
    """Arrow tables of 0 to 3 columns of any of these types."""
    rows = draw(st.integers(0, 6))
    names = draw(st.lists(_TEXT, max_size=3, unique=True))
    columns = {name: draw(layouts(draw(arrow_arrays(rows)))) for name in names}
    return pa.table(columns) if columns else pa.table({"": pa.nulls(rows)}).select([])


def _times(size: int) -> st.SearchStrategy[Any]:
    every = st.lists(st.none() | _TIMES, min_size=size, max_size=size)
    zones = st.sampled_from([None, "UTC", "Asia/Tokyo", "+05:30"])
    units = st.sampled_from(["s", "ms", "us", "ns"])
    return st.builds(
        lambda times, zone, unit: pd.DatetimeIndex(times).as_unit(unit).tz_localize(zone), every, zones, units
    )


def _columns(size: int) -> st.SearchStrategy[Any]:
    """What one pandas column may be: everything of which Arrow and numpy alone do not say all."""

    def several(cells: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        return st.lists(cells, min_size=size, max_size=size)

    def objects(cells: list[Any]) -> Any:
        return np.fromiter(cells, object, len(cells))

    def categories(cells: list[Any], ordered: bool) -> Any:
        return pd.Categorical(cells, ["z", "v", "u"], ordered=ordered)

    array: Any = pd.array  # its overloads know no dtype that is drawn
    numbers, none = st.integers(0, 100), st.none()
    return st.one_of(
        st.builds(np.array, several(st.floats(width=32)), st.sampled_from(["f4", ">f4", "f8"])),
        st.builds(np.array, several(numbers), st.sampled_from(["i1", "u8", ">i4", "?"])),
        st.builds(array, several(none | numbers), st.sampled_from(["Int8", "UInt64", "Float64"])),
        st.builds(array, several(none | st.booleans()), st.just("boolean")),
        st.builds(array, several(none | _TEXT), st.sampled_from(["str", "string", "string[python]"])),
        st.builds(categories, several(st.sampled_from([None, "u", "v"])), st.booleans()),
        *(
            several(missing | cells).map(objects)
            for missing in (none, st.just(pd.NA))
            for cells in (_TEXT, st.binary(max_size=3), numbers, st.booleans(), st.dates(), _OF_DAY, _TIMES)
        ),
        several(none | st.lists(numbers, max_size=3)).map(objects),
        arrow_arrays(size).map(lambda cells: array(cells, pd.ArrowDtype(cells.type))),
        _times(size),
    )


def _indices(size: int) -> st.SearchStrategy[pd.Index]:
    names = st.none() | _TEXT | st.integers(0, 9)
    numbers = st.lists(st.integers(0, 9), min_size=size, max_size=size)
    texts = st.lists(_TEXT, min_size=size, max_size=size)
    return st.one_of(
        st.builds(lambda start, step: pd.RangeIndex(start, start + step * size, step), st.integers(0, 9), st.just(2)),
        numbers.map(pd.Index),
        texts.map(lambda cells: pd.Index(cells, dtype="str")),
        _times(size),
        st.sampled_from(["D", "2h", "ME"]).map(lambda freq: pd.date_range("2020", periods=size, freq=freq)),
        st.builds(
            lambda a, b: pd.MultiIndex.from_arrays([a, pd.Index(b, dtype="str")], names=["a", None]), numbers, texts
        ),
    ).flatmap(lambda index: st.just(index) if index.nlevels > 1 else names.map(index.rename))


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """DataFrames of 0 to 3 columns and 0 to 4 rows: any types, any index, attributes."""
    size = draw(st.integers(0, 4))
    labels = draw(st.lists(_TEXT, max_size=3, unique=True))
    index = draw(_indices(size))
    series = {i: pd.Series(draw(_columns(size)), index) for i in range(len(labels))}
    frame = pd.DataFrame(series, index)
    frame.columns = pd.Index(labels, dtype="str")
    frame.attrs = draw(st.dictionaries(_TEXT, st.integers(0, 9) | st.lists(_TEXT, max_size=2), max_size=2))
    return frame
