"""Laws of stored data: equal data once, every name and its metadata kept, different data never taken for equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalti import Tree
from smalti.errors import Ambiguous, NotFound, Refused
from smalti.runs import DataReference, FlexibleDataStore, address_of

FRAME = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None]})


def test_the_same_data_under_two_names_is_stored_once_and_both_names_are_kept(store: FlexibleDataStore) -> None:
    first = store.store_data(FRAME, "training_data", {"source": "crm"})
    size = store.store.stats().nbytes_kept
    second = store.store_data(FRAME.copy(), "experiment_42_data")
    assert first.hash == second.hash
    assert len(first.hash) == 64
    assert (first.name, second.name) == ("training_data", "experiment_42_data")
    assert store.store.stats().nbytes_kept == size
    for name in ("training_data", "experiment_42_data"):
        pd.testing.assert_frame_equal(store.retrieve_data(name), FRAME)


def test_metadata_is_kept_for_each_name_of_each_data(store: FlexibleDataStore) -> None:
    store.store_data(FRAME, "a", {"source": "crm", "rows": 3})
    store.store_data(FRAME, "b", {"source": "copy"})
    store.store_data(FRAME, "c")
    said = {name: store.get_reference(name).metadata for name in "abc"}
    assert said == {"a": {"source": "crm", "rows": 3}, "b": {"source": "copy"}, "c": {}}
    store.store_data(b"other", "a")
    assert store.get_reference("a").metadata == {}
    store.store_data(FRAME, "a")
    assert store.get_reference("a").metadata == {"source": "crm", "rows": 3}
    with pytest.raises(Refused, match="the metadata of 'd'"):
        store.store_data(FRAME, "d", {"bad": object()})
    with pytest.raises(NotFound):
        store.get_reference("d")


@pytest.mark.parametrize(
    ("data", "described"),
    [
        (FRAME, {"format": "arrow", "shape": (3, 2), "columns": ("a", "b"), "dtype": None}),
        (np.zeros((4, 2), np.float32), {"format": "npy", "shape": (4, 2), "columns": None, "dtype": "<f4"}),
        ({"x": np.arange(3), "lr": 0.5}, {"format": "tree", "shape": None, "columns": None, "dtype": None}),
        ({"lr": 0.5}, {"format": "tree"}),
        ([1, "two"], {"format": "json"}),
        (np.zeros(4096), {"format": "npy", "shape": (4096,)}),
        (b"raw", {"format": "bin", "size_bytes": 3}),
    ],
)
def test_a_reference_says_what_the_data_is_and_where(
    store: FlexibleDataStore, data: Any, described: dict[str, Any]
) -> None:
    reference = store.store_data(data, "data")
    assert {name: getattr(reference, name) for name in described} == described
    path = Path(store.store.place, reference.storage_path)
    assert path.is_file() if store.store.file(reference.digest) else path.is_dir()
    assert reference.created_at.startswith("20")
    assert DataReference.from_dict(reference.to_dict()) == reference
    assert store.get_reference(reference.hash[:12]).hash == reference.hash
    assert store.store.resolve(reference.digest) == address_of(data)


def test_different_data_has_different_hashes_where_the_originals_collided(store: FlexibleDataStore) -> None:
    different = [
        np.zeros((2, 2), np.int32),
        np.zeros((2, 2), np.float32),
        np.zeros(4, np.float32),
        FRAME,
        FRAME.rename(columns={"a": "c"}),
        FRAME[["a"]],
    ]
    hashes = {store.store_data(data, f"data_{number}").hash for number, data in enumerate(different)}
    assert len(hashes) == len(different)
    back = store.retrieve_data("data_1")
    assert (back.dtype, back.shape) == (np.float32, (2, 2))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(
    value=st.recursive(
        st.binary(max_size=9) | st.lists(st.integers(-9, 9), max_size=3).map(np.array) | st.integers(),
        lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=4,
    )
)
def test_the_address_of_a_value_is_the_one_it_is_stored_under(store: FlexibleDataStore, value: Any) -> None:
    assert address_of(value) == store.store.put(value).digest
    ref = store.store.put(value)
    assert address_of(Tree({"child": ref}, {"a": 1})) == store.store.put(Tree({"child": ref}, {"a": 1})).digest


def test_what_is_not_there_or_not_clear_is_said(store: FlexibleDataStore) -> None:
    store.store_data(b"x", "x")
    for gone in ("nothing", "0" * 64, "0" * 12):
        with pytest.raises(NotFound):
            store.retrieve_data(gone)
    for digits in ("ab" * 32, "ab" * 31 + "cd"):
        Path(store.store.place, "data", "ab", digits).mkdir(parents=True)
    with pytest.raises(Ambiguous, match="fits 2 objects"):
        store.retrieve_data("abababab")
    with pytest.raises(Refused, match="no codec"):
        store.store_data(object(), "y")
