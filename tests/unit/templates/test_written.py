"""Values are written in one short and stable form."""

from __future__ import annotations

import datetime as dt
import math
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smalti.templates.inputs import table_of
from smalti.templates.written import for_each_distinct, written


def as_text(*values: Any, type: pa.DataType | None = None) -> list[str | None]:
    column = table_of({"x": pa.array(values, type)}).column("x")
    texts: list[str | None] = written(column.combine_chunks()).to_pylist()
    return texts


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (22.0, "22"),
        (7.25, "7.25"),
        (71.2833, "71.2833"),
        (0.1 + 0.2, "0.3"),
        (float(np.float32(0.1)), "0.1"),
        (-0.0, "0"),
        (-2.50, "-2.5"),
        (1e6 + 0.5, "1000000"),
        (1234567.0, "1234567"),
        (123456789012.0, "123456789012"),
        (2.0**53 - 1, "9007199254740991"),
        (1e21, "1e21"),
        (-1.5e300, "-1.5e300"),
        (0.000001, "0.000001"),
        (0.0000015, "0.0000015"),
        (1.5e-9, "1.5e-9"),
        (5e-324, "4.940656e-324"),
        (math.inf, "infinity"),
        (-math.inf, "-infinity"),
        (math.nan, None),
        (None, None),
    ],
)
def test_floats_are_short_and_without_noise(number: float | None, text: str | None) -> None:
    assert as_text(number, type=pa.float64()) == [text]


@given(st.floats(allow_nan=False, allow_infinity=False) | st.floats(1e-7, 1e-2) | st.floats(-1e5, 1e9))
@example(9999999.5)
@example(999999.95)
@example(0.000012345678)
def test_a_written_float_reads_back_to_seven_digits_or_to_the_nearest_whole_number(number: float) -> None:
    text = as_text(number)[0]
    assert text is not None
    assert len(text.partition("e")[0].lstrip("-0.")) <= 8 or "." not in text
    assert re.fullmatch(r"-?(0|[1-9]\d*)(\.\d*[1-9])?(e-?\d+)?", text), text
    assert float(text) == pytest.approx(number, rel=5.1e-7) or float(text) == round(number)
    assert ("e" in text) == (number != 0 and not 1e-6 <= abs(number) < 2**53)


@given(st.floats(width=32, allow_nan=False))
def test_a_float_of_32_bits_is_written_as_the_same_number_of_64_bits(number: float) -> None:
    assert as_text(number, type=pa.float32()) == as_text(number, type=pa.float64())


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_are_written_in_full(number: int) -> None:
    assert as_text(number, type=pa.int64()) == [str(number)]


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_a_whole_number_is_written_alike_however_it_is_held(number: int) -> None:
    assert as_text(float(number)) == as_text(number) == [str(number)]


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=4))
def test_decimals_are_written_exactly_and_without_zeros_at_the_end(number: Decimal) -> None:
    text = as_text(number, type=pa.decimal128(20, 4))[0]
    assert text is not None
    assert Decimal(text) == number
    assert "." not in text or text[-1] not in ".0"


@pytest.mark.parametrize(
    ("moment", "type_", "text"),
    [
        (dt.date(2024, 1, 5), pa.date32(), "2024-01-05"),
        (dt.datetime(2024, 1, 5), pa.timestamp("s"), "2024-01-05"),
        (dt.datetime(2024, 1, 5, 10, 30), pa.timestamp("ns"), "2024-01-05 10:30"),
        (dt.datetime(2024, 1, 5, 10, 30, 20), pa.timestamp("ms"), "2024-01-05 10:30:20"),
        (dt.datetime(2024, 1, 5, 10, 30, 5, 250_000), pa.timestamp("us"), "2024-01-05 10:30:05.25"),
        (dt.datetime(1969, 12, 31, 23, 59, 59, 100_000), pa.timestamp("us"), "1969-12-31 23:59:59.1"),
        (dt.time(3, 4), pa.time64("us"), "03:04"),
        (dt.time(10, 0), pa.time32("s"), "10:00"),
        (dt.timedelta(seconds=90), pa.duration("us"), "90 seconds"),
        (dt.timedelta(milliseconds=-1500), pa.duration("ms"), "-1.5 seconds"),
    ],
)
def test_moments_are_written_without_the_parts_that_are_zero(moment: Any, type_: pa.DataType, text: str) -> None:
    assert as_text(moment, type=type_) == [text]


def test_moments_with_a_time_zone_are_written_in_utc_and_say_so() -> None:
    in_berlin = dt.datetime(2024, 7, 5, 10, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert as_text(in_berlin, type=pa.timestamp("s", "Europe/Berlin")) == ["2024-07-05 08:30 UTC"]
    assert as_text(dt.datetime(2024, 7, 5), type=pa.timestamp("s", "UTC")) == ["2024-07-05 00:00 UTC"]


def test_truth_values_are_yes_and_no() -> None:
    assert as_text(True, False, None) == ["yes", "no", None]


@given(st.text())
def test_text_is_on_one_line_with_single_spaces_and_never_separates_clauses(text: str) -> None:
    result = as_text(text)[0]
    if result is None:
        assert not re.sub(r"[\x00-\x1f\x7f-\x9f\s]", "", text)
    else:
        assert ", " not in result
        assert "  " not in result
        assert result == result.strip()
        assert not any(
            ord(letter) < 32 or 127 <= ord(letter) < 160 or letter in "\u2028\u2029\u00a0" for letter in result
        )


@given(st.text(st.characters(whitelist_categories=("L", "N", "P", "S"))))
def test_text_without_spaces_is_kept_to_the_letter(text: str) -> None:
    assert as_text(text) == [text or None]


@pytest.mark.parametrize("text", ["[CLS] {0} %s ${x} {{y}}", "{column.__class__}", "\\1 \\g<0>", "[SEP]", "<mask>"])
def test_text_that_looks_like_syntax_is_not_interpreted(text: str) -> None:
    assert as_text(text) == [text]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1.5, None, -0.0, 0.0] * 1000),
        pa.array(["a", None, "b, c", ""] * 1000, pa.large_string()),
        pa.array([True, None] * 1000),
        pa.array([dt.date(2024, 1, 5), None] * 1000),
        pa.array([dt.timedelta(1), None] * 1000),
        pa.array([Decimal("7.250"), None] * 1000),
        pa.array([3, None] * 1000, pa.uint8()),
        pa.nulls(2000),
    ],
    ids=lambda values: str(values.type),
)
def test_values_that_repeat_are_written_as_each_of_them_is(values: pa.Array) -> None:
    one_by_one = [written(values.slice(at, 1))[0].as_py() for at in range(4)]
    assert for_each_distinct(written, values).to_pylist() == one_by_one * (len(values) // 4)
