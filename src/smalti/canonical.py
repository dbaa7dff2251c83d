"""One spelling of JSON, so that equal things have equal bytes and therefore equal digests."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from smalti.errors import Refused

_PLAIN = {bool, int}
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def normalise(value: Any, where: str = "value") -> Json:
    """Return ``value`` as plain JSON: string keys, lists for tuples, finite floats.

    Raises:
        Refused: something JSON cannot hold exactly (NaN, a non-text key, any other object), naming its place.
    """
    try:
        return _normalise(value, where)
    except RecursionError:
        raise Refused(f"{where} is nested too deep, or holds itself; store its parts one by one.") from None


def _normalise(value: Any, where: str) -> Json:
    if value is None or type(value) in _PLAIN:  # most are, and every small put waits for this
        return value  # type: ignore[no-any-return]
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise Refused(f"{where} holds half a surrogate pair, which is no text; decode it before storing.")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Refused(f"{where} is {value}, which JSON cannot hold; use null for an unknown number.")
        return float(value) + 0.0  # the addition turns -0.0 into 0.0: one value, one spelling
    if isinstance(value, Mapping):
        return _normalise_mapping(value, where)
    if isinstance(value, list | tuple):
        return [_normalise(item, f"{where}[{i}]") for i, item in enumerate(value)]
    raise Refused(f"{where} is a {type(value).__name__}, which JSON cannot hold; give text, numbers, lists, maps.")


def _normalise_mapping(value: Mapping[Any, Any], where: str) -> dict[str, Json]:
    if _is_of_plain_text(value):  # as in a tree of many children
        return dict(value)
    result: dict[str, Json] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise Refused(f"{where} has the key {key!r}, but JSON keys are text; write it as {str(key)!r}.")
        if not key.isascii():
            _normalise(key, f"a key of {where}")
        result[key] = _normalise(item, f"{where}.{key}")
    return result


def _is_of_plain_text(value: Mapping[Any, Any]) -> bool:
    texts = [*value.keys(), *value.values()]
    return set(map(type, texts)) == {str} and all(map(str.isascii, texts))


def dumps(value: Any) -> bytes:
    """Return the canonical UTF-8 bytes of a JSON value: sorted keys, no spaces, shortest floats.

    >>> dumps({"b": 1, "a": (1.50, "é")})
    b'{"a":[1.5,"\\xc3\\xa9"],"b":1}'

    Raises:
        Refused: JSON cannot hold it exactly; it is nested too deep, or holds a number of thousands of digits.
    """
    return spelled(normalise(value))


def spelled(plain: Any) -> bytes:
    """Return the canonical bytes of what is normalised already, or was made so; tuples are lists.

    Raises:
        Refused: it is nested too deep, or holds a number of thousands of digits.
    """
    try:
        return _ENCODER.encode(plain).encode()
    except (ValueError, RecursionError) as error:
        raise Refused(
            f"this document cannot be written as JSON ({error}); store the part concerned as bytes."
        ) from error


def loads(data: bytes) -> Json:
    """Parse JSON strictly: duplicate keys, NaN and Infinity are refused.

    Raises:
        Refused: the bytes are not strict JSON.
    """
    try:
        parsed: Json = json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(f"these {len(data)} bytes are not strict JSON: {error}.") from error
    return parsed


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object has the same key twice")
    return result


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")
