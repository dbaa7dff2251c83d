"""Names for what comes from elsewhere: what a store allows, unlike any other, and the same again each time."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

from smalti.errors import Refused

_OTHER = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 128
_DIGITS = 8


def segment(text: str) -> str:
    """Return text as one part of a name; where that changes it, digits of its SHA-256 keep it apart from others.

    >>> segment("loss_2.5"), segment("learning rate")
    ('loss_2.5', 'learning-rate-8212edf3')
    """
    plain = _OTHER.sub("-", text).lstrip("._-")
    if text and plain == text and len(plain) <= _LONGEST:
        return plain
    return f"{plain[: _LONGEST - _DIGITS - 1].rstrip('-') or 'unnamed'}-{digits_of(text)}"


def check_prefix(prefix: str, *, is_path: bool) -> None:
    """Make sure that names may begin with a prefix.

    Args:
        is_path: parts joined by ``/`` may be in it; else it is the beginning of one part.

    Raises:
        Refused: they may not.
    """
    parts = prefix.strip("/").split("/") if is_path else [prefix]
    if prefix and not all(part and segment(part) == part for part in parts):
        joined = ", in parts joined by '/'" if is_path else ""
        raise Refused(f"names cannot begin with {prefix!r}: use letters, digits, '.', '_' and '-'{joined}.")


def path_name(path: str) -> str:
    """Return a path as a name: each part by itself."""
    return "/".join(segment(part) for part in path.split("/"))


def digits_of(text: str) -> str:
    """Return the first digits of the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def run_names(prefix: str, wanted: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return what runs are called: place in the source -> name, for pairs of a place and the run's own id.

    Two that would be called the same, letter case apart, have digits of their place's SHA-256 behind the id.
    """
    ids = {place: segment(f"{prefix}{run}") for place, run in wanted}
    count = Counter(name.casefold() for name in ids.values())
    return {
        place: name if count[name.casefold()] == 1 else segment(f"{name[: _LONGEST - _DIGITS - 1]}-{digits_of(place)}")
        for place, name in ids.items()
    }
