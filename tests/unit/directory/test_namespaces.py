"""A namespace is a dictionary whose items are attributes, at every depth."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.directory import Namespace, merge, namespacify
from smalti.directory.namespaces import compare

KEYS = st.text("abc", min_size=1, max_size=2)
LEAVES = st.integers(0, 2) | st.lists(st.integers(0, 2), max_size=2)
NESTED = st.dictionaries(
    KEYS, st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=2), max_leaves=3), max_size=3
)


@given(NESTED)
def test_it_equals_what_it_was_made_from_and_every_copy(plain: dict[str, Any]) -> None:
    made = namespacify(plain)
    assert made == plain
    assert made.to_dict() == plain
    assert type(made.to_dict()) is dict
    for again in (made.copy(), made.deepcopy(), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert (type(again), again) == (Namespace, made)


@given(NESTED, NESTED)
def test_there_is_no_difference_exactly_where_two_are_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    lines = namespacify(one).diff(other)
    assert (lines == {"self": [], "other": []}) == (one == other) == namespacify(one).equal_values(other)
    back = namespacify(other).diff(one)
    assert sorted(back.self) == sorted(lines.other)
    assert sorted(back.other) == sorted(lines.self)


@given(NESTED, NESTED)
def test_what_is_merged_holds_both(one: dict[str, Any], other: dict[str, Any]) -> None:
    both = {**one, **{key: value for key, value in other.items() if key not in one}}
    merged = merge(one, both)
    assert merged == both
    assert namespacify(merged).is_superset(one)
    assert namespacify(one).is_subset(merged)


def test_items_are_attributes() -> None:
    space = Namespace(a=1, b=Namespace(c=2))
    space.b.d = 3
    del space.a
    assert space == {"b": {"c": 2, "d": 3}}
    assert "b" in dir(space)
    assert vars(space) == space
    with pytest.raises(AttributeError, match="there is no 'x' among b"):
        _ = space.x
    with pytest.raises(AttributeError, match="no 'x' to delete"):
        del space.x


def test_plain_objects_arrays_paths_and_tuples_become_plain_values() -> None:
    made = namespacify({"o": SimpleNamespace(a=(1, 2)), "n": np.eye(2), "s": np.int64(3), "p": Path("x"), "t": int})
    assert made == {"o": {"a": [1, 2]}, "n": [[1, 0], [0, 1]], "s": 3, "p": "x", "t": int}
    assert type(made.s) is int


def test_what_is_no_plain_value_is_a_type_error() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for value, message in [(object(), "of type object"), (print, "builtin_function"), (endless, "holds itself")]:
        with pytest.raises(TypeError, match=message):
            namespacify({"x": value})
    assert Namespace(x=object()) != Namespace(x=1)


def test_a_difference_is_told_by_its_path() -> None:
    one, other = Namespace(a=1, b=Namespace(c=1, d=1)), Namespace(b=Namespace(c=2), e=[1])
    assert one.diff(other, "one", "two") == {
        "one": ["+a: 1", "≠b.c: 1", "+b.d: 1", "-e"],
        "two": ["-a", "≠b.c: 2", "-b.d", "+e: [1]"],
    }
    assert one.diff(None) == {"self": one, "other": None}
    assert Namespace(a=Namespace(b=1)).diff(Namespace(a=1)).other == ["≠a: 1"]


def test_not_a_number_equals_itself_so_that_it_is_found_again() -> None:
    assert Namespace(a=float("nan"), b=[float("nan")]) == Namespace(a=float("nan"), b=[float("nan")])
    assert Namespace(a=float("nan")) != Namespace(a=1.0)


def test_a_comparison_says_so_of_each_key() -> None:
    result = compare(Namespace(a=1, b=Namespace(c=2, d=1)), Namespace(a=1, b=Namespace(c=3, d=1), e=1))
    assert result == {"a": True, "b": {"c": False, "d": True}, "e": False}


def test_depth_walk_without_and_sets_of_keys() -> None:
    space = Namespace(a=1, b=Namespace(c=2))
    assert (space.depth(), Namespace().depth()) == (2, 1)
    assert list(space.walk()) == [("a", 1), ("b", {"c": 2}), ("c", 2)]
    assert space.without("a") == {"b": {"c": 2}}
    assert space.is_disjoint({"x": 1})
    assert not space.is_disjoint({"c": 1})
    assert not space.is_superset({"b": {"c": 3}})
    assert not space.is_subset({"a": 1})


def test_it_becomes_a_table_of_paths() -> None:
    frame = Namespace(a=1, b=Namespace(c="x")).to_df("run")
    assert frame["run"].to_dict() == {"a": 1, "b.c": "x"}
    assert Namespace(a=Namespace(b=1)).to_df(separator="/").index.tolist() == ["a/b"]


def test_two_values_for_one_key_are_not_merged() -> None:
    assert merge({"a": 1, "b": {"x": 1}}, {"a": 1.0, "x": 2}) == {"a": 1, "b": {"x": 1}, "x": 2}
    with pytest.raises(ValueError, match="'a' is 1 and 2"):
        merge({"a": 1}, {"a": 2})


def test_a_long_one_is_folded() -> None:
    assert repr(Namespace(a=[1, Namespace(b="x")])) == "Namespace(a=[1, Namespace(b='x')])"
    assert repr(Namespace(long="x" * 80, b=1)) == f"Namespace(\n  long = '{'x' * 80}',\n  b = 1\n)"
    assert "'b': 1" in Namespace(a=Namespace(b=1)).pformat()
