"""Any value as an entry of a notebook: what it is, how large, a small picture, what it consists of."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from smalti.notebook.entry import Entry, html
from smalti.notebook.pictures import thumbnail
from smalti.notebook.words import readable

_MOST_CHILDREN = 50
_MOST_ENTRIES = 400
_DEEPEST = 8
_DRAWING_S = 1.0  # of a large tree in a bucket, not every picture can be waited for
_PREVIEW_CHARACTERS = 80


def shown(value: Any, name: str = "") -> str:
    """Return the HTML of a value for a notebook; never raises, and reads no more than what the pictures show."""
    try:
        return html(entry_of(name or type(value).__name__, value))
    except Exception as error:  # in a notebook, a value that cannot be shown is still there to be used
        return html(Entry(name or type(value).__name__, f"cannot be shown: {type(error).__name__}: {error}"))


def entry_of(name: str, value: Any) -> Entry:
    """Return a value as an entry: of what consists of many parts the first, at most 400 in all, down to 8 levels.

    Arrays, tables, mappings, trees, dataclasses and JSON are told by what they offer, whoever's class they are of.
    """
    return _Showing().entry(name, value, 0)


def field_entries(pairs: Iterable[tuple[str, str]]) -> tuple[Entry, ...]:
    """Return plain lines: what each is called, and what it is."""
    return tuple(Entry(name, what) for name, what in pairs)


class _Showing:
    def __init__(self) -> None:
        self._left = _MOST_ENTRIES
        self._until = time.monotonic() + _DRAWING_S

    def entry(self, name: str, value: Any, depth: int) -> Entry:
        self._left -= 1
        try:
            return self._entry(name, value, depth)
        except (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError) as error:
            return Entry(name, f"{type(value).__name__}, cannot be shown: {error}")

    def _entry(self, name: str, value: Any, depth: int) -> Entry:
        if _is_array(value):
            picture = thumbnail(value) if time.monotonic() < self._until else None
            return Entry(name, array_text(value), picture)
        if _is_table(value):
            return Entry(name, *self._table(value))
        if isinstance(value, bytes | bytearray | memoryview):
            return Entry(name, _bytes_text(memoryview(value)))
        parts = _parts(value)
        if parts is None:
            return Entry(name, _plain_text(value))
        what, items = parts
        return self._of(name, "" if what == name else what, items, depth)

    def _of(self, name: str, what: str, parts: list[tuple[str, Any]], depth: int) -> Entry:
        children: list[Entry] = []
        for part, value in parts[:_MOST_CHILDREN] if depth < _DEEPEST else ():
            if self._left <= 0:
                break
            children.append(self.entry(part, value, depth + 1))
        return Entry(name, what, None, tuple(children), len(parts) - len(children))

    @staticmethod
    def _table(value: Any) -> tuple[str, None, tuple[Entry, ...], int]:
        schema = getattr(value, "schema", None)
        if schema is not None:
            rows = int(value.num_rows)
            columns = [(str(field.name), str(field.type)) for field in list(schema)[:_MOST_CHILDREN]]
            many = len(schema)
        else:
            rows, many = value.shape
            columns = [(str(label), str(dtype)) for label, dtype in list(value.dtypes.items())[:_MOST_CHILDREN]]
        size = getattr(value, "nbytes", None)
        told = f"table of {rows:,} rows, {many} columns" + (f", {readable(size)}" if isinstance(size, int) else "")
        return told, None, field_entries(columns), many - len(columns)


def array_text(value: Any) -> str:
    """Return dtype, shape and size of an array: ``float32 (961, 64, 64), 15.7 MB``."""
    inner = getattr(value, "bits", None)
    dtype = value.dtype if inner is None else "bfloat16"
    shape, size = (value if inner is None else inner).shape, (value if inner is None else inner).nbytes
    lengths = ", ".join(f"{length}" for length in shape) + ("," if len(shape) == 1 else "")
    text = f"{dtype} ({lengths}), {readable(size)}"
    return f"{text}: {value}" if shape == () and type(value).__module__ == "numpy" and size <= 64 else text


def _is_array(value: Any) -> bool:
    array = getattr(value, "bits", value)
    return isinstance(getattr(array, "shape", None), tuple) and hasattr(array, "dtype") and hasattr(array, "nbytes")


def _is_table(value: Any) -> bool:
    return (hasattr(value, "schema") and hasattr(value, "num_rows")) or (
        hasattr(value, "dtypes") and hasattr(value, "columns")
    )


def _parts(value: Any) -> tuple[str, list[tuple[str, Any]]] | None:
    """Return what a value is, and the parts that hold something; None where it has no parts."""
    kind = type(value).__name__
    items: Any = None
    if hasattr(value, "children") and hasattr(value, "attrs"):
        kind = f"{value.type or 'tree'}, {_many(len(value.children), 'child', 'children')}"
        items = [*value.children.items(), *_said(value.attrs.items())]
    elif isinstance(value, Mapping):
        kind, items = _many(len(value), "entry", "entries"), value.items()
    elif hasattr(value, "model_dump"):
        items = _said(value.model_dump(mode="json", exclude_none=True).items())
    elif is_dataclass(value) and not isinstance(value, type):
        of = {field.name: getattr(value, field.name) for field in fields(value)}
        items = _said(of.items())
        if "tensors" in of:  # these two are little more than their names and what they stand for
            kind, items = f"{kind}, {_many(len(of['tensors']), 'tensor', 'tensors')}", of["tensors"].items()
        elif "entries" in of:
            kind, items = f"{kind}, {_many(len(of['entries']), 'entry', 'entries')}", of["entries"].items()
    elif isinstance(value, list | tuple) and not _is_short(value):
        kind, items = f"list of {len(value)}", enumerate(value)
    return None if items is None else (kind, [(str(name), item) for name, item in items])


def _said(items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the fields that hold something."""
    for name, item in items:
        if item is not None and not (isinstance(item, str | tuple | list | frozenset | Mapping) and not item):
            yield name, item


def _many(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


def _is_short(value: list[Any] | tuple[Any, ...]) -> bool:
    return len(value) <= 8 and all(item is None or isinstance(item, int | float | str) for item in value)


def _bytes_text(value: memoryview) -> str:
    start = bytes(value.cast("B")[:_PREVIEW_CHARACTERS]) if value.nbytes and value.c_contiguous else b""
    try:
        text = start.decode()
    except UnicodeDecodeError:
        text = ""
    preview = (
        f': "{text}{"…" if value.nbytes > len(start) else ""}"' if text.replace("\n", "").isprintable() and text else ""
    )
    return f"bytes, {readable(value.nbytes)}{preview}"


def _plain_text(value: Any) -> str:
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return json.dumps([*value], ensure_ascii=False)
    if isinstance(value, frozenset | set):
        return ", ".join(sorted(map(str, value)))
    return f"{type(value).__module__}.{type(value).__qualname__}"
