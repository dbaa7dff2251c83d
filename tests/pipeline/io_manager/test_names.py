"""Every asset, partition and op output has a name of its own in the store, the plain one where its key is plain."""

from typing import Any

import dagster as dg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.names import called, is_of, key_and_dimensions, op_output_name, shown_partitions
from smalti import open_store
from smalti.store.names import check_name

AWKWARD = st.sampled_from(["a", "b", "a/b", "a..b", "e..a", "k..b", "h..a", "..", ".", "-1", "a.", "ä", "a" * 125, "A"])
TEXTS = st.one_of(AWKWARD, st.text(min_size=1, max_size=12), st.text(alphabet="ak./-_", min_size=1, max_size=140))
MULTI = st.tuples(TEXTS, TEXTS).map(lambda two: dg.MultiPartitionKey({"one": two[0], "two": two[1]}))
KEYS = st.lists(TEXTS, min_size=1, max_size=3).map(dg.AssetKey)
PLACES = st.tuples(KEYS, st.one_of(st.none(), TEXTS, MULTI))


def identity(place: tuple[dg.AssetKey, Any]) -> Any:
    key, partition = place
    if isinstance(partition, dg.MultiPartitionKey):
        return tuple(key.path), tuple(sorted(partition.keys_by_dimension.items()))
    return tuple(key.path), partition


@given(PLACES, PLACES)
def test_different_things_have_different_names_that_a_store_takes(one: Any, other: Any) -> None:
    names = [check_name(called(*place)) for place in (one, other)]
    assert (names[0] == names[1]) == (identity(one) == identity(other))


@given(PLACES)
def test_a_name_says_what_it_is_of_unless_a_part_is_too_long(place: Any) -> None:
    key, partition = place
    name = called(key, partition)
    dimensions = () if partition is None else (partition,)
    if isinstance(partition, dg.MultiPartitionKey):
        dimensions = tuple(of for _, of in sorted(partition.keys_by_dimension.items()))
    if not any(part.startswith(("h..", "kh..")) for part in name.split("/")):
        assert key_and_dimensions(name) == (tuple(key.path), dimensions)
    assert is_of(name, key)


@given(st.lists(TEXTS, min_size=2, max_size=2, unique=True))
def test_a_name_is_of_no_other_asset(parts: list[str]) -> None:
    asset = dg.AssetKey(parts[0])
    assert not is_of(called(dg.AssetKey(parts), None), asset)
    assert not is_of(called(dg.AssetKey(parts[1]), None), asset)


@given(
    st.tuples(TEXTS, TEXTS, st.one_of(st.none(), TEXTS)), st.tuples(TEXTS, TEXTS, st.one_of(st.none(), TEXTS)), PLACES
)
def test_outputs_of_ops_have_names_that_no_other_has(one: Any, other: Any, place: Any) -> None:
    names = [check_name(op_output_name("0b1c", *output)) for output in (one, other)]
    assert (names[0] == names[1]) == (one == other)
    assert called(*place) not in names


@pytest.mark.parametrize(
    ("asset", "partition", "name"),
    [
        (["scan"], "run7", "scan/run7"),
        (["scan"], None, "scan"),
        (["scan"], "siemens-star_2.h5", "scan/siemens-star_2.h5"),
        (["scan"], "x" * 128, f"scan/{'x' * 128}"),
        (["bert_trial"], dg.MultiPartitionKey({"trial": "lr-0.1", "dataset": "titanic"}), "bert_trial/titanic/lr-0.1"),
        (["a", "b"], None, "a/k..b"),
        (["sales", "orders"], "2024-01-01", "sales/k..orders/2024-01-01"),
        (["hour"], "2024-01-01-05:00", "hour/e..2024-01-01-05.3a00"),
    ],
)
def test_a_plain_key_is_its_name(asset: list[str], partition: str | None, name: str) -> None:
    assert called(dg.AssetKey(asset), partition) == name


def test_the_partitions_of_an_asset_are_told_from_its_names() -> None:
    asset, multi = dg.AssetKey("many"), dg.MultiPartitionKey({"color": "red", "day": "1"})
    keys = ["a", "a b", multi]
    names = [called(asset, key) for key in keys] + ["many", "many/k..deeper", "other/a", "manyfold/a"]
    assert shown_partitions(names, asset) == ["a", "a b", "red|1"]


def test_keys_that_differ_in_case_only_are_two_or_refused(tmp_path: Any) -> None:
    store = open_store(tmp_path / "store")
    store.put(np.arange(2), called(dg.AssetKey("scan"), "Run"))
    store.put(np.arange(3), called(dg.AssetKey("scan"), "run"))  # a file system that ignores case refuses here
    assert store.get("scan/Run").size == 2
