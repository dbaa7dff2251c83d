"""One spelling of JSON for what addresses are made of (RFC 8785), and the Python types that JSON cannot tell apart."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from smalti.errors import Refused

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Types = dict[str, str]  # JSON Pointer (RFC 6901) -> what JSON does not say of the value there

LARGEST_INTEGER = 2**53 - 1  # JSON numbers are doubles
_PLAIN = {bool, int}
_FLOAT, _INTEGER, _TUPLE, _NEGATIVE_ZERO = "float", "int", "tuple", "-0.0"
_SORTED = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_AS_GIVEN = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def normalise(value: Any, where: str = "value") -> Json:
    """Return ``value`` as plain JSON in its order: string keys, lists for tuples, finite floats, 0.0 for -0.0.

    Raises:
        Refused: something JSON cannot hold (NaN, a non-text key, any other object), naming its place.
    """
    return _Plain(where, None).of(value)


def describe(value: Any, where: str = "value") -> tuple[Json, Types]:
    """Return ``value`` as JSON that RFC 8785 can spell, and what ``restore`` needs to give back exactly what it was.

    >>> describe({"energy": 8800.0, "shape": (2, 3), "id": 2**60, "name": "star"})
    ({'energy': 8800.0, 'shape': [2, 3], 'id': '1152921504606846976', 'name': 'star'}, \
{'/energy': 'float', '/shape': 'tuple', '/id': 'int'})

    Raises:
        Refused: see :func:`normalise`.
    """
    types: Types = {}
    return _Plain(where, types).of(value), types


def restore(plain: Json, types: Mapping[str, str]) -> Any:
    """Return the value that ``describe`` described; ``plain`` may be changed.

    Raises:
        Refused: the types do not fit.
    """
    holder: dict[str, Any] = {"": plain}
    try:
        for pointer in sorted(types, key=len, reverse=True):  # what lies deeper first: a tuple cannot be changed
            *path, last = ["", *map(_unescaped, pointer.split("/")[1:])]
            parent: Any = holder
            for name in path:
                parent = parent[int(name) if isinstance(parent, list) else name]
            key = int(last) if isinstance(parent, list) else last
            parent[key] = _RESTORED[types[pointer]](parent[key])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise Refused(f"the types {sorted(types)[:3]} do not fit the document they are given with.") from error
    return holder[""]


def dumps(value: Any) -> bytes:
    """Return the canonical UTF-8 bytes of a JSON value, as RFC 8785 spells it.

    Numbers are spelled as ECMAScript does: 1.0 as 1. Where that matters, see :func:`describe`.

    >>> dumps({"b": 1.0, "a": (1.50, "é")})
    b'{"a":[1.5,"\\xc3\\xa9"],"b":1}'

    Raises:
        Refused: JSON cannot hold it; it is nested too deep, or holds an integer beyond 2**53 - 1.
    """
    return canonical_bytes(normalise(value))


def canonical_bytes(plain: Any) -> bytes:
    """Return the canonical bytes of what ``normalise`` or ``describe`` returned."""
    try:
        if _is_spelled_alike(plain):
            return _SORTED.encode(plain).encode()
        import rfc8785  # most headers hold no floats, and do without

        return rfc8785.dumps(plain)
    except (ValueError, RecursionError) as error:
        raise Refused(
            f"this document cannot be written as canonical JSON ({error}); write large integers as text."
        ) from error


def text(value: Any, *, sort: bool = False) -> bytes:
    """Return a JSON value as Python spells it, exactly, keys in the order given; for what is read, not for addresses.

    Raises:
        Refused: JSON cannot hold it, or it is nested too deep.
    """
    return spelled(normalise(value), sort=sort)


def spelled(plain: Any, *, sort: bool = False) -> bytes:
    """Return the same of what is normalised already."""
    try:
        return (_SORTED if sort else _AS_GIVEN).encode(plain).encode()
    except (ValueError, RecursionError) as error:
        raise Refused(
            f"this document cannot be written as JSON ({error}); store the part concerned as bytes."
        ) from error


def exact(value: Any) -> bytes:
    """Return bytes that are equal where values are, to the type: 1 is not 1.0, a list is no tuple; in maps no order.

    >>> exact({"a": 1, "b": 2}) == exact({"b": 2, "a": 1}), exact(1) == exact(1.0), exact([0.0]) == exact([-0.0])
    (True, False, False)

    Raises:
        Refused: JSON cannot hold it, or it is nested too deep.
    """
    return spelled([*describe(value)], sort=True)


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


class _Plain:
    """Makes plain JSON of a value; of what JSON does not tell apart it notes the type, where that is wanted."""

    def __init__(self, where: str, types: Types | None) -> None:
        self._where = where
        self._types = types
        self._path: list[str | int] = []

    def of(self, value: Any) -> Json:
        try:
            return self._of(value)
        except RecursionError:
            raise Refused(f"{self._where} is nested too deep, or holds itself; store its parts one by one.") from None

    def _of(self, value: Any) -> Json:
        if value is None or type(value) is bool:  # most are plain, and every small put waits for this
            return value
        if isinstance(value, int):
            return self._integer(int(value))
        if isinstance(value, str):
            if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
                raise Refused(f"{self._place()} holds half a surrogate pair, which is no text; decode it first.")
            return value
        if isinstance(value, float):
            return self._float(float(value))
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, list | tuple):
            if isinstance(value, tuple):
                self._note(_TUPLE)
            return [self._inside(number, item) for number, item in enumerate(value)]
        kind = type(value).__name__
        raise Refused(f"{self._place()} is a {kind}, which JSON cannot hold; give text, numbers, lists, maps.")

    def _integer(self, value: int) -> Json:
        if self._types is None or -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
            return value
        self._note(_INTEGER)
        return str(value)

    def _float(self, value: float) -> float:
        if not math.isfinite(value):
            raise Refused(f"{self._place()} is {value}, which JSON cannot hold; use null for an unknown number.")
        if value.is_integer():
            self._note(_NEGATIVE_ZERO if value == 0 and math.copysign(1, value) < 0 else _FLOAT)
        return value + 0.0  # the addition turns -0.0 into 0.0: one value, one spelling

    def _mapping(self, value: Mapping[Any, Any]) -> dict[str, Json]:
        if _is_of_plain_text(value):  # as in a tree of many children
            return dict(value)
        result: dict[str, Json] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise Refused(f"{self._place()} has the key {key!r}, but JSON keys are text; write it as {str(key)!r}.")
            if not key.isascii() and any("\ud800" <= c <= "\udfff" for c in key):
                raise Refused(f"{self._place()} has the key {key!r}, half a surrogate pair, which is no text.")
            result[key] = self._inside(key, item)
        return result

    def _inside(self, key: str | int, item: Any) -> Json:
        if type(item) in _PLAIN and -LARGEST_INTEGER <= item <= LARGEST_INTEGER:
            return item  # type: ignore[no-any-return]
        self._path.append(key)
        plain = self._of(item)
        self._path.pop()
        return plain

    def _note(self, kind: str) -> None:
        if self._types is not None:
            self._types["".join(f"/{_escaped(str(key))}" for key in self._path)] = kind

    def _place(self) -> str:
        return self._where + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self._path)


def _tuple(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError("only a list was a tuple")
    return tuple(value)


_RESTORED: dict[str, Callable[[Any], Any]] = {
    _FLOAT: float,
    _INTEGER: int,
    _TUPLE: _tuple,
    _NEGATIVE_ZERO: lambda _: -0.0,
}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _unescaped(name: str) -> str:
    return name.replace("~1", "/").replace("~0", "~")


def _is_of_plain_text(value: Mapping[Any, Any]) -> bool:
    texts = [*value.keys(), *value.values()]
    return set(map(type, texts)) == {str} and all(map(str.isascii, texts))


def _is_spelled_alike(plain: Any) -> bool:
    """Tell whether Python's encoder spells it as RFC 8785 does: no floats or large integers, and keys in ASCII."""
    if isinstance(plain, dict):
        return all(map(str.isascii, plain)) and all(map(_is_spelled_alike, plain.values()))
    if isinstance(plain, list):
        return all(map(_is_spelled_alike, plain))
    if type(plain) is int:
        return -LARGEST_INTEGER <= plain <= LARGEST_INTEGER
    return type(plain) is not float


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object has the same key twice")
    return result


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")
