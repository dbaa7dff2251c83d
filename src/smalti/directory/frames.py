"""The arrays of a directory as columns of a table, and the columns of a table as arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from smalti.errors import Refused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pandas import DataFrame


def columns_of(frame: DataFrame, dtypes: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return each column as an array of the dtype given for it; text becomes UTF-8 byte strings.

    Raises:
        Refused: a column has no dtype, or its values do not fit into it.
    """
    missing = [str(column) for column in frame.columns if column not in dtypes]
    if missing:
        raise Refused(f"no dtype was given for {', '.join(missing)}; give one for each column.")
    return {str(column): _as_dtype(str(column), frame[column].to_numpy(), dtypes[column]) for column in frame.columns}


def frame_of(arrays: Mapping[str, NDArray[Any]], dtypes: Mapping[str, Any] | None = None) -> DataFrame:
    """Return a table of the arrays of the commonest length.

    Arrays of one element are repeated; byte strings become text; rows of arrays of more axes become lists.

    Args:
        arrays: by name.
        dtypes: names and dtypes of the columns to be returned; None for all columns as they are.
    """
    import numpy as np
    import pandas as pd

    chosen = {name: np.atleast_1d(array) for name, array in arrays.items() if dtypes is None or name in dtypes}
    counted = Counter(len(array) for array in chosen.values() if len(array) != 1)
    length = min(counted, key=lambda count: (-counted[count], count)) if counted else 1
    columns: dict[str, Any] = {}
    for name, array in chosen.items():
        if len(array) not in {1, length}:
            continue
        full = array if len(array) == length else np.repeat(array, length, axis=0)
        text = np.char.decode(full, "utf-8") if full.dtype.kind == "S" else full
        cast = text if dtypes is None else text.astype(dtypes[name])
        columns[name] = cast.tolist() if cast.ndim > 1 else cast
    return pd.DataFrame(columns, index=pd.RangeIndex(length if columns else 0))


def _as_dtype(name: str, values: Any, dtype: Any) -> NDArray[Any]:
    import numpy as np

    wanted = np.dtype(dtype)
    if wanted.kind == "S":
        encoded: NDArray[Any] = np.array(
            [value if isinstance(value, bytes) else str(value).encode() for value in values], "S"
        )
        if wanted.itemsize and encoded.dtype.itemsize > wanted.itemsize:
            raise Refused(
                f"the column {name} has text of {encoded.dtype.itemsize} bytes, more than {wanted.str} holds."
            )
        return encoded.astype(wanted) if wanted.itemsize else encoded
    array = np.asarray(values)
    try:
        cast: NDArray[Any] = array.astype(wanted)
    except (TypeError, ValueError) as error:
        raise Refused(f"the column {name} cannot be stored as {wanted}: {error}.") from error
    if wanted.kind in "iub" and array.dtype.kind in "iufb" and not _equal(cast, array):
        raise Refused(f"the column {name} has values that {wanted} does not hold.")
    return cast


def _equal(cast: np.ndarray[Any, Any], array: np.ndarray[Any, Any]) -> bool:
    return bool((cast == array).all())
