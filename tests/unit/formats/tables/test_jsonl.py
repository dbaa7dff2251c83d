"""JSON lines: one object a line, and whole numbers to the last digit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalti.errors import ContractBroken
from smalti.formats import TableContent, read_file


def read(folder: Path, text: str) -> TableContent:
    (folder / "t.jsonl").write_text(text)
    content = read_file(folder / "t.jsonl")
    assert isinstance(content, TableContent)
    return content


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.none() | st.integers(0, 2**64 - 1), min_size=1, max_size=5))
def test_whole_numbers_are_exact_up_to_64_bits(tmp_path: Path, numbers: list[int | None]) -> None:
    content = read(tmp_path, "".join(json.dumps({"a": number, "b": 0.5}) + "\n" for number in numbers))
    assert content.table.column("a").to_pylist() == numbers
    assert content.table.column("b").to_pylist() == [0.5] * len(numbers)


ROUNDED = {
    "beside a fraction": '{"a": 9007199254740993}\n{"a": 0.5}\n',
    "beyond 64 bits": '{"a": 123456789012345678901234}\n',
    "negative and unsigned": '{"a": 18446744073709551615}\n{"a": -1}\n',
    "within a list": '{"a": [0.5, 9007199254740993]}\n',
    "within an object": '{"a": {"b": 9007199254740993}}\n{"a": {"b": 0.5}}\n',
}


@pytest.mark.parametrize("text", ROUNDED.values(), ids=ROUNDED)
def test_a_whole_number_that_would_be_rounded_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ContractBroken, match=r"line 1, column a: found .*, which float64 would round"):
        read(tmp_path, text)


def test_large_numbers_that_are_exact_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, '{"a": 1e300}\n{"a": 9007199254740992}\n').table.to_pydict() == {"a": [1e300, 2.0**53]}


def test_two_objects_on_a_line_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractBroken, match="found 3 objects on 2 lines, wanted one JSON object on each line"):
        read(tmp_path, '{"a": 1}{"a": 2}\n\n{"a": 3}\n')


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    assert read(tmp_path, '\ufeff{"a": 1}\n').table.to_pydict() == {"a": [1]}


def test_lines_of_eight_bytes_are_not_taken_for_safetensors(tmp_path: Path) -> None:
    assert read(tmp_path, '{"a":1}\n{"a":2}\n').table.to_pydict() == {"a": [1, 2]}
