"""An input has the form that its annotation asks for, of one value, of several partitions and of several ops."""

from typing import Annotated, Any, Optional

import dagster as dg
import numpy as np
import pytest

from resources.inputs.annotations import allows_none, is_mapping, without_none
from smalti import LazyArray, Ref, Tree

KEYS = dg.StaticPartitionsDefinition(["a", "b"])


@dg.asset
def numbers() -> np.ndarray:
    return np.arange(5000.0)


@dg.asset
def pair() -> dict[str, Any]:
    return {"x": np.arange(4), "y": np.arange(3), "n": 1}


@dg.asset(partitions_def=KEYS)
def part(context: dg.AssetExecutionContext) -> dict[str, Any]:
    return {"x": np.full(3, ord(context.partition_key))}


def taken(ours: Any, up: dg.AssetsDefinition, annotation: Any) -> Any:
    got = []
    name = up.key.to_user_string()

    @dg.asset(ins={"value": dg.AssetIn(name)})
    def take(value: annotation) -> None:  # type: ignore[valid-type]
        got.append(value)

    ours.make(up, take, only=[take])
    return got[0]


@pytest.mark.parametrize("annotation", [Ref, Ref | None, Optional[Ref]])  # noqa: UP045
def test_a_reference_reads_nothing(ours: Any, annotation: Any) -> None:
    ours.make(numbers)
    assert taken(ours, numbers, annotation) == ours.store.ref("numbers")


@pytest.mark.parametrize("annotation", [LazyArray, LazyArray | None])
def test_a_lazy_array_reads_what_is_used(ours: Any, annotation: Any) -> None:
    ours.make(numbers)
    lazy = taken(ours, numbers, annotation)
    assert isinstance(lazy, LazyArray)
    assert lazy[10:12].tolist() == [10.0, 11.0]


def test_a_tree_has_lazy_children(ours: Any) -> None:
    ours.make(pair)
    tree = taken(ours, pair, Tree)
    assert isinstance(tree.children["x"], LazyArray)
    assert tree.attrs == {"n": 1}


def test_a_dict_of_references_is_that_of_the_children_of_a_value(ours: Any) -> None:
    ours.make(pair)
    assert set(taken(ours, pair, dict[str, Ref])) == {"x", "y"}
    assert taken(ours, pair, dict[str, LazyArray])["y"][:].tolist() == [0, 1, 2]


def test_a_value_without_children_is_no_dict_of_references(ours: Any) -> None:
    ours.make(numbers)
    said = ours.outcome(lambda: taken(ours, numbers, dict[str, Ref]))
    assert "is of the kind array and has no children to give" in said


@pytest.mark.parametrize(("annotation", "form"), [(dict[str, Ref], Ref), (dict[str, Tree], Tree), (dict, dict)])
def test_each_of_several_partitions_is_given_in_the_form_of_the_dict(ours: Any, annotation: Any, form: type) -> None:
    for key in ("a", "b"):
        ours.make(part, partition_key=key)
    got = taken(ours, part, annotation)
    assert {key: type(value) for key, value in got.items()} == {"a": form, "b": form}


def test_outputs_of_several_ops_are_given_in_the_form_of_the_list(ours: Any) -> None:
    got = []

    @dg.op
    def one() -> np.ndarray:
        return np.arange(3)

    @dg.op
    def take(values: list[Ref], whole: list) -> None:  # type: ignore[type-arg]
        got.append((values, whole))

    @dg.op
    def words() -> list[str]:
        return ["a", "b"]

    @dg.job
    def fan_in() -> None:
        take([one(), one()], words())

    ours.run(fan_in)
    ((values, whole),) = got
    assert [type(value) for value in values] == [Ref, Ref]
    assert whole == ["a", "b"]


def test_a_reference_that_is_returned_is_stored_already(ours: Any) -> None:
    @dg.asset
    def refers() -> Ref:
        return ours.store.put(np.ones(3))

    ours.make(refers)
    assert ours.store.get("refers").tolist() == [1, 1, 1]


def test_a_number_comes_as_one(ours: Any) -> None:
    @dg.asset
    def mean() -> float:
        return np.float64(0.75)

    ours.make(mean)
    assert isinstance(taken(ours, mean, float), float)
    assert f"{taken(ours, mean, Any):.2f}" == "0.75"


def test_an_annotation_says_whether_none_and_whether_a_mapping() -> None:
    assert [allows_none(one) for one in (Any, int | None, Optional[int], int, Annotated[int | None, 1])] == [  # noqa: UP045
        *(True, True, True, False, True)
    ]
    assert [is_mapping(one) for one in (dict, dict[str, int] | None, list, Any, Ref)] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert without_none(int | str | None) == int | str | None
