"""The families of Arrow types that contracts speak of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values themselves, where a column lists each of them once."""
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def family_of(kind: pa.DataType) -> str:
    """Return ``integer``, ``number``, ``text``, ``flag``, ``time``, ``nothing``, or the type's own name."""
    import pyarrow as pa

    families = {
        "integer": (pa.types.is_integer,),
        "number": (pa.types.is_floating, pa.types.is_decimal),
        "text": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
        "flag": (pa.types.is_boolean,),
        "time": (pa.types.is_date, pa.types.is_time, pa.types.is_timestamp),
        "nothing": (pa.types.is_null,),
    }
    plain = plain_type(kind)
    return next((family for family, tests in families.items() if any(test(plain) for test in tests)), str(plain))
