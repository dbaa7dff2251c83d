"""A pandas DataFrame as an Arrow table plus its index, labels and attributes in JSON, and back exactly.

What is normalised: byte order, where a range stops after its last number, levels of a MultiIndex that no row uses,
the name and the frequency of a column's categories. A range index is three numbers and takes no column; any other row
index is stored as columns after the others, named ``__index_level_0__`` and so on, as pandas and pyarrow name them.
An Index, of rows or of columns, is described as

    {"range": [start, stop, step], "names": [name]}
    {"levels": [...], "names": [...], "multi": false, "freq": null}

where a level of the rows is the description of its column, and one of the columns holds its labels as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from smalti import canonical
from smalti.canonical import Json
from smalti.codecs.arrow.labels import describe_label, describe_level, level_from
from smalti.codecs.arrow.series import column_from, describe
from smalti.errors import Damaged, Refused


def to_arrow(frame: pd.DataFrame) -> tuple[pa.Table, Json]:
    """Return a DataFrame as a table and the JSON that ``from_arrow`` needs to give it back exactly.

    Raises:
        Refused: it would not come back exactly; the sentence names the column.
    """
    names = [str(label) for label in frame.columns]
    repeated = next((label for label, again in zip(names, pd.Index(names).duplicated(), strict=True) if again), None)
    if repeated is not None:
        raise Refused(f"the table has more than one column that is called {repeated!r}; rename one.")
    columns = [describe(frame.iloc[:, i], f"column {name!r}") for i, name in enumerate(names)]
    index, levels = _describe_rows(frame.index)
    names += [f"__index_level_{i}__" for i in range(len(levels))]
    about = {
        "dtypes": [description for _, description in columns],
        "index": index,
        "columns": _describe_labels(frame.columns),
        "attrs": _plain(frame.attrs),
    }
    if not frame.flags.allows_duplicate_labels:
        about["unique_labels"] = True
    return pa.Table.from_arrays([*(column for column, _ in columns), *levels], names=names), about


def from_arrow(about: Any, columns: Sequence[pa.ChunkedArray], rows: range) -> pd.DataFrame:
    """Return the DataFrame described in ``about``, or those of its ``rows`` that ``columns`` hold."""
    count = len(about["dtypes"])
    index = _index_from(about["index"], columns[count:], rows)
    values = [column_from(*pair) for pair in zip(columns, about["dtypes"], strict=False)]
    series = {i: pd.Series(value, index, dtype=value.dtype, copy=False) for i, value in enumerate(values)}
    frame = pd.DataFrame(series, index)  # this copies, so that the values can be written to
    frame.columns = _labels_from(about["columns"])
    if len(frame) != len(rows):
        raise Damaged(f"a table of {len(rows)} rows says it has an index of {len(frame)}; restore it.")
    frame.attrs = dict(about["attrs"])
    return frame.set_flags(allows_duplicate_labels=False) if about.get("unique_labels") else frame


def _describe_rows(index: pd.Index) -> tuple[dict[str, Json], list[pa.ChunkedArray]]:
    if isinstance(index, pd.RangeIndex):
        return _describe_range(index), []
    levels = [describe(_level(index, i, "index"), f"level {i} of the index") for i in range(index.nlevels)]
    return _described(index, [description for _, description in levels]), [column for column, _ in levels]


def _describe_labels(labels: pd.Index) -> dict[str, Json]:
    if isinstance(labels, pd.RangeIndex):
        return _describe_range(labels)
    return _described(labels, [describe_level(_level(labels, i, "columns")) for i in range(labels.nlevels)])


def _labels_from(described: Any) -> pd.Index:
    if "range" in described:
        return _range_from(described)
    return _index_of(described, [level_from(level) for level in described["levels"]])


def _index_from(described: Any, levels: Sequence[pa.ChunkedArray], rows: range) -> pd.Index:
    if "range" in described:
        return _range_from(described)[rows.start : rows.stop]
    columns = zip(levels, described["levels"], strict=True)
    return _index_of(described, [column_from(column, description) for column, description in columns])


def _described(index: pd.Index, levels: Sequence[Json]) -> dict[str, Json]:
    return {
        "levels": list(levels),
        "names": [describe_label(name) for name in index.names],
        "multi": isinstance(index, pd.MultiIndex),
        "freq": None if isinstance(index, pd.PeriodIndex) else _frequency(index),
    }


def _frequency(index: pd.Index) -> str | None:
    freq = getattr(index, "freq", None)
    if freq is None:
        return None
    try:
        if pd.tseries.frequencies.to_offset(freq.freqstr) == freq:
            return str(freq.freqstr)
    except ValueError:
        pass
    raise Refused(f"the index has the frequency {freq}, which its name does not give back; set index.freq = None.")


def _index_of(described: Any, levels: list[Any]) -> pd.Index:
    if described["multi"]:
        return pd.MultiIndex.from_arrays(levels, names=described["names"])
    index: pd.Index = pd.Index(levels[0], dtype=levels[0].dtype, name=described["names"][0])
    if described["freq"] is not None:
        index.freq = described["freq"]  # type: ignore[attr-defined]
    return index


def _describe_range(index: pd.RangeIndex) -> dict[str, Json]:
    """Return the numbers that equal ranges share: range(0, 5, 2) is range(0, 6, 2), and all empty ones are equal."""
    start, step = (index.start if len(index) else 0), (index.step if len(index) > 1 else 1)
    return {"range": [start, start + step * len(index), step], "names": [describe_label(index.name)]}


def _range_from(described: Any) -> pd.RangeIndex:
    start, stop, step = described["range"]
    return pd.RangeIndex(start, stop, step, name=described["names"][0])


def _level(index: pd.Index, number: int, where: str) -> pd.Index:
    if not isinstance(index, pd.MultiIndex):
        return index
    level, dtype = index.get_level_values(number), index.levels[number].dtype
    if level.dtype != dtype:
        raise Refused(
            f"level {number} of the {where} has missing values, which {dtype} cannot hold; convert it to {level.dtype}."
        )
    return level


def _plain(attrs: Any) -> Json:
    plain = canonical.normalise(attrs, "attrs of the table")
    if plain != attrs:  # a tuple would come back as a list
        raise Refused(f"attrs of the table would come back as {plain!r}; write them as plain JSON.")
    return plain
