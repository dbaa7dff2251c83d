"""What contracts can ask for: ranges, order, uniqueness, metadata, dimensions; as an error or as a warning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from smalti.contracts import ArraySpec, Contract, FieldSpec, Monotonic, Rule, Unique, Violation, Within
from smalti.contracts.bounds import Bounded
from smalti.contracts.violation import Severity


def column(**asked: Any) -> ArraySpec:
    said = {"key": "a", "meaning": "Values.", "shapes": (("N",),), "dtype": "float64", "unit": "1"}
    return ArraySpec.model_validate({**said, **asked})


def contract(*arrays: ArraySpec, fields: tuple[FieldSpec, ...] = (), rules: tuple[Rule, ...] = ()) -> Contract:
    return Contract(name="mine", version=1, summary="Mine.", arrays=arrays, fields=fields, rules=rules)


RANGES: list[tuple[dict[str, float], float, str | None, str]] = [
    ({"minimum": 0}, 0, None, ""),
    ({"minimum": 0}, -1, "array.below_minimum", "1 of 3 values (first at [1]) below 0, the least being -1"),
    ({"exclusive_minimum": 0}, 1e-300, None, ""),
    ({"exclusive_minimum": 0}, 0, "array.below_minimum", "at or below 0, the least being 0, wanted values above 0"),
    ({"maximum": 9}, 9, None, ""),
    ({"maximum": 9}, 10, "array.above_maximum", "above 9, the greatest being 10, wanted values of at most 9"),
    ({"exclusive_maximum": 9}, 9, "array.above_maximum", "at or above 9, the greatest being 9, wanted values below 9"),
]


@pytest.mark.parametrize(("asked", "value", "code", "says"), RANGES)
def test_a_range_ends_where_it_says(asked: dict[str, float], value: float, code: str | None, says: str) -> None:
    found = contract(column(**asked)).check({"a": np.array([5, value, 5.0])})
    assert [violation.code for violation in found] == ([code] if code else [])
    assert says in "".join(map(str, found))
    assert [violation.index for violation in found] == ([(1,)] if code else [])


def test_a_side_has_one_end() -> None:
    with pytest.raises(ValidationError, match="one minimum and one maximum"):
        Bounded(minimum=0, exclusive_minimum=0)


def test_the_place_of_a_violation_is_a_key_and_an_index() -> None:
    images = ArraySpec(key="a", meaning="", shapes=(("N", "H", "W"),), dtype="float32", unit="1", maximum=1)
    array = np.zeros((4, 5, 6), "f4")
    array[2, 3, 4] = np.nan
    [violation] = contract(images).check({"a": array})
    assert (violation.place, violation.index) == ("a", (2, 3, 4))
    array[2, 3, 4] = 7
    [violation] = contract(images).check({"a": array})
    assert (violation.place, violation.index) == ("a", (2, 3, 4))


ORDERS = {
    "increasing": ([1, 2, 3], [1, 2, 2]),
    "non-decreasing": ([1, 2, 2], [1, 2, 1]),
    "decreasing": ([3, 2, 1], [3, 2, 2]),
    "non-increasing": ([2, 2, 1], [2, 1, 2]),
}


@pytest.mark.parametrize("severity", ["error", "warning"])
@pytest.mark.parametrize("order", ORDERS)
def test_values_go_one_way(order: Any, severity: Severity) -> None:
    asked = contract(column(), rules=(Monotonic(needs=("a",), order=order, severity=severity),))
    kept, broken = (np.array(values, "f8") for values in ORDERS[order])
    assert asked.check({"a": kept}) == ()
    [violation] = asked.check({"a": broken})
    assert (violation.code, violation.index, violation.severity) == ("a.not_monotonic", (2,), severity)
    assert f"1 of 2 steps that are not (first from 1 to 2), wanted {order} values" in str(violation)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=20))
def test_unique_values_occur_once(values: list[int]) -> None:
    asked = contract(column(dtype="int64"), rules=(Unique(needs=("a",)),))
    found = asked.check({"a": np.array(values)})
    assert bool(found) == (len(set(values)) < len(values))
    for violation in found:
        [at] = violation.index
        assert values[at] in values[:at]
        assert len(set(values[:at])) == at


def test_a_range_that_only_warns_is_a_rule() -> None:
    asked = contract(column(minimum=0), rules=(Within(needs=("a",), maximum=1, severity="warning"),))
    [violation] = asked.check({"a": np.array([0.5, 3])})
    assert (violation.code, violation.severity, violation.index) == ("a.out_of_range", "warning", (1,))


def test_rules_are_asked_only_of_what_is_sound_by_itself() -> None:
    asked = contract(column(), rules=(Unique(needs=("a",)),))
    assert [v.code for v in asked.check({"a": np.array([np.nan, np.nan])})] == ["array.not_finite"]


ENERGY = FieldSpec(key="energy", meaning="Photon energy.", unit="eV", exclusive_minimum=0)
FIELDS: list[tuple[FieldSpec, Any, str | None, str]] = [
    (ENERGY, 8800, None, ""),
    (ENERGY, np.array([8800.0]), None, ""),
    (
        ENERGY,
        None,
        "field.missing",
        "energy: found nothing, wanted a number: Photon energy.; state it in eV, in the file or its card",
    ),
    (ENERGY, "8.8 keV", "field.type", "found '8.8 keV', wanted a number"),
    (ENERGY, True, "field.type", "found True, wanted a number"),
    (ENERGY, 0, "field.out_of_range", "found 0, wanted a value above 0 eV"),
    (ENERGY, float("nan"), "field.not_finite", "found nan"),
    (FieldSpec(key="energy", meaning="", kind="text", choices=("low", "high")), "low", None, ""),
    (FieldSpec(key="energy", meaning="", kind="text", choices=("low",)), "mid", "field.category", "one of low"),
    (FieldSpec(key="energy", meaning="", kind="text"), b"bytes", None, ""),
    (FieldSpec(key="energy", meaning="who", kind="text"), " ", "field.missing", "empty text"),
    (FieldSpec(key="energy", meaning="", kind="integer", minimum=0), 1.5, "field.type", "a whole number"),
    (FieldSpec(key="energy", meaning="", required=False), None, None, ""),
]


@pytest.mark.parametrize(("field", "value", "code", "says"), FIELDS)
@pytest.mark.parametrize("severity", ["error", "warning"])
def test_metadata_is_asked_for(field: FieldSpec, value: Any, code: str | None, says: str, severity: Severity) -> None:
    asked = contract(column(), fields=(field.model_copy(update={"severity": severity}),))
    found = asked.check({"a": np.ones(2), "energy": value})
    assert [(v.code, v.severity) for v in found] == ([(code, severity)] if code else [])
    assert says in "".join(map(str, found))


def test_metadata_goes_by_other_names_too() -> None:
    asked = contract(column(), fields=(ENERGY.model_copy(update={"aliases": ("probe_energy",)}),))
    assert asked.check({"a": np.ones(2), "probe_energy": np.float64(9000)}) == ()


class Doubled(Rule):
    """The second is twice the first."""

    def sentence(self) -> str:
        return f"{self.needs[1]} is twice {self.needs[0]}."

    def breaches(self, values: Mapping[str, Any]) -> Iterator[Violation]:
        one, two = (values[key] for key in self.needs)
        if not np.array_equal(2 * one, two):
            yield self.breach("doubled", self.needs[1], "something else", "twice as much", "double it")


def test_users_derive_rules_and_extend_contracts() -> None:
    base = contract(column())
    mine = base.extended(
        "mine-too",
        2,
        "More.",
        arrays=(column(key="b"), column(maximum=5)),
        fields=(ENERGY,),
        rules=(Doubled(needs=("a", "b"), severity="warning"),),
    )
    assert (mine.id, type(mine)) == ("mine-too/2", Contract)
    assert mine.check({"a": np.ones(2), "b": 2 * np.ones(2), "energy": 1}) == ()
    assert [v.code for v in mine.check({"a": np.ones(2), "b": np.ones(2), "energy": 1})] == ["doubled"]
    assert {v.code for v in mine.check({"a": 6 * np.ones(2), "b": np.ones(3)})} == {
        "array.above_maximum",
        "dimension.mismatch",
        "field.missing",
    }
    assert base.check({"a": 6 * np.ones(2)}) == ()
    assert "- b is twice a. (Only a warning.)" in mine.describe()
    assert "| `energy` | number | eV | required | Photon energy. Above 0. |" in mine.describe()


class Labelled(Contract):
    """A contract of a user's, with something of its own."""

    label: str


def test_what_a_derived_class_adds_is_kept_when_it_is_extended() -> None:
    base = Labelled(name="mine", version=1, summary="", arrays=(column(),), label="blue")
    mine = base.extended("mine-too", 1, "", arrays=(column(key="b"),))
    assert (type(mine), mine.label, [spec.key for spec in mine.arrays]) == (Labelled, "blue", ["a", "b"])


def test_a_pattern_speaks_of_every_array_it_fits() -> None:
    asked = contract(column(key="w/*", shapes=(), dtype="number", maximum=1))
    assert asked.check({"w/a": np.ones(2, "i2"), "w/b": np.ones((2, 2), "f2")}) == ()
    found = asked.check({"w/a": np.array([2]), "w/b": np.ones(2), "other": np.ones(1)})
    assert [(v.code, v.place) for v in found] == [("key.unknown", "the file"), ("array.above_maximum", "w/a")]
    assert [(v.code, v.place) for v in asked.check({})] == [("key.missing", "w/*")]


def test_a_contract_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValidationError, match="a is there twice"):
        contract(column(), column())
    with pytest.raises(ValidationError, match=r"Unique needs \['b'\]"):
        contract(column(), rules=(Unique(needs=("b",)),))
    with pytest.raises(ValidationError, match="name"):
        Contract(name="../x", version=1, summary="", arrays=())


def test_the_digest_changes_with_what_is_asked_and_not_with_the_words() -> None:
    assert contract(column()).digest == contract(column(meaning="Other words.")).digest
    assert contract(column()).digest != contract(column(minimum=0)).digest
    unique, sorted_ = Unique(needs=("a",)), Monotonic(needs=("a",))
    assert contract(column(), rules=(unique,)).digest != contract(column(), rules=(sorted_,)).digest
