"""What a memoized call is found by: digits that two calls share only if no function can tell their arguments apart.

An argument is written as nested lists of text, each with the type of what it stands for in front: 1, 1.0, True,
``numpy.float64(1)`` and "1" differ, as do 0.0 and -0.0, a list and a tuple, and mappings in another order. NaN is
itself. Arrays, tables and bytes count by type, shape and content, and not by what a store normalises, such as memory
layout and byte order. What is lazy, or a reference, counts by the address of what is stored.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import platform
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any

import numpy as np
from blake3 import blake3

from smalti.codecs.array import BFloat16
from smalti.codecs.lazy_array import LazyArray
from smalti.codecs.registry import CODECS
from smalti.codecs.scan import Scan
from smalti.codecs.table import LazyTable
from smalti.codecs.weights import Weights
from smalti.errors import Refused
from smalti.store.segments import in_one
from smalti.store.values import Ref, Tree

KEY_DIGITS = 32
Form = list[Any]  # of texts and of such lists; the first says what it stands for

_MAPPINGS = (dict, OrderedDict, MappingProxyType)
_PLAIN = (bool, int, float, complex, str, bytes, list, tuple, dict)


def key_of(function: Callable[..., Any], version: int, mode: str, *args: Any, **kwargs: Any) -> str:
    """Return the digits that calls with the same arguments share, however these are spelt.

    Args:
        version: of the function.
        mode: one of ``KEY_MODES``.

    Raises:
        Refused: an argument has no content to find a result by; the sentence names it.
    """
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    form = ["call", str(version), mode]
    if mode == "full":
        form += [_source(function), platform.python_version(), np.__version__]
    arguments = []
    for name, value in bound.arguments.items():
        what = f"the argument {name} of {function.__qualname__} tells no result from another"
        try:
            arguments.append([name, form_of(value, name, mode == "dataset")])
        except Refused as error:
            raise Refused(f"{what}: {error}") from error
        except RecursionError:
            raise Refused(f"{what}: it is nested too deep, or holds itself; give its parts one by one.") from None
    return hashlib.sha256(json.dumps([form, arguments]).encode()).hexdigest()[:KEY_DIGITS]


def form_of(value: Any, where: str = "the value", by_name: bool = False) -> Form:  # noqa: PLR0911, a case per type
    """Return what tells a value from every other.

    Args:
        where: names the value in the refusal.
        by_name: a scan is its metadata.

    Raises:
        Refused: it has no content that tells it from another.
    """
    if (plain := _plain(value, where, by_name)) is not None:
        return plain
    if isinstance(value, Enum):
        return ["enum", _type(value), form_of(value.value, where)]
    if isinstance(value, Ref):
        return ["reference", value.digest]
    if isinstance(value, LazyArray | LazyTable):
        return [_type(value), value.digest]
    if by_name and isinstance(value, Scan):
        return ["scan", value.metadata.model_dump_json()]
    if isinstance(value, BFloat16):
        return [_type(value), form_of(value.bits, where)]
    if isinstance(value, Weights):
        return [_type(value), form_of(dict(value.tensors), where)]
    if _is_pandas_column(value):
        return [_type(value), form_of(value.name, where), _labelled(value, where, by_name)]
    if isinstance(value, _PLAIN) and type(value) is not bytes and not isinstance(value, np.generic):
        base = next(base for base in _PLAIN if isinstance(value, base))
        raise Refused(f"{where} is a {_type(value)}, which may differ from an equal {base.__name__}; give a plain one.")
    if isinstance(value, Mapping):
        raise Refused(f"{where} is a {_type(value)}, whose content may depend on more than its items; give dict(it).")
    return _stored(value, where, by_name)


def _plain(value: Any, where: str, by_name: bool) -> Form | None:  # noqa: PLR0911, a case per type
    """Return the form of a value of one of Python's own types; None if it is of another."""
    match value:
        case None:
            return ["None"]
        case float() if type(value) is float:
            return ["float", struct.pack("<d", value).hex()]
        case complex() if type(value) is complex:
            return ["complex", struct.pack("<dd", value.real, value.imag).hex()]
    if type(value) in (bool, int):
        return [type(value).__name__, hex(value)]
    if type(value) is str:
        return ["str", value]
    if type(value) in (list, tuple) or _is_named_tuple(value):
        items = [form_of(item, f"{where}[{i}]", by_name) for i, item in enumerate(value)]
        return [_type(value), items]
    if type(value) in _MAPPINGS:
        pairs = [
            [form_of(key, f"a key of {where}"), form_of(item, f"{where}[{key!r}]", by_name)]
            for key, item in value.items()
        ]
        return [_type(value), pairs]
    return None


def _is_named_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and type(value).__bases__ == (tuple,) and hasattr(value, "_fields")


def _stored(value: Any, where: str, by_name: bool) -> Form:
    """Return the form of what a codec stores: its type and content."""
    try:
        encoded = CODECS.encode(value)
    except Refused as error:
        raise Refused(f"{where}: {error}") from error
    kind = "numpy.ndarray" if isinstance(value, np.memmap) else _type(value)
    if isinstance(encoded, Tree):
        children = form_of(dict(encoded.children), where, by_name)
        return [kind, encoded.type or "", form_of(dict(encoded.attrs), where), children]
    content = [blake3(in_one(buffer.data)).hexdigest() for buffer in encoded.buffers]
    return [kind, form_of(encoded.header, where), content]


def _is_pandas_column(value: Any) -> bool:
    """Tell whether it is a Series or an Index, without importing pandas."""
    bases = {(base.__module__.partition(".")[0], base.__name__) for base in type(value).__mro__}
    return not bases.isdisjoint({("pandas", "Series"), ("pandas", "Index")})


def _labelled(column: Any, where: str, by_name: bool) -> Form:
    import pandas as pd

    if isinstance(column, pd.Series):
        frame = pd.DataFrame({"values": column}, copy=False)
        frame.attrs = column.attrs
    else:
        frame = pd.DataFrame(index=column)
    return _stored(frame, where, by_name)


def _type(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _source(function: Callable[..., Any]) -> str:
    module = inspect.getmodule(function)
    try:
        return inspect.getsource(module) if module else ""
    except OSError as error:
        raise Refused(
            f"the source of {function.__module__} cannot be read, which SMALTI_MEMOIZE_KEY_MODE=full needs; "
            "take the mode data."
        ) from error
