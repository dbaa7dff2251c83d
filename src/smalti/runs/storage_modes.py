"""Where runs are shown: the five modes, and patterns such as ``{project}/{model}/{date:%Y-%m}``."""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from smalti.errors import Refused
from smalti.store.manifests.views import check_view, safe_folder

NO_PROJECT, NO_MODEL = "default", "unknown"
_DAY = "%Y-%m-%d"
_FIELDS = ("project", "model", "run_type", "date")
_DATE_CODES = "YymdHMSjGVUWbBaA"


class StorageMode(StrEnum):
    """By what runs are grouped below ``runs/``."""

    BY_PROJECT = "by_project"
    BY_DATE = "by_date"
    BY_TYPE = "by_type"
    BY_MODEL = "by_model"
    FLAT = "flat"


_PATTERNS = {
    StorageMode.BY_PROJECT: "by_project/{project}",
    StorageMode.BY_DATE: f"by_date/{{date:{_DAY}}}",
    StorageMode.BY_TYPE: "by_type/{run_type}",
    StorageMode.BY_MODEL: "by_model/{model}",
    StorageMode.FLAT: "all",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run is grouped by.

    Attributes:
        project: its own, "" where it belongs to none.
        model: the name of its model, or the digest of one that is stored; "" where it has none.
        run_type: its own.
        date: when it was recorded, UTC.
    """

    project: str
    model: str
    run_type: str
    date: datetime


def pattern_of(mode: StorageMode | str) -> str:
    """Return the pattern of a mode, or a pattern itself, checked.

    Raises:
        Refused: there is no such mode, or the pattern has fields or formats that do not exist.
    """
    try:
        return _PATTERNS[StorageMode(mode)]
    except ValueError:
        if not isinstance(mode, str) or "{" not in mode:
            raise Refused(
                f"{mode!r} is no storage mode; there are {', '.join(StorageMode)}, and patterns such as "
                "'{project}/{model}/{date:%Y-%m}'."
            ) from None
    for piece in _pieces(mode):
        _check(mode, *piece)
    view_of(mode, Facts("p", "m", "t", datetime(2024, 1, 15)))
    return mode


def view_of(pattern: str, facts: Facts) -> str:
    """Return the folder below ``runs/`` that a pattern means for a run.

    A field is never more than one part of the path: what cannot be in one, such as ``/``, is written ``%2F``. A ``/``
    in the format of a date begins a new part.

    >>> view_of("{project}/{date:%Y-%m}", Facts("a/b", "", "experiment", datetime(2024, 1, 15)))
    'a%2Fb/2024-01'

    Raises:
        Refused: a part of the path would be empty, or lead out of it.
    """
    parts = [""]
    for literal, field, spec, _ in _pieces(pattern):
        first, *more = literal.split("/")
        parts[-1] += first
        parts += more
        if field == "date":
            first, *more = [facts.date.strftime(part) if part else "" for part in (spec or _DAY).split("/")]
            parts[-1] += first
            parts += more
        elif field is not None:
            parts[-1] += getattr(facts, field) or {"project": NO_PROJECT, "model": NO_MODEL}[field]
    if not all(part.strip(".") for part in parts):
        raise Refused(
            f"the pattern {pattern!r} gives {'/'.join(parts)!r}, which has an empty part, or one of dots only; write "
            "names between the '/', and give project and model others."
        )
    return check_view("/".join(map(safe_folder, parts)))


def views_of(modes: Iterable[StorageMode | str], facts: Facts) -> tuple[str, ...]:
    """Return the folders below ``runs/`` that modes mean for a run, each once.

    Raises:
        Refused: one is no mode.
    """
    if isinstance(modes, str):
        modes = (modes,)
    return tuple(dict.fromkeys(view_of(pattern_of(mode), facts) for mode in modes))


def _pieces(pattern: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise Refused(f"the pattern {pattern!r} cannot be read: {error}; write fields as {{project}}.") from None


def _check(pattern: str, _: str, field: str | None, spec: str | None, conversion: str | None) -> None:
    if field is None:
        return
    if field not in _FIELDS:
        raise Refused(f"the pattern {pattern!r} has the field {field!r}; there are {', '.join(_FIELDS)}.")
    if conversion or (spec and field != "date"):
        what: Any = f"!{conversion}" if conversion else spec
        raise Refused(
            f"the pattern {pattern!r} gives {field} the format {what!r}; only date takes one, {{date:{_DAY}}}."
        )
    codes = (spec or "").split("%")[1:] if spec and "%%" not in spec else []
    if spec and (not codes or not all(code[:1] in _DATE_CODES and code for code in codes)):
        known = " ".join(f"%{code}" for code in _DATE_CODES)
        raise Refused(f"the pattern {pattern!r} gives date the format {spec!r}; it may hold {known}.")
