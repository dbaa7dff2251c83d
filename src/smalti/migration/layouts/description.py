"""What the files that describe a run say, taken with care: fields of the type that is expected, times in UTC."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from smalti.canonical import Json
from smalti.errors import Refused


def mapping(value: Any, where: str) -> dict[str, Any]:
    """Return a value that has to be a mapping; None counts as an empty one.

    Raises:
        Refused: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Refused(f"{where} is a {type(value).__name__} where a mapping belongs; mend it or leave the run out.")
    return dict(value)


def text(value: Any) -> str:
    """Return a text or number as text, anything else as ""."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def texts(value: Any) -> dict[str, str]:
    """Return a mapping of texts, what is no text spelled as JSON would be."""
    return {str(name): item if isinstance(item, str) else str(item) for name, item in mapping(value, "tags").items()}


def numbers(value: Any) -> dict[str, float]:
    """Return the finite numbers of a mapping."""
    found = mapping(value, "metrics").items()
    return {
        name: float(item)
        for name, item in found
        if isinstance(item, int | float) and not isinstance(item, bool) and math.isfinite(item)
    }


def utc(moment: Any) -> str:
    """Return an ISO 8601 time, in UTC where it does not say, as ISO 8601 with its zone; "" where it is none.

    >>> utc("2024-01-15T10:00:00.5"), utc("soon")
    ('2024-01-15T10:00:00.500000+00:00', '')
    """
    try:
        parsed = datetime.fromisoformat(text(moment))
    except ValueError:
        return ""
    return (parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)).isoformat()


def utc_of_ms(milliseconds: Any) -> str:
    """Return a time in milliseconds since 1970 as ISO 8601; "" where it is none."""
    if not isinstance(milliseconds, int) or isinstance(milliseconds, bool):
        return ""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return ""


def without_empty(notes: Mapping[str, Json]) -> dict[str, Json]:
    """Return what says something."""
    return {name: value for name, value in notes.items() if value not in (None, "", {}, [])}
