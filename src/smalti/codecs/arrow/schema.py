"""Arrow fields as JSON in a spelling of our own, since pyarrow's may change and this one is part of every address.

Texts and bytes that are views, and the extension types UUID, JSON and bool8, lie in the file as the plain type below
them (``plain_schema``), and are cast back when they are read.
Format: https://arrow.apache.org/docs/format/Columnar.html (logical types as in Schema.fbs).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pyarrow as pa

from smalti import canonical
from smalti.canonical import Json
from smalti.errors import Refused

_PLAIN = {
    "null": pa.null(), "bool": pa.bool_(), "int8": pa.int8(), "int16": pa.int16(), "int32": pa.int32(),
    "int64": pa.int64(), "uint8": pa.uint8(), "uint16": pa.uint16(), "uint32": pa.uint32(), "uint64": pa.uint64(),
    "float16": pa.float16(), "float32": pa.float32(), "float64": pa.float64(), "date32": pa.date32(),
    "date64": pa.date64(), "time32[s]": pa.time32("s"), "time32[ms]": pa.time32("ms"), "time64[us]": pa.time64("us"),
    "time64[ns]": pa.time64("ns"), "binary": pa.binary(), "large_binary": pa.large_binary(), "string": pa.string(),
    "large_string": pa.large_string(), "string_view": pa.string_view(),
    "binary_view": pa.binary_view(), "month_day_nano": pa.month_day_nano_interval(),
    **{f"duration[{unit}]": pa.duration(unit) for unit in ("s", "ms", "us", "ns")},
    **{f"timestamp[{unit}]": pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")},
}  # fmt: skip
_PLAIN_NAMES = {dtype: name for name, dtype in _PLAIN.items()}
# name of an extension type -> how pyarrow makes it, and the first version that does
_EXTENSIONS = {"arrow.uuid": ("uuid", 18), "arrow.json": ("json_", 19), "arrow.bool8": ("bool8", 18)}
_DECIMALS = {32: "decimal32", 64: "decimal64", 128: "decimal128", 256: "decimal256"}
# What pyarrow writes about pandas names its versions; without them equal tables have equal schemas.
_VERSIONED = ("creator", "pandas_version")


def describe_field(field: pa.Field, where: str) -> Json:
    """Return a field as JSON; ``where`` names the column in the refusal.

    Raises:
        Refused: its type, or one inside it, has no canonical form here.
    """
    described: dict[str, Any] = {"name": field.name, "type": _describe_type(field.type, where)}
    if not field.nullable:
        described["nullable"] = False
    if field.metadata:
        described["metadata"] = describe_metadata(field.metadata, where)
    return canonical.normalise(described, where)


def field_of(described: Any) -> pa.Field:
    """Return the field that ``describe_field`` described."""
    metadata = described.get("metadata")
    return pa.field(described["name"], _type_of(described["type"]), described.get("nullable", True), metadata)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema that a table of this one has in its file."""
    return pa.schema([_plain_field(field) for field in schema], schema.metadata)


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(_plain_type(field.type))


def _plain_type(dtype: pa.DataType) -> pa.DataType:  # noqa: PLR0911, a case per type
    if isinstance(dtype, pa.BaseExtensionType):
        return _plain_type(dtype.storage_type)
    if pa.types.is_string_view(dtype):
        return pa.large_string()
    if pa.types.is_binary_view(dtype):
        return pa.large_binary()
    if pa.types.is_list(dtype):
        return pa.list_(_plain_field(dtype.value_field))
    if pa.types.is_large_list(dtype):
        return pa.large_list(_plain_field(dtype.value_field))
    if pa.types.is_fixed_size_list(dtype):
        return pa.list_(_plain_field(dtype.value_field), dtype.list_size)
    if pa.types.is_struct(dtype):
        return pa.struct([_plain_field(dtype.field(i)) for i in range(dtype.num_fields)])
    if pa.types.is_map(dtype):
        return pa.map_(_plain_field(dtype.key_field), _plain_field(dtype.item_field), dtype.keys_sorted)
    if pa.types.is_dictionary(dtype):
        return pa.dictionary(dtype.index_type, _plain_type(dtype.value_type), dtype.ordered)
    return dtype


def describe_metadata(metadata: Mapping[bytes, bytes], where: str) -> Json:
    """Return key-value metadata as text; pandas' entry, where it is JSON, loses its library versions.

    Raises:
        Refused: a key or a value is not UTF-8 text.
    """
    try:
        described = {key.decode(): value.decode() for key, value in metadata.items()}
    except UnicodeDecodeError as error:
        raise Refused(f"the schema metadata of {where} is not UTF-8 text; remove it or encode it as text.") from error
    with suppress(KeyError, Refused):
        about = canonical.loads(described["pandas"].encode())
        if isinstance(about, dict):
            described["pandas"] = canonical.dumps({k: v for k, v in about.items() if k not in _VERSIONED}).decode()
    return canonical.normalise(described, where)


def _describe_type(dtype: pa.DataType, where: str, top: bool = True) -> Any:  # noqa: PLR0911, a case per type
    if not isinstance(dtype, pa.BaseExtensionType) and dtype in _PLAIN_NAMES:  # those of a user cannot be hashed
        return _PLAIN_NAMES[dtype]
    if isinstance(dtype, pa.BaseExtensionType) and dtype.extension_name in _EXTENSIONS:
        return {"extension": dtype.extension_name, "storage": _describe_type(dtype.storage_type, where, top=False)}
    nested = f"{where} (inside {dtype})"
    if pa.types.is_timestamp(dtype):
        return {"timestamp": dtype.unit, "tz": dtype.tz}
    if pa.types.is_decimal(dtype):
        return {_DECIMALS[dtype.bit_width]: [dtype.precision, dtype.scale]}
    if pa.types.is_fixed_size_binary(dtype):
        return {"fixed_size_binary": dtype.byte_width}
    if pa.types.is_list(dtype) or pa.types.is_large_list(dtype):
        name = "list" if pa.types.is_list(dtype) else "large_list"
        return {name: _describe_child(dtype.value_field, nested)}
    if pa.types.is_fixed_size_list(dtype):
        return {"fixed_size_list": _describe_child(dtype.value_field, nested), "size": dtype.list_size}
    if pa.types.is_struct(dtype):
        return {"struct": [_describe_child(dtype.field(i), nested) for i in range(dtype.num_fields)]}
    if pa.types.is_map(dtype):
        pair = [_describe_child(dtype.key_field, nested), _describe_child(dtype.item_field, nested)]
        return {"map": pair, "sorted": dtype.keys_sorted}
    if pa.types.is_dictionary(dtype) and top:
        index, values = (_describe_type(t, nested, top=False) for t in (dtype.index_type, dtype.value_type))
        return {"dictionary": values, "index": index, "ordered": dtype.ordered}
    raise Refused(f"{where} has the Arrow type {dtype}, which is not stored; cast it to a plain or nested type first.")


def _describe_child(field: pa.Field, where: str) -> Json:
    _describe_type(field.type, where, top=False)  # a dictionary below the top would need batches of its own
    return describe_field(field, where)


def _type_of(described: Any) -> pa.DataType:  # noqa: PLR0911, a case per type
    if isinstance(described, str):
        return _PLAIN[described]
    match described:
        case {"timestamp": unit, "tz": tz}:
            return pa.timestamp(unit, tz)
        case {"extension": str(name), "storage": storage}:
            return _extension(name, _type_of(storage))
        case {"fixed_size_binary": nbytes}:
            return pa.binary(nbytes)
        case {"list": field}:
            return pa.list_(field_of(field))
        case {"large_list": field}:
            return pa.large_list(field_of(field))
        case {"fixed_size_list": field, "size": size}:
            return pa.list_(field_of(field), size)
        case {"struct": fields}:
            return pa.struct([field_of(field) for field in fields])
        case {"map": [key, item], "sorted": keys_sorted}:
            return pa.map_(field_of(key), field_of(item), keys_sorted)
        case {"dictionary": values, "index": index, "ordered": ordered}:
            return pa.dictionary(_type_of(index), _type_of(values), ordered)
    ((name, (precision, scale)),) = described.items()
    if name not in _DECIMALS.values():  # a header may come from a store that nobody trusts
        raise Refused(f"a column is described as {name!r}, which this version does not know.")
    decimal: pa.DataType = getattr(pa, name)(precision, scale)
    return decimal


def _extension(name: str, storage: pa.DataType) -> pa.DataType:
    make, since = _EXTENSIONS.get(name, ("", 0))
    if not make:
        raise Refused(f"a column has the extension type {name!r}; this version knows {', '.join(_EXTENSIONS)}.")
    if not hasattr(pa, make):
        raise Refused(
            f"a column has the type {name}, which pyarrow {pa.__version__} has not; install {since} or later."
        )
    made: pa.DataType = pa.json_(storage) if name == "arrow.json" else getattr(pa, make)()
    if not made.storage_type.equals(storage):
        raise Refused(f"a column of the type {name} lies in {storage}, which is not how it is stored.")
    return made
