"""JSON files, and YAML files as JSON: read strictly, in bounded memory, with no object of Python made from either."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from smalti import canonical
from smalti.canonical import Json
from smalti.directory.bounded_yaml import BoundedLoader, load
from smalti.errors import Refused
from smalti.migration.sources.source import LARGEST_TEXT_NBYTES
from smalti.migration.values.file_value import FileValue
from smalti.tracking.work_file import WorkFile

_LARGEST_YAML_NBYTES = 1 << 20  # the parser is slow
_MOST_ITEMS = 100_000  # of a YAML document with its aliases written out
_DEEPEST = 64


def json_value(path: Path) -> FileValue:
    """Return the document in a JSON file.

    Raises:
        Refused: it is too large, or no strict JSON (NaN, a key twice).
    """
    file = WorkFile(path)
    document = json_document(bytes(file.data), path.name)

    def is_same(back: Any) -> bool:
        file.check_unchanged()
        return canonical.text(plain(back), sort=True) == canonical.text(document, sort=True)

    return FileValue(lambda store: store.put(document), is_same)


def plain(back: Any) -> Any:
    """Return a stored document as JSON, also where it was opened as a tree that has attributes alone."""
    attrs, children = getattr(back, "attrs", None), getattr(back, "children", None)
    return back if attrs is None else {**attrs, **(children or {})}


def json_document(content: bytes, name: str) -> Json:
    """Parse JSON strictly.

    Raises:
        Refused: it is too large, or no strict JSON.
    """
    if len(content) > LARGEST_TEXT_NBYTES:
        raise Refused(f"{name} has {len(content)} bytes, too many for one JSON document.")
    try:
        return canonical.loads(content)
    except Refused as error:
        raise Refused(f"{name}: {error}") from error


def yaml_document(content: bytes, name: str) -> Json:
    """Return what a YAML file says as JSON: times as ISO 8601, bytes in base64, NaN and infinity as text.

    Raises:
        Refused: it is no YAML of plain values, too large, or grows without bound when its aliases are written out.
    """
    if len(content) > _LARGEST_YAML_NBYTES:
        raise Refused(f"{name} has {len(content)} bytes; one of at most {_LARGEST_YAML_NBYTES} is read.")
    try:
        parsed = load(content, BoundedLoader)
        return _Plain(name).of(parsed, 0)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, AttributeError, OverflowError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"{name} is no YAML of plain values ({' '.join(str(error).split())[:200]}).") from error


class _Plain:
    """Writes parsed YAML out as JSON and counts what that makes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._items = 0

    def of(self, value: Any, depth: int) -> Json:
        self._items += 1
        if self._items > _MOST_ITEMS or depth > _DEEPEST:
            raise Refused(f"{self._name} holds more than {_MOST_ITEMS} items, aliases written out, or is too deep.")
        if isinstance(value, Mapping):
            plain = {str(key): self.of(item, depth + 1) for key, item in value.items()}
            if len(plain) != len(value):
                raise Refused(f"{self._name} has keys that are equal as text.")
            return plain
        if isinstance(value, list | tuple | set):
            items = sorted(value, key=repr) if isinstance(value, set) else value
            return [self.of(item, depth + 1) for item in items]
        return canonical.normalise(_scalar(value), self._name)


def _scalar(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, date):  # a datetime is one
        return value.isoformat()
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    return value
