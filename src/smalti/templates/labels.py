"""The words for a column, and the unit of its values, from its name.

A unit is recognised only as a whole word at the end of a name, or in brackets there: ``age_years``, ``temp_degC``,
``width_mm``, ``petal length (cm)``. A single letter is a unit only in brackets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from smalti.templates.written import TEXT, flat


class Label(NamedTuple):
    """The words for a column, and the unit of its values; the unit is empty where the name does not tell."""

    words: str
    unit: str


_SPOKEN = {
    "degC": "degrees Celsius",
    "celsius": "degrees Celsius",
    "degF": "degrees Fahrenheit",
    "fahrenheit": "degrees Fahrenheit",
    "deg": "degrees",
    "pct": "percent",
    "hrs": "hours",
    "mins": "minutes",
    "secs": "seconds",
    "sec": "seconds",
    "lbs": "pounds",
    "sqft": "square feet",
    "sqm": "square metres",
    "m2": "square metres",
    "kmh": "km/h",
    "usd": "USD",
    "eur": "EUR",
    "gbp": "GBP",
}
# Left out because they are also other words: min (minimum), in, mol, bar, mb, pa.
_AS_WRITTEN = (
    *("years", "months", "weeks", "days", "hours", "minutes", "seconds", "ms"),
    *("nm", "um", "mm", "cm", "km", "inches", "feet", "miles", "acres", "km/h", "mph", "kg", "mg", "ug", "ml"),
    *("degrees", "radians", "percent", "dollars", "euros", "pounds"),
    *("eV", "keV", "MeV", "kW", "kWh", "Hz", "kHz", "MHz", "GHz", "dB", "kPa", "hPa", "mmHg", "bpm", "rpm"),
)
UNITS = {**{unit: unit for unit in _AS_WRITTEN}, **_SPOKEN}
_LETTERS = {letter: letter for letter in "mgshlWVAKNJ"} | {"%": "percent"}
_BRACKETS = re.compile(r"^(?P<before>.*\S)\s*[(\[](?P<unit>[^()\[\]]+)[)\]]\s*$", re.DOTALL)
_LAST_WORD = re.compile(r"^(?P<before>.*[^\W_])[\W_]+(?P<unit>[^\W_]+)$", re.DOTALL)
_WORD = re.compile(r"\d+[a-z]+|[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+|[A-Z]|[^\W_]+")


def words_of(name: str) -> list[str]:
    """Return the words a name is made of, in small letters: ``PassengerId`` and ``passenger_id`` are passenger, id."""
    return [word.lower() for word in _WORD.findall(name)]


def label_of(name: str) -> Label:
    """Return the words for a column of this name, and its unit."""
    for pattern, units in ((_BRACKETS, UNITS | _LETTERS), (_LAST_WORD, UNITS)):
        found = pattern.match(name)
        unit = units.get(found["unit"].strip(), "") if found else ""
        if found and unit and words_of(found["before"]):
            return Label(" ".join(words_of(found["before"])), unit)
    return Label(" ".join(words_of(name)) or _as_it_is(name), "")


def labels_of(names: Sequence[str]) -> dict[str, Label]:
    """Return the label of each column, no two of them alike.

    Where names differ in their unit only, the unit is among the words; where they differ in no word, a number follows.
    """
    labels = {name: label_of(name) for name in names}
    times: dict[str, int] = {}
    for label in labels.values():
        times[label.words] = times.get(label.words, 0) + 1
    taken: set[str] = set()
    for name, label in labels.items():
        words, unit = label
        if times[words] > 1:
            words, unit = " ".join(words_of(name)) or _as_it_is(name), ""
        number = 1
        unique = words
        while unique in taken or (unique != label.words and unique in times):
            number += 1
            unique = f"{words} {number}"
        taken.add(unique)
        labels[name] = Label(unique, unit)
    return labels


def _as_it_is(name: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in name)
    return flat(pa.array([printable], TEXT))[0].as_py() or "column"
