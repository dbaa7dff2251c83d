"""Units as files spell them: what one of a unit is in metres, electronvolts or seconds."""

from __future__ import annotations

import unicodedata
from typing import Literal

Quantity = Literal["length", "energy", "time"]

JOULES_PER_EV = 1.602176634e-19  # exact, SI 2019

# Symbols; those that differ only by case (mm and Mm, meV and MeV) are told apart, any other case is understood.
_SYMBOLS: dict[Quantity, dict[str, float]] = {
    "length": {
        "m": 1.0, "dm": 1e-1, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "nm": 1e-9, "pm": 1e-12, "km": 1e3, "Å": 1e-10,
        "A": 1e-10, "M": 1e6, "Mm": 1e6, "Pm": 1e15,
    },
    "energy": {"J": 1 / JOULES_PER_EV, "eV": 1.0, "keV": 1e3, "meV": 1e-3, "MeV": 1e6, "GeV": 1e9},
    "time": {"s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "Ms": 1e6, "min": 60.0},
}  # fmt: skip
_NEVER_MEANT = ("M", "Mm", "Pm", "Ms")  # in the tables only so that no other case is taken for these
_WORDS: dict[Quantity, dict[str, float]] = {
    "length": {
        "meter": 1.0, "metre": 1.0, "millimeter": 1e-3, "millimetre": 1e-3, "centimeter": 1e-2, "centimetre": 1e-2,
        "micron": 1e-6, "micrometer": 1e-6, "micrometre": 1e-6, "nanometer": 1e-9, "nanometre": 1e-9,
        "picometer": 1e-12, "picometre": 1e-12, "angstrom": 1e-10, "angstroem": 1e-10, "ångström": 1e-10, "ang": 1e-10,
    },
    "energy": {
        "joule": 1 / JOULES_PER_EV, "electronvolt": 1.0, "electron volt": 1.0, "kiloelectronvolt": 1e3,
    },
    "time": {"second": 1.0, "millisecond": 1e-3, "microsecond": 1e-6, "nanosecond": 1e-9, "minute": 60.0},
}  # fmt: skip


def factor_of(said: str, quantity: Quantity) -> float | None:
    """Return how many metres, electronvolts or seconds one of the unit is; None: it is no unit of that quantity.

    >>> factor_of("µm", "length"), factor_of("Microns", "length"), factor_of("KEV", "energy")
    (1e-06, 1e-06, 1000.0)
    >>> factor_of("MM", "length"), factor_of("furlong", "length")
    (None, None)
    """
    # NFKC makes one letter of the two that look like mu, and one of the two that look like A with a ring.
    name = unicodedata.normalize("NFKC", said).strip().strip("[]()").strip().replace("μ", "u")
    symbols = _SYMBOLS[quantity]
    if name in symbols and name not in _NEVER_MEANT:
        return symbols[name]
    alike = [symbol for symbol in symbols if symbol.casefold() == name.casefold()]
    if len(alike) == 1:
        return symbols[alike[0]]
    word = name.casefold()
    words = {known.replace("μ", "u"): factor for known, factor in _WORDS[quantity].items()}
    return words.get(word, words.get(word.removesuffix("s")))
