"""What every command shares that takes no parser of options: opening the store, and how answers are spelled."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smalti.store import Record, Store


def the_store(place: str | None) -> Store:
    """Open the store that was named, else that of the root around the current folder."""
    from smalti import open_store
    from smalti.settings import places

    return open_store(place or places().store)


def print_json(document: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def warn(sentence: str) -> None:
    """Print a sentence for a person beside the answer, on stderr."""
    print(sentence, file=sys.stderr)


def readable_size(nbytes: float) -> str:
    """Return a size with a unit a person reads.

    >>> readable_size(33_816_576), readable_size(12)
    ('33.8 MB', '12 B')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if nbytes < 1000:
            return f"{nbytes:.3g} {unit}" if unit != "B" else f"{nbytes:.0f} B"
        nbytes /= 1000
    return f"{nbytes:.3g} TB"


def printable(text: str) -> str:
    """Return foreign text as it is, quoted and escaped where a terminal might obey it."""
    return text if text.isprintable() else ascii(text)


def described(record: Record) -> str:
    """Return what an object is, and its size."""
    header = record.header
    what = [str(header.get("type") or record.kind)]
    if isinstance(shape := header.get("shape"), list):
        what.append(f"{header['dtype']} {tuple(shape)}")
    if isinstance(columns := header.get("columns"), list):
        what.append(f"{header['rows']} x {len(columns)}")
    return f"{' '.join(what)}, {readable_size(record.nbytes)}"
