"""Numbers with units, times and durations as a person reads them, and two numbers side by side in one unit."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

_PREFIXES: dict[str, tuple[tuple[float, str], ...]] = {
    "m": ((1.0, "m"), (1e-3, "mm"), (1e-6, "um"), (1e-9, "nm"), (1e-12, "pm")),
    "eV": ((1e6, "MeV"), (1e3, "keV"), (1.0, "eV"), (1e-3, "meV")),
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")),
}
_DIGITS, _MOST_DIGITS = 6, 17


def quantity(value: float, unit: str = "", digits: int = 3) -> str:
    """Return a value in the prefix of its unit that suits it.

    >>> quantity(8800.0, "eV"), quantity(1.3e-8, "m"), quantity(0.0, "m"), quantity(2.5, "px")
    ('8.8 keV', '13 nm', '0 m', '2.5 px')
    """
    factor, name = _prefix(abs(value), unit)
    return f"{_number(value / factor, digits)} {name}".rstrip()


def change_text(before: float, after: float, unit: str = "") -> str:
    """Return two values in one unit, with as many digits as it takes to tell them apart, and how they differ.

    >>> change_text(8800.0, 9000.0, "eV"), change_text(1, 2), change_text(0.0, 1e-9, "m")
    ('8.8 keV -> 9 keV (+2.27 %)', '1 -> 2', '0 nm -> 1 nm')
    """
    if not unit and isinstance(before, int) and isinstance(after, int):
        return f"{before} -> {after}"  # seeds have more digits than a float holds
    factor, name = _prefix(max(abs(before), abs(after)), unit)
    one, other = before / factor, after / factor
    digits = _DIGITS
    while digits < _MOST_DIGITS and _number(one, digits) == _number(other, digits):
        digits += 1
    text = f"{_number(one, digits)} {name}".rstrip() + " -> " + f"{_number(other, digits)} {name}".rstrip()
    relative = relative_text(before, after)
    return f"{text} ({relative})" if relative else text


def relative_text(before: Any, after: Any) -> str:
    """Return by how many per cent a number differs, where either is a float and that says something; else nothing.

    >>> relative_text(8800.0, 9000.0), relative_text(5, 12), relative_text("a", 1.0)
    ('+2.27 %', '', '')
    """
    numbers = all(isinstance(side, int | float) and not isinstance(side, bool) for side in (before, after))
    if not numbers or not (isinstance(before, float) or isinstance(after, float)) or not before:
        return ""
    relative = (after - before) / abs(before) * 100
    return f"{relative:+.3g} %" if math.isfinite(relative) and abs(relative) < 1e4 else ""


def number(value: Any, digits: int = 4) -> str:
    """Return a number, complex ones too, in few digits; integers whole.

    >>> number(0.123456), number(12345678), number(1+2j), number(float("nan"))
    ('0.1235', '12345678', '1+2j', 'NaN')
    """
    if isinstance(value, complex):
        imaginary = number(value.imag, digits)
        sign = "" if imaginary.startswith("-") else "+"
        return f"{number(value.real, digits)}{sign}{imaginary}j"
    if isinstance(value, float):
        return _number(value, digits)
    return str(value)


def scale(low: float, high: float, logarithmic: bool = False) -> str:
    """Return what the ends of a palette stand for.

    >>> scale(-1e-12, 2.5), scale(0, 1e6, logarithmic=True)
    ('0 to 2.5', '0 to 1e+06, four decades')
    """
    low = 0.0 if abs(low) < 1e-6 * abs(high) else float(low)
    return f"{number(low, 3)} to {number(float(high), 3)}{', four decades' if logarithmic else ''}"


def moment(iso: str) -> str:
    """Return a time, ISO 8601, to the second in UTC; what is no such time is returned as it is.

    >>> moment("2024-01-15T11:30:00.123+01:00"), moment("soon"), moment("")
    ('2024-01-15 10:30:00 UTC', 'soon', '')
    """
    try:
        at = datetime.fromisoformat(iso)
        return f"{at.astimezone(UTC) if at.tzinfo else at:%Y-%m-%d %H:%M:%S}{' UTC' if at.tzinfo else ''}"
    except (ValueError, OverflowError):
        return iso


def duration(seconds: float) -> str:
    """Return a duration in the units that suit it.

    >>> duration(0.0123), duration(7.26), duration(110.8), duration(5000), duration(200_000)
    ('12.3 ms', '7.26 s', '1 min 51 s', '1 h 23 min', '2 d 8 h')
    """
    if abs(seconds) < 59.95 or not math.isfinite(seconds):
        return quantity(seconds, "s")
    for unit, in_s, smaller, smaller_s in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if (whole := round(seconds / smaller_s)) * smaller_s >= in_s:
            of = in_s // smaller_s
            return f"{whole // of} {unit} {whole % of} {smaller}"
    return quantity(seconds, "s")


def count(many: int, one: str, more: str = "") -> str:
    """Return how many there are of something.

    >>> count(1, "row"), count(1200, "row"), count(2, "entry", "entries")
    ('1 row', '1,200 rows', '2 entries')
    """
    return f"{many:,} {one if many == 1 else more or one + 's'}"


def _number(value: float, digits: int) -> str:
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, int):
        return str(value)
    return f"{value:.{digits}g}"


def _prefix(size: float, unit: str) -> tuple[float, str]:
    prefixes = _PREFIXES.get(unit)
    if not prefixes:
        return 1, unit
    if not size or not math.isfinite(size):
        return next(prefix for prefix in prefixes if prefix[0] == 1.0)
    return next((prefix for prefix in prefixes if size >= prefix[0] * 0.9995), prefixes[-1])
