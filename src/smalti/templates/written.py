"""How values are written in a text: numbers, dates, truth values and words, each in one short and stable form.

=================  =======================================================================================
whole numbers      in full: ``22``, also where they are held as floats (up to 2**53)
other numbers      seven significant digits, no zeros at the end: ``7.25``, ``0.3``, ``-0.000012``; whole ones in full,
                   so that from ten million on the fraction is rounded away. With an exponent below 0.000001 and, held
                   as floats, from 2**53 on: ``1.5e-9``. Endless ones are ``infinity`` and ``-infinity``
decimals           exactly, no zeros at the end
truth values       ``yes`` and ``no``
days, moments      ``2024-01-05``, ``2024-01-05 10:30``, ``2024-01-05 10:30:05.25``; midnight is the day alone. With a
                   time zone in UTC, which is said: ``2024-01-05 09:30 UTC``
durations          in seconds: ``90 seconds``
text               as it is, but control characters and spaces become one space, and ``, `` becomes ``; `` because
                   that separates clauses. Nothing in it is interpreted. Empty text is a missing value
=================  =======================================================================================

Seven digits are what float32 holds: the same measurement is written alike whether it is held in 32 or 64 bits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smalti.templates.inputs import kind_of

TEXT = pa.large_string()
_DIGITS = 7
_FIRST_INEXACT = 2.0**53  # from here on, not every whole number is a float64
_LEAST = 1e-6
_SAMPLE = 1024


def written(values: pa.Array) -> pa.Array:
    """Return the values as large_string, null where they are missing.

    Args:
        values: of a column that ``table_of`` made, of a type that has a text.
    """
    return _WRITERS[kind_of(values.type)](values)


def for_each_distinct(write: Callable[[pa.Array], pa.Array], values: pa.Array) -> pa.Array:
    """Return ``write(values)``, where each result depends on its own value only; faster where values repeat."""
    sample = values.slice(0, _SAMPLE)
    if len(values) < _SAMPLE or len(sample.unique()) > _SAMPLE // 4:
        return write(values)
    encoded = values.dictionary_encode(null_encoding="encode")
    return write(encoded.dictionary).take(encoded.indices)


def _numbers(values: pa.Array) -> pa.Array:
    if pa.types.is_decimal(values.type):
        return _without_end_zeros(values.cast(pa.string()).cast(TEXT))
    if pa.types.is_integer(values.type):
        return values.cast(TEXT)
    return for_each_distinct(_floats, values)


def _floats(values: pa.Array) -> pa.Array:
    numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
    size = np.abs(numbers)
    usual = (size >= _LEAST) & (size < _FIRST_INEXACT)
    decimals = _DIGITS - 1 - np.floor(np.log10(np.where(usual, size, 1)))
    scale = 10.0 ** np.maximum(decimals, 0)  # exact, as are the whole numbers it divides: the quotient has no noise
    rounded = np.round(np.where(usual, numbers, 0) * scale) / scale
    whole = rounded == np.floor(rounded)
    as_whole = pa.array(np.where(whole, rounded, 0).astype(np.int64), mask=~whole).cast(TEXT)
    texts = pc.coalesce(as_whole, pa.array(rounded).cast(TEXT))
    texts = pc.if_else(values.is_valid(), texts, pa.scalar(None, TEXT))
    unusual = ~usual & (size != 0)
    if not unusual.any():
        return texts
    replacements = [_with_exponent(number) for number in numbers[unusual].tolist()]
    return pc.replace_with_mask(texts, pa.array(unusual), pa.array(replacements, TEXT))


def _with_exponent(value: float) -> str:
    if np.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    digits, _, exponent = f"{value:.{_DIGITS - 1}e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"


def _without_end_zeros(texts: pa.Array) -> pa.Array:
    """Return decimal numerals without the zeros that end a fraction: 7.250 is 7.25, 1200.000 is 1200."""
    shorter = pc.replace_substring_regex(texts, pattern=r"^(-?\d+\.\d*?)0+$", replacement=r"\1")
    return pc.replace_substring_regex(shorter, pattern=r"\.$", replacement="")


def _truth(values: pa.Array) -> pa.Array:
    return pc.if_else(values, pa.scalar("yes", TEXT), pa.scalar("no", TEXT))


def _moments(values: pa.Array) -> pa.Array:
    kind = values.type
    if not pa.types.is_timestamp(kind):
        texts = values.cast(pa.string()).cast(TEXT)
        return _short_time(texts) if pa.types.is_time(kind) else texts
    if kind.unit == "ns":  # pandas gives one row's moments in microseconds
        values = pc.floor_temporal(values, unit="microsecond")
    texts = _short_time(values.cast(pa.timestamp(kind.unit)).cast(pa.string()).cast(TEXT))
    if kind.tz is not None:
        return _followed_by(texts, "UTC")
    return pc.replace_substring_regex(texts, pattern=r" 00:00$", replacement="")


def _short_time(texts: pa.Array) -> pa.Array:
    texts = pc.replace_substring_regex(texts, pattern=r"(\.\d*?)0+$", replacement=r"\1")
    texts = pc.replace_substring_regex(texts, pattern=r"\.$", replacement="")
    return pc.replace_substring_regex(texts, pattern=r"(\d\d:\d\d):00$", replacement=r"\1")


def _durations(values: pa.Array) -> pa.Array:
    per_second = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[values.type.unit]
    seconds = pc.divide(values.cast(pa.int64()).cast(pa.float64(), safe=False), per_second)
    return _followed_by(_floats(seconds), "seconds")


def _followed_by(texts: pa.Array, word: str) -> pa.Array:
    return pc.binary_join_element_wise(texts, pa.scalar(word, TEXT), pa.scalar(" ", TEXT))


def _text(values: pa.Array) -> pa.Array:
    return for_each_distinct(flat, values)


def flat(texts: pa.Array) -> pa.Array:
    """Return texts on one line, with single spaces and without ``, ``; null where nothing is left."""
    untidy = r"[\p{Cc}\p{Z}]{2}|[^\P{Z} ]|\p{Cc}|^ | $"  # most texts are tidy, and to see it is faster than to tidy
    if pc.any(pc.match_substring_regex(texts, pattern=untidy), min_count=0).as_py():
        texts = pc.replace_substring_regex(texts, pattern=r"[\p{Cc}\p{Z}]+", replacement=" ")
        texts = pc.utf8_trim(texts, characters=" ")
    texts = pc.replace_substring(texts, pattern=", ", replacement="; ")
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, TEXT), texts)


def _nothing(values: pa.Array) -> pa.Array:
    return pa.nulls(len(values), TEXT)


_WRITERS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "number": _numbers,
    "text": _text,
    "boolean": _truth,
    "date": _moments,
    "duration": _durations,
    "nothing": _nothing,
}
