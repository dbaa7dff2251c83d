"""Columns of text become the type that all their values have, and lose nothing by it."""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.formats.tables.text_columns import MARKERS, Typed, typed

UTC, TEN = datetime.UTC, datetime.datetime(2024, 1, 2, 10)


def column(*texts: str) -> Typed:
    return typed("c", pa.chunked_array([pa.array(texts[:1], pa.string()), pa.array(texts[1:], pa.string())]))


TYPES: dict[str, tuple[tuple[str, ...], str, list[Any]]] = {
    "whole numbers": (("1", "-2"), "int64", [1, -2]),
    "whole numbers with gaps": (("9007199254740993", ""), "int64", [9007199254740993, None]),
    "spaces around numbers": ((" 1", "2 "), "int64", [1, 2]),
    "unsigned": (("18446744073709551615", "1"), "uint64", [2**64 - 1, 1]),
    "fractions": (("1", "0.5", ".5", "-1e-3"), "double", [1, 0.5, 0.5, -0.001]),
    "infinite": (("inf", "-Infinity"), "double", [float("inf"), -float("inf")]),
    "booleans": (("true", "FALSE", ""), "bool", [True, False, None]),
    "days": (("2024-02-29", ""), "date32[day]", [datetime.date(2024, 2, 29), None]),
    "times": (("10:30", "23:59:59"), "time32[s]", [datetime.time(10, 30), datetime.time(23, 59, 59)]),
    "moments": (("2024-01-02 10:00", "2024-01-03"), "timestamp[s]", [TEN, datetime.datetime(2024, 1, 3)]),
    "moments elsewhere": (("2024-01-02T12:00:00+02:00",), "timestamp[s, tz=UTC]", [TEN.replace(tzinfo=UTC)]),
    "nothing": (("", ""), "null", [None, None]),
}  # fmt: skip


@pytest.mark.parametrize(("texts", "kind", "values"), TYPES.values(), ids=TYPES)
def test_values_of_one_type_become_it(texts: tuple[str, ...], kind: str, values: list[Any]) -> None:
    read = column(*texts)
    assert str(read.values.type) == kind
    assert read.values.to_pylist() == values
    assert (read.conversion, read.warning) == ("", None)


TEXT: dict[str, tuple[tuple[str, ...], str]] = {
    "zeros in front": (("007", "12"), "kept as text, as its numbers begin with zeros or a plus ('007')"),
    "zeros before a fraction": (("00.5", "1.5"), "zeros or a plus ('00.5')"),
    "telephone numbers": (("+49170", "+1"), "zeros or a plus ('+49170')"),
    "beyond 64 bits": (("123456789012345678901", "1"), "64 bits cannot hold ('123456789012345678901')"),
    "negative and unsigned": (("-1", "18446744073709551615"), "64 bits cannot hold ('18446744073709551615')"),
    "wide beside a fraction": (("9007199254740993", "1.5"), "64 bits cannot hold ('9007199254740993')"),
    "too large for a float": (("1e400", "1"), "64 bits cannot hold ('1e400')"),
    "decimal commas": (("1,5", "2"), "numbers with decimal commas or separated thousands ('1,5')"),
    "thousands": (("1,234,567.5", "2"), "numbers with decimal commas or separated thousands ('1,234,567.5')"),
    "thousands with points": (("1.234,5", "2"), "numbers with decimal commas or separated thousands ('1.234,5')"),
    "thousands with spaces": (("1 234", "2"), "numbers with decimal commas or separated thousands ('1 234')"),
    "one that is no number": (("1",) * 10 + ("1O",), "numbers but for 1 of 11 rows ('1O')"),
    "hexadecimal": (("0x10", "a"), ""),
    "booleans and numbers": (("true", "1"), ""),
    "addresses": (("192.168.1.1", "10.0.0.1"), ""),
    "days in another order": (("2/1/2024", "31/12/2024"), ""),
}


@pytest.mark.parametrize(("texts", "says"), TEXT.values(), ids=TEXT)
def test_what_would_change_by_a_type_stays_text_and_says_why(texts: tuple[str, ...], says: str) -> None:
    read = column(*texts)
    assert read.values.to_pylist() == list(texts)
    said = read.conversion or str(read.warning or "")
    assert says in said if says else said == ""


@pytest.mark.parametrize("marker", MARKERS)
def test_a_marker_is_a_missing_number_but_a_text_among_texts(marker: str) -> None:
    numbers, texts = column("1.5", marker, ""), column("x", marker, "")
    assert numbers.values.to_pylist() == [1.5, None, None]
    assert numbers.conversion == f"column c: read as missing values: 1 {marker}"
    assert texts.values.to_pylist() == ["x", marker, ""]
    assert texts.markers == (marker,)


def test_the_first_thousand_values_do_not_decide() -> None:
    for last, kind in (("0.5", "double"), ("x", "string"), (str(2**63), "uint64"), (" 7", "int64"), ("", "int64")):
        read = column(*["1"] * 2500, last, *["1"] * 2500)
        assert str(read.values.type) == kind
        assert read.values[2500].as_py() == (None if not last else type(read.values[2500].as_py())(last.strip()))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-(2**64), 2**65) | st.integers(-99, 99), min_size=1, max_size=5))
def test_whole_numbers_are_never_rounded(numbers: list[int]) -> None:
    values = column(*map(str, numbers)).values
    assert [int(value) for value in values.to_pylist()] == numbers
    assert not pa.types.is_floating(values.type)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.sampled_from("0123456789+-.,eE :T_xNAn"), max_size=6), min_size=1, max_size=4))
def test_whatever_is_written_is_kept_or_means_the_same(texts: list[str]) -> None:
    read = column(*texts)
    for text, value in zip(texts, read.values.to_pylist(), strict=True):
        if value is None:
            assert text.strip(" ") in ("", *MARKERS)
        elif isinstance(value, float):
            assert float(text) == value
        elif isinstance(value, int):
            assert str(value) == text.strip(" ")
        elif isinstance(value, str):
            assert value == text
