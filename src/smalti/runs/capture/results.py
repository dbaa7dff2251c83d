"""What the result of a call is called among the outputs of its run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

_RESULT = "result"
_MOST_ITEMS = 100


def named_outputs(result: Any, output_param: str | None) -> dict[str, Any]:
    """Return what to store, by name: nothing for None; the items of a tuple by their fields or numbers; else the whole.

    Args:
        output_param: what the result is called; of a mapping that has such a key, only that item is stored.
    """
    if result is None:
        return {}
    name = output_param or _RESULT
    if output_param and isinstance(result, Mapping) and output_param in result:
        return {name: result[output_param]}
    if isinstance(result, tuple):
        return dict(items_of(name, result))
    return {name: result}


def items_of(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the items of a value that cannot be stored as a whole, the first hundred, each by a name of its own."""
    if isinstance(value, Mapping):
        pairs: Any = ((f"{name}.{key}", item) for key, item in value.items())
    elif isinstance(value, tuple) and (fields := getattr(value, "_fields", None)):
        pairs = zip(fields, value, strict=True)
    elif isinstance(value, list | tuple):
        pairs = ((f"{name}_{number}", item) for number, item in enumerate(value))
    else:
        return
    yield from islice(((called, item) for called, item in pairs if item is not None), _MOST_ITEMS)
