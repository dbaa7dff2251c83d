"""Laws of canonical JSON: equal values, equal bytes; nothing that JSON cannot hold exactly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti import canonical
from smalti.errors import Refused

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(TEXT, v, max_size=4))


@given(VALUES)
def test_what_is_written_reads_back_equal(value: object) -> None:
    assert canonical.loads(canonical.dumps(value)) == value


@given(st.dictionaries(TEXT, SCALARS, max_size=6))
def test_the_order_of_keys_does_not_matter(mapping: dict[str, object]) -> None:
    assert canonical.dumps(dict(reversed(mapping.items()))) == canonical.dumps(mapping)


@given(VALUES)
def test_any_json_reader_reads_it(value: object) -> None:
    assert json.loads(canonical.dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, float("inf")]}, r"value\.a\[1\] is inf"),
        ({1: 2}, "write it as '1'"),
        ({"a": {2, 3}}, r"value\.a is a set"),
        ("\ud800", "half a surrogate pair"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(value: object, message: str) -> None:
    with pytest.raises(Refused, match=message):
        canonical.dumps(value)


@pytest.mark.parametrize("text", [b'{"a":1,"a":2}', b"NaN", b"[Infinity]", b"{", b"", b"[" * 100_000, b"\xff"])
def test_loose_json_is_refused(text: bytes) -> None:
    with pytest.raises(Refused, match="not strict JSON"):
        canonical.loads(text)


def test_what_holds_itself_or_is_too_deep_or_too_long_is_refused() -> None:
    itself: list[object] = []
    itself.append(itself)
    deep: object = 1
    for _ in range(5000):
        deep = [deep]
    for value in (itself, deep):
        with pytest.raises(Refused, match="nested too deep, or holds itself"):
            canonical.dumps(value)
    with pytest.raises(Refused, match="cannot be written as JSON"):
        canonical.dumps(10**5000)
