"""A sealed document comes back as it was given, and nothing else passes for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import Damaged
from smalti.store.format.sealed import seal, seal_spelled, unseal

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXT, v, max_size=3),
)


@given(st.dictionaries(TEXT.filter(lambda name: name != "check"), JSON, max_size=4))
def test_a_document_comes_back_in_its_order(document: dict[str, Any]) -> None:
    found = unseal(seal(document), "it")
    assert found == document
    assert list(found) == list(document)


@given(st.dictionaries(TEXT.filter(lambda name: name != "check"), JSON, min_size=1, max_size=4))
def test_the_check_is_the_last_field_of_an_ordinary_json_document(document: dict[str, Any]) -> None:
    data = seal(document)
    *_, last = json.loads(data)
    assert last == "check"
    assert json.loads(data)["check"] == blake3(data[: data.rindex(b',"check":"')] + b"}").hexdigest()
    assert data.endswith(b'"}\n')


@given(st.dictionaries(TEXT, JSON, max_size=3), st.integers(0), st.integers(1, 255))
def test_any_other_byte_is_damage(document: dict[str, Any], at: int, change: int) -> None:
    data = bytearray(seal(document))
    data[at % len(data)] ^= change
    with pytest.raises(Damaged, match="the thing is not what was written"):
        unseal(bytes(data), "the thing")


@given(st.binary(max_size=200))
def test_bytes_that_were_not_sealed_are_damage(data: bytes) -> None:
    with pytest.raises(Damaged):
        unseal(data, "it")


@pytest.mark.parametrize("body", [b"{1}", b"nul}", b"{" * 10_000 + b"}"])
def test_what_is_sealed_but_no_document_is_damage(body: bytes) -> None:
    with pytest.raises(Damaged, match="is no JSON document"):
        unseal(seal_spelled(body), "it")
