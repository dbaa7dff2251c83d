"""What the result of a call, and its items, are called among the outputs of its run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MOST_ITEMS = 100  # of one value that is stored item by item
_RESULT = "result"


def named_outputs(result: Any, output_param: str | None) -> dict[str, Any]:
    """Return what to store, by name; nothing for None.

    Args:
        output_param: what the result is called; of a mapping that has such a key, only that item is stored.
    """
    if result is None:
        return {}
    if output_param and isinstance(result, Mapping) and output_param in result:
        return {output_param: result[output_param]}
    return {output_param or _RESULT: result}


def items_of(name: str, value: Any) -> list[tuple[str, Any]]:
    """Return the items of a value that cannot be stored as a whole, each by a name of its own; those that are None not.

    Where it cannot be iterated over, it has none.
    """
    try:
        return [(called, item) for called, item in _named(name, value) if item is not None]
    except Exception:  # of a value that is not what its type promises
        return []


def _named(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"{name}.{key}", item) for key, item in value.items())
    elif isinstance(value, tuple) and (fields := getattr(value, "_fields", None)):
        yield from zip(fields, value, strict=True)
    elif isinstance(value, list | tuple):
        yield from ((f"{name}_{number}", item) for number, item in enumerate(value))
