"""One level of the labels of a DataFrame's columns as JSON, and back exactly.

{"dtype": "<i8", "labels": [1, 2]}                                       numbers, texts as objects; times as numbers
{"dtype": {"string": ...}, "labels": ["a", null]}                        pandas' own text types
{"dtype": {"category": level, "ordered": false}, "labels": [0, -1]}      positions among the categories
{"dtype": {"interval": "left", "ends": [level, level]}, "labels": []}    the left ends, and the right ones
{"dtype": {"extension": "period[M]"}, "labels": [600]}                   periods, and times with a zone, as numbers
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from smalti import canonical
from smalti.canonical import Json
from smalti.codecs.arrow.series import column_from, describe
from smalti.codecs.dtype import dtype_of
from smalti.errors import Refused

_WHERE = "the labels of the columns"
_KINDS = "biufmMO"  # of numpy


def describe_level(level: Any) -> Json:
    """Return the labels of one level (an Index) as JSON, with their dtype.

    Raises:
        Refused: they would not come back exactly.
    """
    dtype = level.dtype
    if isinstance(dtype, pd.StringDtype):
        column, description = describe(level, _WHERE)
        return {"dtype": description, "labels": column.to_pylist()}
    if isinstance(dtype, pd.CategoricalDtype):
        described: Json = {"category": describe_level(dtype.categories), "ordered": bool(dtype.ordered)}
        return {"dtype": described, "labels": level.codes.tolist()}
    if isinstance(dtype, pd.IntervalDtype):
        ends = [describe_level(level.left), describe_level(level.right)]
        return {"dtype": {"interval": dtype.closed, "ends": ends}, "labels": []}
    if isinstance(dtype, pd.DatetimeTZDtype | pd.PeriodDtype):
        _, description = describe(level, _WHERE)
        return {"dtype": description, "labels": level.asi8.tolist()}
    if isinstance(dtype, np.dtype) and dtype.kind in _KINDS:
        labels = np.asarray(level).view(np.int64).tolist() if dtype.kind in "mM" else level.tolist()
        return {"dtype": dtype.newbyteorder("<").str, "labels": [describe_label(label) for label in labels]}
    raise Refused(
        f"{_WHERE} have the pandas type {dtype}; use text, numbers, times, periods, or categories or intervals of them."
    )


def level_from(described: Any) -> Any:
    """Return the labels that were described, as an array."""
    labels, dtype = described["labels"], described["dtype"]
    match dtype:
        case {"category": inner, "ordered": ordered}:
            codes = np.array(labels, np.int64)
            return pd.Categorical.from_codes(codes, _index(inner), ordered=ordered)
        case {"interval": closed, "ends": [left, right]}:
            return pd.arrays.IntervalArray.from_arrays(_index(left), _index(right), closed)
        case {"extension": name}:
            return _from_numbers(np.array(labels, np.int64), pd.api.types.pandas_dtype(name))
        case dict():
            return column_from(pa.chunked_array([pa.array(labels, pa.large_string())]), dtype)
    plain = np.dtype(object) if dtype == "|O" else dtype_of(dtype)
    if plain.kind not in _KINDS:
        raise Refused(f"{_WHERE} are described as {dtype!r}, which this version does not know.")
    return np.array(labels, np.int64).view(plain) if plain.kind in "mM" else np.array(labels, plain)


def describe_label(label: Any) -> Json:
    """Return one label, or the name of an index, as JSON.

    Raises:
        Refused: it is neither text nor a number.
    """
    if type(label) not in (str, int, bool, float, type(None)):
        raise Refused(f"the label {label!r} of the table is a {type(label).__name__}; use text or a number.")
    if isinstance(label, float) and not math.isfinite(label):
        raise Refused(f"a label of the table is {label}, which its header cannot hold; rename it.")
    return canonical.normalise(label, f"the label {label!r} of the table")


def _index(described: Any) -> Any:
    values = level_from(described)
    return pd.Index(values, dtype=values.dtype)


def _from_numbers(numbers: Any, dtype: Any) -> Any:
    if isinstance(dtype, pd.PeriodDtype):
        return pd.arrays.PeriodArray(numbers, dtype=dtype)
    return pd.DatetimeIndex(numbers.view(f"M8[{dtype.unit}]")).tz_localize("UTC").tz_convert(dtype.tz)
