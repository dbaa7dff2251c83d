"""What a value consists of, by name: the arrays and the metadata that a contract speaks of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.codecs.array import BFLOAT16, BFloat16, is_array, plain_array
from smalti.codecs.registry import CODECS
from smalti.codecs.weights import Weights
from smalti.errors import Refused
from smalti.store.values import Tree

_STATED = {"value", "assumed", "note"}


def parts_of(value: Any) -> dict[str, Any]:
    """Return arrays and metadata by name: ``probe``, ``model/layers.0.weight``, ``config.model_type``.

    A mapping of arrays is what it says; a typed value (a scan, a product, a checkpoint) is what it is stored as.
    What is in a child is named after a slash, what is in a document after a dot.

    Raises:
        Refused: it is no mapping and no value that consists of parts.
    """
    if CODECS.is_typed(value):
        value = CODECS.encode(value)
    if not isinstance(value, Mapping | Weights | Tree):
        raise Refused(f"a {type(value).__name__} has no named arrays; give a mapping of them, or a scan or the like.")
    return dict(_parts("", value))


def _parts(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    match value:
        case Tree():
            yield from _children(prefix, value.children)
            yield from entries_of(value.attrs, prefix)
        case Weights():
            yield from _children(prefix, value.tensors)
        case Mapping():
            yield from _children(prefix, value)
        case _:
            yield prefix.removesuffix("/"), _plain(value)


def _children(prefix: str, children: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, child in children.items():
        yield from _parts(f"{prefix}{name}/", child)


def entries_of(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the entries of a document, those within others named with dots; a stated value stands for itself too."""
    for name, entry in document.items():
        if isinstance(entry, Mapping):
            if entry.keys() <= _STATED and "value" in entry:  # a physical value, and whether it was measured
                yield f"{prefix}{name}", entry["value"]
            yield from entries_of(entry, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", entry


def _plain(value: Any) -> Any:
    """Return any array as one of numpy; bfloat16 as float32, which holds it exactly."""
    if isinstance(value, np.ndarray) or not is_array(value):
        return value
    array, dtype = plain_array(value)
    return np.asarray(BFloat16(array)) if dtype == BFLOAT16 else array


def arrays_in(parts: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return the arrays among the parts."""
    return {name: part for name, part in parts.items() if isinstance(part, np.ndarray)}
