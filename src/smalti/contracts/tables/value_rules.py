"""Rules on the values of a column as pandera takes them, computed by Arrow: NumPy would round wide integers with gaps.

Each takes a Series on Arrow's memory, without missing values, and tells which of them keep the rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from smalti.contracts.bounds import Bound

if TYPE_CHECKING:  # all three take long to import: only those who validate a table pay
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    ValueRule = Callable[[pd.Series[Any]], pd.Series[bool]]


def within(bound: Bound) -> ValueRule:
    """Return the rule that values lie on the right side of a bound; a whole number is compared exactly."""

    def kept(values: pa.ChunkedArray) -> pa.ChunkedArray:
        import pyarrow as pa
        import pyarrow.compute as pc

        compare = {
            ("minimum", False): pc.greater_equal,
            ("minimum", True): pc.greater,
            ("maximum", False): pc.less_equal,
            ("maximum", True): pc.less,
        }[bound.side, bound.exclusive]
        if not pa.types.is_integer(values.type) or not math.isfinite(bound.value):
            return compare(values.cast(pa.float64()), bound.value)
        up = (bound.side == "minimum") != bound.exclusive  # at least 0.5 is at least 1, and above 0.5 is above 0
        edge = math.ceil(bound.value) if up else math.floor(bound.value)
        try:
            return compare(values, pa.scalar(edge, values.type))
        except (pa.ArrowInvalid, OverflowError):  # no value of the type comes near it
            return pa.chunked_array([pa.repeat((edge < 0) == (bound.side == "minimum"), len(values))])

    return _of_series(kept)


def among(choices: Iterable[int | str]) -> ValueRule:
    """Return the rule that values are some of ``choices``."""

    def kept(values: pa.ChunkedArray) -> pa.ChunkedArray:
        import pyarrow.compute as pc

        return pc.is_in(values, _fitting(choices, values.type))

    return _of_series(kept)


def matching(pattern: str) -> ValueRule:
    """Return the rule that texts match a regular expression from beginning to end."""
    return lambda values: values.str.fullmatch(pattern)


def first_of_its_kind() -> ValueRule:
    """Return the rule that no value has occurred before."""

    def kept(values: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
        import numpy as np

        codes = values.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
        first = np.zeros(len(codes), bool)
        first[np.unique(codes, return_index=True)[1]] = True
        return first

    return _of_series(kept)


def finite() -> ValueRule:
    """Return the rule that numbers are not infinite."""

    def kept(values: pa.ChunkedArray) -> pa.ChunkedArray:
        import pyarrow as pa
        import pyarrow.compute as pc

        return pc.invert(pc.is_inf(values)) if pa.types.is_floating(values.type) else pc.is_valid(values)

    return _of_series(kept)


def _of_series(rule: Callable[[pa.ChunkedArray], Any]) -> ValueRule:
    """Return a rule on Arrow's arrays as one on a Series; a missing value keeps every rule but that it is there."""

    def of_series(values: pd.Series[Any]) -> pd.Series[bool]:
        import numpy as np
        import pandas as pd

        return pd.Series(np.asarray(rule(values.array.__arrow_array__())), index=values.index).fillna(True).astype(bool)

    return of_series


def _fitting(choices: Iterable[int | str], kind: pa.DataType) -> pa.Array:
    """Return those choices that a column of this type can hold."""
    import pyarrow as pa

    scalars = []
    for choice in choices:
        try:
            scalars.append(pa.scalar(Decimal(choice) if pa.types.is_decimal(kind) else choice, kind).as_py())
        except (pa.ArrowException, OverflowError, ValueError, TypeError):
            continue
    return pa.array(scalars, kind)
