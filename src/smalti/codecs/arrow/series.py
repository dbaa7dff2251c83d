"""One pandas column as an Arrow column and a description, in JSON, of what Arrow does not say; and back exactly.

"<f8"                                        a numpy dtype
{"object": null | "None" | "nan" | "NA"}     Python objects, and how missing ones are written
{"string": "pyarrow", "missing": "nan"}      pandas' own text types
{"category": description, "ordered": true}   categories, which are described themselves
{"extension": "Int64"}                       a pandas type that its own name gives back
"arrow"                                      an Arrow-backed column
"""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from smalti.codecs.dtype import dtype_of
from smalti.errors import Refused

Column = Any  # a pandas Series or Index
Described = tuple[pa.ChunkedArray, Any]

_MISSING: dict[str, Any] = {"None": None, "nan": float("nan"), "NA": pd.NA}
_NUMPY_KINDS = "biufmM"
_CELLS = (str, bytes, bool, int, datetime.date, type(None))
_CELLS_TO_THE_LETTER = (
    datetime.datetime,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    uuid.UUID,
)  # == is too generous


def describe(values: Column, where: str) -> Described:
    """Return a column (a Series or an Index) as Arrow and its description; ``where`` names it if refused.

    Raises:
        Refused: it holds something that would not come back exactly.
    """
    dtype = values.dtype
    if isinstance(dtype, np.dtype):
        return _describe_objects(values, where) if dtype.kind == "O" else _describe_numpy(values, where)
    if isinstance(dtype, pd.ArrowDtype):
        return _chunked(pa.array(values.array)), "arrow"
    if isinstance(dtype, pd.StringDtype):
        missing = "NA" if dtype.na_value is pd.NA else "nan"
        return _chunked(pa.array(values.array).cast(pa.large_string())), {"string": dtype.storage, "missing": missing}
    if isinstance(dtype, pd.CategoricalDtype):
        return _describe_categories(pd.Categorical(values), where)
    if not _has_a_name(dtype):
        raise Refused(f"{where} has the pandas type {dtype}, which does not come back exactly; convert it first.")
    return _describe_extension(values)


def column_from(column: pa.ChunkedArray, description: Any) -> Any:
    """Return the numpy array, pandas array or Index that was described."""
    match description:
        case {"object": missing}:
            return _objects(column.to_pylist(), _MISSING.get(missing))
        case {"category": inner, "ordered": ordered}:
            return _categorical(column, inner, ordered)
        case str() if description != "arrow":
            dtype = dtype_of(description)
            if dtype.kind not in _NUMPY_KINDS:
                raise Refused(f"a column is described as {description!r}, which this version does not know.")
            return np.asarray(column.to_numpy(), dtype) if column.num_chunks else np.zeros(0, dtype)
    dtype = _extension_dtype(column, description)
    if isinstance(dtype, pd.Float32Dtype | pd.Float64Dtype):  # pandas would take NaN for missing
        values = np.array(column.fill_null(0), column.type.to_pandas_dtype())
        return pd.arrays.FloatingArray(values, np.array(column.is_null(), bool))
    if isinstance(dtype, pd.IntervalDtype):  # pandas looks for what is missing in the ends only
        column = pa.chunked_array([pa.StructArray.from_arrays(c.flatten(), ["left", "right"]) for c in column.chunks])
    return dtype.__from_arrow__(column)


def _extension_dtype(column: pa.ChunkedArray, description: Any) -> Any:
    match description:
        case "arrow":
            return pd.ArrowDtype(column.type)
        case {"string": storage, "missing": missing}:
            return pd.StringDtype(storage, _MISSING[missing])
        case {"extension": name}:
            return pd.api.types.pandas_dtype(name)
    raise Refused(f"a column is described as {description!r}, which this version does not know.")


def _describe_numpy(values: Column, where: str) -> Described:
    array = np.asarray(values)
    if array.dtype.kind not in _NUMPY_KINDS or array.dtype == np.longdouble:
        raise Refused(f"{where} has dtype {array.dtype}, which an Arrow column cannot hold; split or convert it.")
    array = np.asarray(array, array.dtype.newbyteorder("<"))
    return _chunked(pa.array(array, from_pandas=False)), array.dtype.str


def _describe_categories(values: pd.Categorical, where: str) -> Described:
    column, description = describe(values.categories, f"the categories of {where}")
    codes = pa.array(values.codes, mask=np.asarray(values.codes) < 0)
    array = pa.DictionaryArray.from_arrays(codes, _joined(column), ordered=bool(values.ordered))
    return _chunked(array), {"category": description, "ordered": bool(values.ordered)}


def _categorical(column: pa.ChunkedArray, inner: Any, ordered: bool) -> pd.Categorical:
    dictionary = column.chunk(0).dictionary if column.num_chunks else pa.array([], column.type.value_type)
    categories = pd.Index(column_from(_chunked(dictionary), inner), copy=False)
    codes = [chunk.indices.fill_null(-1).to_numpy() for chunk in column.chunks]
    index_dtype = column.type.index_type.to_pandas_dtype()
    every = np.concatenate([np.zeros(0, index_dtype), *codes])
    return pd.Categorical.from_codes(every, categories, ordered=ordered)


def _has_a_name(dtype: Any) -> bool:
    """Tell whether a type's own name gives it back; that of a sparse type does, but Arrow has no such arrays."""
    try:
        return pd.api.types.pandas_dtype(str(dtype)) == dtype and not isinstance(dtype, pd.SparseDtype)
    except (TypeError, ValueError, LookupError):  # what pandas raises for a name it cannot read
        return False


def _describe_extension(values: Column) -> Described:
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        utc = np.asarray(pd.DatetimeIndex(values).tz_convert(None))
        array = pa.array(utc, from_pandas=False).cast(pa.timestamp(values.dtype.unit, str(values.dtype.tz)))
    else:
        array = pa.array(pd.Series(values).array)
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    return _chunked(array), {"extension": str(values.dtype)}


def _describe_objects(values: Column, where: str) -> Described:
    cells = np.asarray(values, object)
    absent = np.asarray(pd.isna(cells), bool)
    kinds = {next((name for name, value in _MISSING.items() if _same(cell, value)), None) for cell in cells[absent]}
    if len(kinds) > 1 or None in kinds:
        raise Refused(f"{where} has missing values of the kinds {_some(cells[absent])}; replace them all by None.")
    known = cells.copy()
    known[absent] = None
    texts = all(type(cell) is str for cell in cells[~absent])
    try:
        array = pa.array(known, pa.large_string() if texts else None, from_pandas=False)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as error:
        raise Refused(f"{where} holds objects ({_some(cells)}) of no one type ({error}); convert it.") from error
    if not texts:
        _check_comes_back(array, known, where)
    return _chunked(array), {"object": kinds.pop() if kinds else None}


def _check_comes_back(array: pa.Array | pa.ChunkedArray, cells: NDArray[np.object_], where: str) -> None:
    """Refuse what Arrow takes but turns into something else: 1 into 1.0, a tuple into a list."""
    for row, (cell, back) in enumerate(zip(cells, array.to_pylist(), strict=True)):
        if not _same(cell, back) and repr(cell) == repr(back):
            raise Refused(f"{where} holds {cell!r} in row {row}, and a {type(cell).__name__} is not kept; convert it.")
        if not _same(cell, back):
            raise Refused(f"{where} holds {cell!r} in row {row}, which would come back as {back!r}; convert it first.")


def _same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(map(_same, a.values(), b.values()))
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if type(a) in _CELLS_TO_THE_LETTER:
        return repr(a) == repr(b)
    return a is b or (type(a) in _CELLS and a == b)


def _objects(cells: list[Any], missing: Any) -> NDArray[np.object_]:
    return np.fromiter((missing if cell is None else cell for cell in cells), object, len(cells))


def _some(cells: NDArray[np.object_]) -> str:
    return ", ".join(sorted({type(cell).__name__ for cell in cells}))


def _joined(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks)


def _chunked(array: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
