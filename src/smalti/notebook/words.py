"""Sizes and foreign texts as a person reads them."""

from __future__ import annotations

_MOST_CHARACTERS = 400
_UNITS = ("kB", "MB", "GB", "TB", "PB")


def readable(nbytes: float) -> str:
    """Return a size in the unit that suits it, in three digits.

    >>> readable(999), readable(33_816_576), readable(999_600), readable(2e15)
    ('999 B', '33.8 MB', '1 MB', '2 PB')
    """
    if nbytes < 1000:
        return f"{nbytes:.0f} B"
    power = 1
    while nbytes / 1000**power >= 999.5 and power < len(_UNITS):
        power += 1
    return f"{nbytes / 1000**power:.3g} {_UNITS[power - 1]}"


def visible(text: str, most: int = _MOST_CHARACTERS, lines: bool = False) -> str:
    r"""Return a text of which nothing is hidden or changes direction, cut to ``most`` characters.

    >>> visible("a\nb"), visible("\u202eabc"), visible("abcdef", most=3)
    ('a\\nb', '\\u202eabc', 'abc…')

    Args:
        lines: leave ends of lines and tabs as they are.
    """
    cut = text if len(text) <= most else f"{text[:most]}…"
    if cut.isprintable():
        return cut
    kept = "\n\t" if lines else ""
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in cut)
