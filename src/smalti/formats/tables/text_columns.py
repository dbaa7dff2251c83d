"""Columns of text as the type that all their values have, where no value changes by it; else they stay text.

Whole numbers become int64, or uint64 where they need it; other numbers float64; ``true`` and ``false`` booleans; dates,
times and timestamps in ISO 8601 those, timestamps with an offset in UTC. A column stays text where one of its numbers
has zeros in front (``007``), would be rounded to another whole number, or is beyond the range of float64.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from smalti.contracts.violation import Violation, shown

MARKERS = ("NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "-nan", "-NaN", "NULL", "null", "None")
_SAMPLE_ROWS = 1000
_FIRST_INEXACT = 2.0**53  # above it, not every whole number is a float64
_MOSTLY = 0.9

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_SEPARATED = r"^[+-]?([0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?|[0-9]{1,3}([.' ][0-9]{3})+(,[0-9]*)?|[0-9]*,[0-9]+)$"
_IDENTIFIER = r"^[+-]?0[0-9]|^\+[0-9]+$"
_WHOLE = r"^-?[0-9]+$"
_INFINITE = r"^[+-]?(inf|infinity)$"


@dataclass(frozen=True, slots=True)
class Typed:
    """A column after its type was looked for.

    Attributes:
        values: of the type found, or the text as it was.
        conversion: what became missing, or why numbers stayed text, in words; or nothing.
        markers: those of MARKERS that are among its texts, where they may mean that a value is missing.
        warning: what the column looks like though it stayed text.
    """

    values: pa.ChunkedArray
    conversion: str = ""
    markers: tuple[str, ...] = ()
    warning: Violation | None = None


def typed(name: str, text: pa.ChunkedArray) -> Typed:
    """Return a column of text, without nulls, as the type that all its values have.

    In a column of any type but text, empty fields and MARKERS are missing values, and spaces around values mean
    nothing. A column of text is kept to the byte.
    """
    sample = _present(_ends_of(text))
    for convert in _conversions_of(sample):
        if convert(sample) is None:
            continue
        values = convert(text)
        if values is None:
            values = convert(_present(text))
        if values is not None:
            return _converted(name, text, values)
    return _kept(name, text, sample)


def _ends_of(text: pa.ChunkedArray) -> pa.ChunkedArray:
    last = text.slice(max(0, len(text) - _SAMPLE_ROWS))
    return pa.chunked_array([*text.slice(0, _SAMPLE_ROWS).chunks, *last.chunks], text.type)


def _present(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the texts without spaces around them, null where they say that a value is missing."""
    plain = pc.ascii_trim_whitespace(text)
    return pc.if_else(pc.is_in(plain, pa.array(["", *MARKERS])), pa.scalar(None, pa.string()), plain)


def _converted(name: str, text: pa.ChunkedArray, values: pa.ChunkedArray) -> Typed:
    if not values.null_count:
        return Typed(values)
    missing = pc.value_counts(pc.ascii_trim_whitespace(text.filter(pc.is_null(values)))).to_pylist()
    markers = ", ".join(f"{each['counts']} {each['values']}" for each in missing if each["values"])
    said = f"column {shown(name)}: read as missing values: {markers}" if markers else ""
    return Typed(pa.chunked_array([pa.nulls(len(text))]) if values.null_count == len(text) else values, said)


def _kept(name: str, text: pa.ChunkedArray, sample: pa.ChunkedArray) -> Typed:
    markers = tuple(sorted(pc.unique(text.filter(pc.is_in(text, pa.array(MARKERS)))).to_pylist()))
    if _share_of_numbers(sample) < _MOSTLY / 2 or _share_of_numbers(present := _present(text)) < _MOSTLY:
        return Typed(text, markers=markers)
    row, what, remedy = _why_text(present)
    value, place = shown(repr(text[row].as_py())), f"column {shown(name)}"
    if not remedy:
        return Typed(text, f"{place}: kept as text, as {what} ({value})", markers)
    found, wanted = f"{what} ({value})", "numbers; the column is read as text"
    warning = Violation("table.number_as_text", place, found, wanted, remedy, "warning", (row,))
    return Typed(text, markers=markers, warning=warning)


def _why_text(present: pa.ChunkedArray) -> tuple[int, str, str]:
    """Return why a column of numbers stays text: the first row that tells, what it is, and what to do, if anything."""
    others = pc.invert(_is_number(present))
    few = pc.sum(others).as_py() or 0
    longest = pc.equal(pc.binary_length(present), pc.max(pc.binary_length(present)))
    reasons = (
        (others, f"numbers but for {few} of {len(present)} rows", "correct them, or leave it if the column is text"),
        (
            pc.invert(pc.match_substring_regex(present, _NUMBER)),
            "numbers with decimal commas or separated thousands",
            "write a point before decimals, and nothing between thousands",
        ),
        (pc.match_substring_regex(present, _IDENTIFIER), "its numbers begin with zeros or a plus", ""),
        (longest, "numbers that 64 bits cannot hold", "leave it if they are names, or round them before"),
    )
    firsts = ((pc.index(rows, True).as_py(), what, remedy) for rows, what, remedy in reasons)
    return next(reason for reason in firsts if reason[0] >= 0)


def _is_number(present: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.or_(pc.match_substring_regex(present, _NUMBER), pc.match_substring_regex(present, _SEPARATED))


def _share_of_numbers(present: pa.ChunkedArray) -> float:
    return pc.mean(_is_number(present)).as_py() or 0.0


def _cast(text: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    try:
        return pc.cast(text, kind)
    except pa.ArrowInvalid:
        return None


def _whole_numbers(text: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    values = _cast(text, kind)
    if values is None or not pc.all(pc.equal(pc.cast(values, pa.string()), text), min_count=0).as_py():
        return None  # 007, 0x10
    return values


def _booleans(text: pa.ChunkedArray) -> pa.ChunkedArray | None:
    true, false = (pc.is_in(text, pa.array([word, word.title(), word.upper()])) for word in ("true", "false"))
    if not pc.all(pc.or_(pc.or_(true, false), pc.is_null(text)), min_count=0).as_py():
        return None
    return pc.if_else(pc.is_null(text), pa.scalar(None, pa.bool_()), true)


def _times(text: pa.ChunkedArray) -> pa.ChunkedArray | None:
    if not pc.all(pc.match_substring(text, ":"), min_count=0).as_py():
        return None
    moments = _cast(pc.binary_join_element_wise("1970-01-01", text, " "), pa.timestamp("s"))
    return moments if moments is None else pc.cast(moments, pa.time32("s"))


def _floats(text: pa.ChunkedArray) -> pa.ChunkedArray | None:
    values = _cast(text, pa.float64())
    if values is None or _any(pc.is_nan(values)) or _any(pc.match_substring_regex(text, _IDENTIFIER)):
        return None
    written = text.filter(pc.greater_equal(pc.abs(values), _FIRST_INEXACT))
    if _any(pc.match_substring_regex(written, _WHOLE)):
        return None
    infinite = text.filter(pc.is_inf(values))
    if not pc.all(pc.match_substring_regex(infinite, _INFINITE, ignore_case=True), min_count=0).as_py():
        return None
    return values


def _any(rows: pa.ChunkedArray) -> bool:
    return bool(pc.any(rows, min_count=0).as_py())


Conversion = Callable[[pa.ChunkedArray], "pa.ChunkedArray | None"]
_NUMBERS: tuple[Conversion, ...] = (
    partial(_whole_numbers, kind=pa.int64()),
    partial(_whole_numbers, kind=pa.uint64()),
    _floats,
)
_MOMENTS: tuple[Conversion, ...] = (
    partial(_cast, kind=pa.date32()),
    _times,
    partial(_cast, kind=pa.timestamp("s")),
    partial(_cast, kind=pa.timestamp("ns")),
    partial(_cast, kind=pa.timestamp("s", "UTC")),
    partial(_cast, kind=pa.timestamp("ns", "UTC")),
)
# How a value begins, and what it can be; a column is what every value of it can be.
_BEGINNINGS = {
    r"[0-9]{4}-|[0-9]{2}:": _MOMENTS,
    r"[+-]?(\.?[0-9]|inf)": _NUMBERS,
    r"true$|false$": (_booleans,),
}


def _conversions_of(sample: pa.ChunkedArray) -> tuple[Conversion, ...]:
    present = sample.drop_null()
    if not len(present):
        return (*_NUMBERS, *_MOMENTS, _booleans)
    first = present[0].as_py()
    return next((each for begin, each in _BEGINNINGS.items() if re.match(begin, first, re.IGNORECASE)), ())
