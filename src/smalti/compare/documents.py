"""How two JSON documents differ: path by path, items of lists aligned so that what was inserted moves nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from smalti import canonical
from smalti.canonical import Json
from smalti.compare.differences import DocumentDifference, ValueChange
from smalti.store.maintenance.diff import differing_ranges

_MOST = 1000
_PLAIN_NAME = re.compile(r"[^\W\d][\w-]*")
_UNITS = {"eV": "eV", "keV": "keV", "m": "m", "s": "s", "deg": "deg", "rad": "rad", "dB": "dB", "px": "px"}


def compare_documents(before: Json, after: Json) -> DocumentDifference:
    """Compare two documents; as in a store, 1 and 1.0 differ, and a list and a tuple."""
    found = changes_of("", before, after)
    changes = tuple(islice(found, _MOST))
    return DocumentDifference(changes, sum(1 for _ in found))


def unit_of(name: str) -> str:
    """Return the unit that the name of a field ends in, or nothing.

    >>> unit_of("photon_energy_eV"), unit_of("object_pixel_width_m"), unit_of("m"), unit_of("num_epochs")
    ('eV', 'm', '', '')
    """
    if name.endswith("_m2_per_kg"):
        return "m2/kg"
    _, underscore, last = name.rpartition("_")
    return _UNITS.get(last, "") if underscore else ""


def changes_of(path: str, before: Json, after: Json, unit: str = "") -> Iterator[ValueChange]:
    """Yield every place at which two documents differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            below = _below(path, name)
            its = unit_of(name) or (unit if name == "value" else "")
            if name not in after:
                yield ValueChange(below, "removed", before[name], unit=its)
            elif name not in before:
                yield ValueChange(below, "added", after=after[name], unit=its)
            else:
                yield from changes_of(below, before[name], after[name], its)
    elif isinstance(before, list | tuple) and type(before) is type(after):
        yield from _list_changes(path, before, after, unit)
    elif canonical.exact(before) != canonical.exact(after):
        yield ValueChange(path, "changed", before, after, unit)


def _list_changes(path: str, before: Sequence[Json], after: Sequence[Json], unit: str) -> Iterator[ValueChange]:
    spelled = ([canonical.exact(item) for item in items] for items in (before, after))
    for (i, j), (k, m) in differing_ranges(next(spelled), next(spelled)):
        both = min(j - i, m - k)
        for n in range(both):
            yield from changes_of(f"{path}[{k + n}]", before[i + n], after[k + n], unit)
        for n in range(i + both, j):
            yield ValueChange(f"{path}[{n}]", "removed", before[n], unit=unit)
        for n in range(k + both, m):
            yield ValueChange(f"{path}[{n}]", "added", after=after[n], unit=unit)


def _below(path: str, name: str) -> str:
    """Return the path of a field; names that would not read as one are quoted."""
    if _PLAIN_NAME.fullmatch(name):
        return f"{path}.{name}" if path else name
    return f"{path}[{canonical.text(name).decode()}]"
