"""Laws of comparing JSON documents: every place that differs is named with its path, nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.compare.display.sentences import value_change
from smalti.compare.documents import compare_documents
from smalti.runs.addresses import address_of

numbers = st.integers(-5, 5) | st.floats(-2, 2) | st.sampled_from([1.0, -0.0, 2**53 + 1, 2**64, 2**64 + 1])
scalars = st.none() | st.booleans() | numbers | st.text(max_size=2)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=2).map(tuple)
        | st.dictionaries(st.text(max_size=2), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(documents, documents)
@settings(deadline=None)
def test_documents_differ_where_a_store_tells_them_apart(one: Any, other: Any) -> None:
    equal = address_of(one) == address_of(other)
    assert bool(compare_documents(one, other).changes) != equal


@given(documents, documents)
@settings(deadline=None)
def test_what_is_told_of_a_change_names_what_differs(one: Any, other: Any) -> None:
    for said in told(one, other):
        before, arrow, after = said.partition(": ")[2].partition(" -> ")
        assert not arrow or before != after


def told(one: Any, other: Any) -> list[str]:
    return [value_change(change) for change in compare_documents(one, other).changes]


def test_every_place_is_named_with_its_path_and_what_happened() -> None:
    before = {"a": {"b": [1, 2, 3]}, "gone": None, "x y": 1, "same": [1], "type": [1]}
    after = {"a": {"b": [1, 3, {"c": 1}]}, "came": False, "x y": 2, "same": [1], "type": [1.0]}
    assert told(before, after) == [
        "a.b[1]: 2 (removed)",
        'a.b[2]: {"c": 1} (added)',
        "came: false (added)",
        "gone: null (removed)",
        "type[0]: 1 -> 1.0",
        '["x y"]: 1 -> 2',
    ]


def test_an_item_in_front_moves_no_other() -> None:
    layers = [{"name": f"layer{i}", "size": i} for i in range(50)]
    changed = [{"name": "first"}, *layers[:20], {**layers[20], "size": -1}, *layers[21:]]
    assert told(layers, changed) == ['[0]: {"name": "first"} (added)', "[21].size: 20 -> -1"]


@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        ("photon_energy_eV", 8800.0, 9000.0, "8.8 keV -> 9 keV (+2.27 %)"),
        ("object_pixel_size_m", 1.1e-8, 1.2e-8, "11 nm -> 12 nm (+9.09 %)"),
        ("exposure_time_s", 0.1, 0.2, "100 ms -> 200 ms (+100 %)"),
        ("epochs", 10, 20, "10 -> 20"),
        ("lr", 1e-4, 1.0000000001e-4, "0.0001 -> 0.00010000000001 (+1e-08 %)"),
        ("on", True, 1, "true -> 1"),
        ("shape", (2, 3), [2, 3], "(2, 3) -> [2, 3]"),
        ("exposure_time_s", 1, 1.0, "1 -> 1.0"),
        ("exposure_time_s", 0.0, -0.0, "0.0 -> -0.0"),
        ("detector_distance_m", None, 2.0, "null -> 2 m"),
    ],
)
def test_numbers_are_told_in_their_unit(name: str, before: Any, after: Any, said: str) -> None:
    assert told({name: before}, {name: after}) == [f"{name}: {said}"]


def test_a_stated_value_keeps_the_unit_of_its_field() -> None:
    before = {"detector_distance_m": {"value": 2.0, "assumed": False}}
    after = {"detector_distance_m": {"value": 2.1, "assumed": True}}
    assert told(before, after) == [
        "detector_distance_m.assumed: false -> true",
        "detector_distance_m.value: 2 m -> 2.1 m (+5 %)",
    ]
    assert told({}, after) == ['detector_distance_m: 2.1 m {"assumed": true} (added)']


def test_very_long_and_very_many_are_cut_and_counted() -> None:
    assert len(told({"x": "a" * 10**6}, {"x": "b" * 10**6})[0]) < 400
    found = compare_documents({}, {str(i): i for i in range(5000)})
    assert (len(found.changes), found.more) == (1000, 4000)
