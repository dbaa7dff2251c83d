"""Laws of the key of a call: equal arguments share it, and no two that a function could tell apart do."""

from __future__ import annotations

import math
from collections import OrderedDict, namedtuple
from enum import Enum, IntEnum
from itertools import combinations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti import BFloat16, LazyArray, Ref, Store, Weights, open_store
from smalti.errors import Refused
from smalti.memoize.keys import form_of, key_of

Pair = namedtuple("Pair", "a b")
Other = namedtuple("Other", "a b")


class Level(IntEnum):
    LOW = 1


class Colour(Enum):
    RED = 1


class Label(str):
    pass


def function(value, limit=float("nan"), **more):
    return value


def key(*args, **kwargs) -> str:
    return key_of(function, 1, "data", *args, **kwargs)


def frame(**changes) -> pd.DataFrame:
    return pd.DataFrame({"a": [1, 2]} | changes)


ALL_DIFFERENT = [
    None, False, True, 0, 1, -1, 2**70, 0.0, -0.0, 1.0, float("nan"), float("inf"), 0j, complex(0.0, -0.0), "", "1",
    "a", b"", b"1", bytearray(b"1"), [], (), {}, [1], (1,), [1.0], [[1]], [(1,)], ([1],), [True], [None],
    {"b": 1, "a": 2}, {"a": 2, "b": 1}, {"a": 2.0, "b": 1}, {1: "a"}, {1.0: "a"}, {True: "a"}, OrderedDict(a=2, b=1),
    [("a", 2), ("b", 1)], Pair(1, 2), Other(1, 2), (1, 2), [1, 2], [2, 1], Level.LOW, Colour.RED,
    Ref("sha256:" + "0" * 64, "json", 1),
    np.float64(0.0), np.float64(-0.0), np.float64(1), np.float32(1), np.int64(1), np.int32(1), np.bool_(True),
    np.str_("1"),
    np.array(1.0), np.array([1.0]), np.array([[1.0]]), np.array([1]), np.array([-0.0]), np.array([0.0]),
    np.array([float("nan")]),
    np.array([True]), np.array(["1"]), np.array([b"1"]), np.array(["2024"], "M8[D]"), np.array(["2024-01-01"], "M8[s]"),
    np.zeros((0, 3)), np.zeros((3, 0)), BFloat16(np.array([1], np.uint16)), np.array([1], np.uint16),
    Weights({"a": np.ones(1), "b": np.ones(1)}), Weights({"b": np.ones(1), "a": np.ones(1)}),
    {"a": np.ones(1), "b": np.ones(1)},
    frame(), frame(a=[1.0, 2.0]), frame(a=["1", "2"]), frame(b=[1, 2]), frame().rename(columns={"a": 0}),
    frame().set_axis([1, 2]), frame().set_axis(["x", "y"]), frame().rename_axis("row"), pa.table({"a": [1, 2]}),
    pa.table({"a": pa.array([1, 2], pa.int32())}), pd.Series([1, 2]), pd.Series([1, 2], name="a"),
    pd.Series([1.0, 2.0]),
    pd.Series([1, 2], [1, 2]), pd.Series([1, 2], dtype="Int64"), pd.Index([1, 2]), pd.RangeIndex(1, 3),
    pd.Index([1, 2], name="a"),
]  # fmt: skip


def test_whatever_a_function_can_tell_apart_has_a_key_of_its_own() -> None:
    keys = [key(value) for value in ALL_DIFFERENT]
    same = [(ALL_DIFFERENT[i], ALL_DIFFERENT[j]) for i, j in combinations(range(len(keys)), 2) if keys[i] == keys[j]]
    assert not same


def test_the_same_value_has_the_same_key_again() -> None:
    assert [key(value) for value in ALL_DIFFERENT] == [key(value) for value in ALL_DIFFERENT]


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, -0.0, 1.0, math.nan])
    | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2)
    | st.lists(inner, max_size=2).map(tuple)
    | st.dictionaries(st.text("ab", max_size=1), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@given(plain, plain)
def test_two_plain_values_share_a_form_if_python_writes_them_alike(one, other) -> None:
    assert (form_of(one) == form_of(other)) == (repr(one) == repr(other)), (one, other)


def test_what_a_store_normalises_is_no_part_of_a_key() -> None:
    array = np.arange(6, dtype="<f8").reshape(2, 3)
    assert key(array) == key(np.asfortranarray(array)) == key(array.astype(">f8")) == key(array[::-1][::-1])


def test_a_default_of_nan_is_the_nan_that_is_given() -> None:
    assert key(1) == key(1, float("nan")) == key(value=1, limit=float("nan"))
    assert key(1) != key(1, None)


def test_further_arguments_count_by_name_and_value() -> None:
    assert len({key(1), key(1, a=1), key(1, b=1), key(1, a=1.0), key(1, a=1, b=1)}) == 5


def test_a_lazy_array_counts_by_its_address_and_is_not_read(tmp_path) -> None:
    store: Store = open_store(tmp_path)
    lazy, other = (store.open(store.put(np.full(5000, number))) for number in (1, 2))
    assert isinstance(lazy, LazyArray)
    for file in tmp_path.rglob("data.npy"):
        file.unlink()
    assert key(lazy) == key(lazy) != key(other)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Label("a"), r"value is a .*Label, which may differ from an equal str; give a plain one"),
        ([{"deep": [Label("a")]}], r"value\[0\]\['deep'\]\[0\] is a .*Label"),
        ({"a": {1, 2}}, r"value\['a'\]: a set has no codec; store a list"),
        (np.ma.array([1], mask=[True]), "a MaskedArray would come back as a plain array"),
        (len, "has no codec"),
    ],
)
def test_what_may_hide_a_difference_is_refused_with_its_place(value, said: str) -> None:
    with pytest.raises(Refused, match=rf"the argument value of function tells no result from another: .*{said}"):
        key(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    knot: list = []
    knot.append(knot)
    with pytest.raises(Refused, match=r"the argument value of function .* holds itself"):
        key(knot)
