"""Conformance with Dagster's own IO manager: keys of every kind, inputs of none, one and several partitions."""

from datetime import datetime
from typing import Any, Optional

import dagster as dg
import pytest

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-06")
LETTERS = dg.StaticPartitionsDefinition(["a", "b", "c"])
COLORS = dg.StaticPartitionsDefinition(["red", "blue"])
MULTI = dg.MultiPartitionsDefinition({"date": DAYS, "color": COLORS})


@dg.asset(partitions_def=LETTERS)
def letter(context: dg.AssetExecutionContext) -> str:
    return f"value of {context.partition_key}"


@dg.asset(partitions_def=DAYS)
def day(context: dg.AssetExecutionContext) -> str:
    return context.partition_key[-2:]


def make_letters(world: Any, *keys: str) -> None:
    for key in keys:
        world.make(letter, partition_key=key)


@pytest.mark.parametrize(
    "key", ["a b", "naïve", "日本", "_raw", "-1", "s3://b/k", "x" * 200, "a/b", "..", "0.94-to-0.95", "a|b", "a:b"]
)
def test_a_partition_of_any_key_is_made_and_read(world: Any, key: str) -> None:
    keys = dg.StaticPartitionsDefinition([key, "z"])

    @dg.asset(partitions_def=keys)
    def up(context: dg.AssetExecutionContext) -> str:
        return f"value of {context.partition_key}"

    @dg.asset(partitions_def=keys)
    def down(up: str) -> str:
        return up.upper()

    got = world.outcome(lambda: world.make(up, down, partition_key=key).output_for_node("down"))
    # Dagster's own takes a key with a protocol for a path of its own.
    fails = world.of == "stock" and "://" in key
    assert got.startswith("ValueError") if fails else got == f"VALUE OF {key.upper()}"


def test_hours_are_keys(world: Any) -> None:
    hours = dg.HourlyPartitionsDefinition(start_date=datetime(2024, 1, 1))

    @dg.asset(partitions_def=hours)
    def hour(context: dg.AssetExecutionContext) -> str:
        return context.partition_key

    world.make(hour, partition_key="2024-01-01-05:00")
    assert world.load([hour], "hour", partition_key="2024-01-01-05:00") == "2024-01-01-05:00"


def test_a_key_of_two_dimensions_is_made_and_read_by_identity(world: Any) -> None:
    @dg.asset(partitions_def=MULTI)
    def cell(context: dg.AssetExecutionContext) -> str:
        return str(context.partition_key)

    @dg.asset(partitions_def=MULTI)
    def copy(cell: str) -> str:
        return cell

    for color in ("red", "blue"):
        key = dg.MultiPartitionKey({"date": "2024-01-02", "color": color})
        assert world.make(cell, copy, partition_key=key).output_for_node("copy") == f"{color}|2024-01-02"


def test_one_dimension_reads_all_of_the_other(world: Any) -> None:
    @dg.asset(partitions_def=MULTI)
    def cell(context: dg.AssetExecutionContext) -> str:
        return str(context.partition_key)

    @dg.asset(partitions_def=DAYS)
    def colors(cell: dict[str, str]) -> list[str]:
        return sorted(cell.values())

    for color in ("red", "blue"):
        world.make(cell, partition_key=dg.MultiPartitionKey({"date": "2024-01-02", "color": color}))
    done = world.make(cell, colors, only=[colors], partition_key="2024-01-02")
    assert done.output_for_node("colors") == ["blue|2024-01-02", "red|2024-01-02"]


def test_a_partition_reads_the_same_partition_upstream(world: Any) -> None:
    @dg.asset(partitions_def=LETTERS)
    def same(letter: str) -> str:
        return letter

    make_letters(world, "a", "b")
    for key in ("a", "b"):  # the latest is that of "b" both times
        done = world.make(letter, same, only=[same], partition_key=key)
        assert done.output_for_node("same") == f"value of {key}"


def test_an_asset_without_partitions_reads_all_as_a_dict(world: Any) -> None:
    @dg.asset
    def every(letter: dict[str, str]) -> list[str]:
        return sorted(letter)

    make_letters(world, "a", "b", "c")
    assert world.make(letter, every, only=[every]).output_for_node("every") == ["a", "b", "c"]


def test_all_partitions_are_a_dict_also_where_there_is_one(world: Any) -> None:
    """Dagster's own gives the bare value, and the type check fails as long as there is only one."""
    keys = dg.DynamicPartitionsDefinition(name="keys")

    @dg.asset(partitions_def=keys)
    def part(context: dg.AssetExecutionContext) -> str:
        return context.partition_key

    @dg.asset
    def every(part: dict[str, str]) -> list[str]:
        return sorted(part)

    world.instance.add_dynamic_partitions("keys", ["only"])
    world.make(part, partition_key="only")
    got = world.outcome(lambda: world.make(part, every, only=[every]).output_for_node("every"))
    assert world.either(stock="DagsterTypeCheckDidNotPass" in str(got), smalti=got == ["only"])


def test_no_partition_is_an_empty_dict_where_a_dict_is_wanted(world: Any) -> None:
    """Dagster's own gives None, and the type check fails."""
    keys = dg.DynamicPartitionsDefinition(name="keys")

    @dg.asset(partitions_def=keys)
    def part(context: dg.AssetExecutionContext) -> str:
        return context.partition_key

    @dg.asset
    def count(part: dict[str, str]) -> int:
        return len(part)

    got = world.outcome(lambda: world.make(part, count, only=[count]).output_for_node("count"))
    assert world.either(stock="DagsterTypeCheckDidNotPass" in str(got), smalti=got == 0)


@pytest.mark.parametrize("annotation", [Any, int | None, Optional[int]])  # noqa: UP045
def test_the_first_partition_of_an_asset_that_reads_the_one_before_is_given_none(world: Any, annotation: Any) -> None:
    before = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)

    @dg.asset(partitions_def=DAYS, ins={"balance": dg.AssetIn("balance", partition_mapping=before)})
    def balance(balance: annotation) -> int:  # type: ignore[valid-type]
        return (balance or 0) + 1

    for key, wanted in (("2024-01-01", 1), ("2024-01-02", 2), ("2024-01-03", 3)):
        assert world.make(balance, partition_key=key).output_for_node("balance") == wanted


def test_none_is_refused_where_the_annotation_does_not_allow_it(world: Any) -> None:
    before = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)

    @dg.asset(partitions_def=DAYS, ins={"before": dg.AssetIn("strict", partition_mapping=before)})
    def strict(before: int) -> int:
        return before + 1

    said = world.outcome(lambda: world.make(strict, partition_key="2024-01-01"))
    wanted = "the input before is of no partition of strict here, but it is annotated Int; allow None."
    assert world.either(stock="DagsterTypeCheckDidNotPass", smalti=wanted) in said


def window(annotation: Any) -> dg.AssetsDefinition:
    three = dg.TimeWindowPartitionMapping(start_offset=-2)

    @dg.asset(partitions_def=DAYS, ins={"day": dg.AssetIn(partition_mapping=three)})
    def last(day: annotation) -> Any:  # type: ignore[valid-type]
        return sorted(day) if isinstance(day, dict) else day

    return last


def test_a_window_is_a_dict(world: Any) -> None:
    last = window(dict[str, str])
    for key in ("2024-01-01", "2024-01-02", "2024-01-03"):
        world.make(day, partition_key=key)
    done = world.make(day, last, only=[last], partition_key="2024-01-03")
    assert done.output_for_node("last") == ["2024-01-01", "2024-01-02", "2024-01-03"]


def test_a_window_that_is_clipped_to_one_partition_stays_a_dict_where_one_is_wanted(world: Any) -> None:
    """Dagster's own gives the bare value, and the type check fails on the first day."""
    last = window(dict[str, str])
    world.make(day, partition_key="2024-01-01")
    got = world.outcome(lambda: world.make(day, last, only=[last], partition_key="2024-01-01").output_for_node("last"))
    assert world.either(stock="DagsterTypeCheckDidNotPass" in str(got), smalti=got == ["2024-01-01"])


def test_a_window_that_is_clipped_to_one_partition_is_its_value_where_nothing_is_said(world: Any) -> None:
    last = window(Any)
    world.make(day, partition_key="2024-01-01")
    assert world.make(day, last, only=[last], partition_key="2024-01-01").output_for_node("last") == "01"


def test_a_value_that_is_a_dict_is_not_taken_for_partitions(world: Any) -> None:
    @dg.asset(partitions_def=LETTERS)
    def counts(context: dg.AssetExecutionContext) -> dict[str, int]:
        return {context.partition_key: 1}

    @dg.asset(partitions_def=LETTERS)
    def read(counts: dict[str, int]) -> int:
        return counts["b"]

    assert world.make(counts, read, partition_key="b").output_for_node("read") == 1


def test_the_last_partition_is_one_value(world: Any) -> None:
    @dg.asset(ins={"letter": dg.AssetIn(partition_mapping=dg.LastPartitionMapping())})
    def newest(letter: str) -> str:
        return letter

    make_letters(world, "c")
    assert world.make(letter, newest, only=[newest]).output_for_node("newest") == "value of c"


def test_chosen_partitions_are_a_dict(world: Any) -> None:
    chosen = dg.SpecificPartitionsPartitionMapping(["a", "c"])

    @dg.asset(ins={"letter": dg.AssetIn(partition_mapping=chosen)})
    def two(letter: dict[str, str]) -> list[str]:
        return sorted(letter)

    make_letters(world, "a", "c")
    assert world.make(letter, two, only=[two]).output_for_node("two") == ["a", "c"]


def test_a_partition_that_was_never_made_is_named(world: Any) -> None:
    @dg.asset
    def every(letter: dict[str, str]) -> list[str]:
        return sorted(letter)

    make_letters(world, "a")
    said = world.outcome(lambda: world.make(letter, every, only=[every]))
    wanted = "NotFound: letter has no value of b, c; it has the partitions a: materialize it first."
    assert said.startswith(world.either(stock="FileNotFoundError", smalti=wanted))


def test_partitions_may_be_missing_where_the_input_says_so(world: Any) -> None:
    @dg.asset(ins={"letter": dg.AssetIn(metadata={"allow_missing_partitions": True})})
    def some(letter: dict[str, str]) -> list[str]:
        return sorted(letter)

    make_letters(world, "b", "c")
    assert world.make(letter, some, only=[some]).output_for_node("some") == ["b", "c"]


RANGE = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "b"}


def test_one_run_over_several_partitions_reads_them_all(world: Any) -> None:
    got = {}

    @dg.asset(partitions_def=LETTERS, backfill_policy=dg.BackfillPolicy.single_run())
    def read(letter: dict[str, str]) -> None:
        got.update(letter)

    make_letters(world, "a", "b")
    world.make(letter, read, only=[read], tags=RANGE)
    assert got == {"a": "value of a", "b": "value of b"}


def test_one_run_over_several_partitions_stores_nothing_and_names_the_remedy(world: Any) -> None:
    @dg.asset(partitions_def=LETTERS, backfill_policy=dg.BackfillPolicy.single_run())
    def many() -> dict[str, int]:
        return {"a": 1, "b": 2}

    said = world.outcome(lambda: world.make(many, tags=RANGE))
    assert "multi-run backfill policy" in said or "BackfillPolicy.multi_run()" in said
    assert list(world.store.names()) == []


def test_one_run_over_a_range_of_one_partition_stores_it(world: Any) -> None:
    @dg.asset(partitions_def=LETTERS, backfill_policy=dg.BackfillPolicy.single_run())
    def one(context: dg.AssetExecutionContext) -> list[str]:
        return list(context.partition_keys)

    world.make(one, tags={**RANGE, "dagster/asset_partition_range_end": "a"})
    assert world.load([one], "one", partition_key="a") == ["a"]
