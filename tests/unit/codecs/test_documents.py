"""Laws of JSON documents: what is no mapping is one object, exact, in canonical spelling."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import Store, Tree, open_store
from smalti.errors import Refused

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DOCUMENTS = SCALARS | st.lists(
    st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(tmp_path_factory.mktemp("store"))


def without_signed_zeros(value: Any) -> Any:
    if isinstance(value, list):
        return [without_signed_zeros(item) for item in value]
    if isinstance(value, dict):
        return {key: without_signed_zeros(item) for key, item in value.items()}
    return value + 0.0 if isinstance(value, float) else value


@settings(max_examples=60, deadline=None)
@given(document=DOCUMENTS)
def test_a_document_comes_back_as_it_was_and_any_tool_reads_its_file(
    store: Store, file_of: Callable[[Store, Any], Path], document: Any
) -> None:
    ref = store.put(document)
    assert ref.kind == "json"
    for found in (store.get(ref), store.open(ref)):
        assert sorted(repr(found)) == sorted(repr(document))
    read = json.loads(file_of(store, document).read_bytes())
    assert sorted(repr(read)) == sorted(repr(without_signed_zeros(document)))


def test_equal_documents_have_equal_addresses_and_types_count(store: Store) -> None:
    assert store.put([{"a": 1, "b": 2}]).digest == store.put([{"b": 2, "a": 1}]).digest
    documents = [1, 1.0, True, "1", None, [], [1], [[1]], ""]
    assert len({store.put(document).digest for document in documents}) == len(documents)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "the document is nan, which JSON cannot hold"),
        ([1, [math.inf]], r"the document\[1\]\[0\] is inf"),
        ([b"x"], r"the document\[0\] is a bytes"),
        ([np.zeros(2)], r"the document\[0\] is a ndarray"),
        ({"a": math.nan}, "^a: the document is nan, which JSON cannot hold"),
        ({"fold": {"metrics": {"loss": math.nan}, "n": np.ones(2)}}, "^fold/metrics/loss: the document is nan"),
        ({"log": {"losses": [0.5, math.inf], "n": np.ones(2)}}, r"^log/losses: the document\[1\] is inf"),
        ({"images": [np.zeros(2)]}, r"^images: the document\[0\] is a ndarray"),
        ({"run": {"tags": {1, 2}}}, "^run/tags: a set has no codec"),
        ({"a": {"b": np.zeros(1, np.longdouble)}}, "^a/b: an array of dtype float128 cannot be stored"),
        (Tree({"run": Tree({}, {"loss": [math.nan]})}), r"^the attributes of run\.loss\[0\] is nan"),
        ([{1: 2}], r"the document\[0\] has the key 1"),
        ("\ud800", "half a surrogate pair"),
        ({1, 2}, "a set has no codec"),
    ],
)
def test_what_json_does_not_hold_is_refused_with_its_place(store: Store, value: Any, message: str) -> None:
    with pytest.raises(Refused, match=message):
        store.put(value)


def test_a_document_can_be_a_part_of_a_tree(store: Store) -> None:
    child = store.put([1, 2])
    assert store.get(store.put({"list": child})) == {"list": [1, 2]}
