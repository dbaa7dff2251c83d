"""Conformance with Dagster's own IO manager: loading the value of an asset outside of a run, and kinds of values."""

from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

LETTERS = dg.StaticPartitionsDefinition(["a", "b", "c", "d"])


@dg.asset
def single() -> int:
    return 3


@dg.asset(partitions_def=LETTERS)
def many(context: dg.AssetExecutionContext) -> str:
    return f"value of {context.partition_key}"


@dg.asset(name="many")
def many_no_more() -> str:
    return "unpartitioned"


@pytest.fixture
def made(world: Any) -> Any:
    world.make(single)
    for key in ("a", "c", "b"):
        world.make(many, partition_key=key)
    return world


def test_a_value_is_loaded(made: Any) -> None:
    assert made.load([single], "single") == 3


def test_a_value_is_loaded_without_an_instance(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    assert made.load([single], "single", with_instance=False) == 3
    assert made.load([many], "many", with_instance=False, partition_key="a") == "value of a"


def test_a_partition_is_loaded(made: Any) -> None:
    assert made.load([many], "many", partition_key="a") == "value of a"


def test_a_partition_that_is_not_there_is_named(made: Any) -> None:
    said = made.outcome(lambda: made.load([many], "many", partition_key="d"))
    assert said.startswith(
        made.either(stock="FileNotFoundError", smalti="NotFound: many has no value of d; it has the partitions a, b, c")
    )


def test_a_partitioned_asset_without_a_key_says_which_there_are(made: Any) -> None:
    said = made.outcome(lambda: made.load([many], "many"))
    wanted = "NotFound: many is partitioned and no partition was asked for; give the partition_key, one of a, b, c."
    assert said.startswith(made.either(stock="IsADirectoryError", smalti=wanted))


def test_an_asset_that_was_partitioned_has_no_value_yet(made: Any) -> None:
    said = made.outcome(lambda: made.load([many_no_more], "many"))
    wanted = "NotFound: many has no value; it was partitioned when it was made, into a, b, c: materialize it first."
    assert said.startswith(made.either(stock="IsADirectoryError", smalti=wanted))


def test_an_asset_that_is_partitioned_since_has_no_partition_yet(world: Any) -> None:
    world.make(many_no_more)
    said = world.outcome(lambda: world.load([many], "many", partition_key="a"))
    assert said.startswith(world.either(stock="NotADirectoryError", smalti="NotFound: many has no value of a"))


def test_a_partition_and_the_whole_of_an_asset_are_kept_apart(world: Any) -> None:
    """Dagster's own removes the file of the asset that was not partitioned, to make a folder of it."""
    world.make(many_no_more)
    world.make(many, partition_key="a")
    got = world.outcome(lambda: world.load([many_no_more], "many"))
    assert got.startswith("IsADirectoryError") if world.of == "stock" else got == "unpartitioned"


@dataclass(frozen=True)
class Point:
    x: int


FRAME = pd.DataFrame({"n": [1, 2], "s": ["a", "b"]})
REFUSED = "Refused"
VALUES = [  # value, what is refused by us as it cannot be stored without running code when it is read
    (0.75, None),
    (float("inf"), None),
    (True, None),
    ("text", None),
    ("", None),
    (b"\x00bytes", None),
    (None, None),
    ([1, "two", None], None),
    ((1, 2), None),
    ({"accuracy": np.float64(0.75), "n": np.int64(3), "none": None, "nested": {"x": 1.5}}, None),
    ({"loss": float("-inf")}, None),
    ({}, None),
    (np.float64(0.75), None),
    (np.float32(0.5), None),
    (np.int64(3), None),
    (np.bool_(True), None),
    (np.datetime64("2024-01-01"), None),
    ({1: "a"}, REFUSED),
    ({1, 2}, REFUSED),
    (Point(1), REFUSED),
    ([np.arange(2)], REFUSED),
]


@pytest.mark.parametrize(("value", "refused"), VALUES, ids=[repr(value)[:40] for value, _ in VALUES])
def test_a_value_comes_back_as_what_it_was(world: Any, value: Any, refused: str | None) -> None:
    got = []

    @dg.asset
    def given() -> Any:
        return value

    @dg.asset
    def taken(given: Any) -> None:
        got.append(given)

    said = world.outcome(lambda: world.make(given, taken).success)
    if refused and world.of == "smalti":
        assert said.startswith(refused)
        return
    assert said is True
    assert type(got[0]) is type(value) or (isinstance(value, float) and isinstance(got[0], float))
    assert np.array_equal(got[0], value) if isinstance(value, list) else got[0] == value


def test_a_float_that_is_no_number_stays_a_float(world: Any) -> None:
    @dg.asset
    def unknown() -> float:
        return float("nan")

    @dg.asset
    def read(unknown: float) -> bool:
        return bool(np.isnan(unknown))

    assert world.make(unknown, read).output_for_node("read") is True


@pytest.mark.parametrize("value", [np.arange(6.0).reshape(2, 3), np.array(1.5), np.array(["a", "bc"]), FRAME], ids=str)
def test_an_array_or_a_table_comes_back_equal(world: Any, value: Any) -> None:
    got = []

    @dg.asset
    def given() -> Any:
        return value

    @dg.asset
    def taken(given: Any) -> None:
        got.append(given)

    world.make(given, taken)
    assert type(got[0]) is type(value)
    assert got[0].equals(value) if isinstance(value, pd.DataFrame) else np.array_equal(got[0], value)
