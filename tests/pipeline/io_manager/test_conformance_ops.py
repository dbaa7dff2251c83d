"""Conformance with Dagster's own IO manager: outputs of ops, and assets without partitions."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np


@dg.op(out=dg.DynamicOut(str))
def letters() -> Iterator[dg.DynamicOutput[str]]:
    for key in ("a", "b", "c"):
        yield dg.DynamicOutput(f"file {key}", mapping_key=key)


@dg.op
def upper(name: str) -> str:
    return name.upper()


@dg.op
def length(name: str) -> int:
    return len(name)


@dg.op
def joined(names: list[str]) -> str:
    return ", ".join(names)


def test_each_mapped_op_is_given_the_value_of_its_own_key(world: Any) -> None:
    got = {}

    @dg.op(out=dg.Out(dg.Nothing))
    def take(context: dg.OpExecutionContext, name: str) -> None:
        got[context.get_mapping_key()] = name

    @dg.job
    def mapped() -> None:
        letters().map(take)

    world.run(mapped)
    assert got == {key: f"file {key}" for key in "abc"}


def test_outputs_that_are_collected_come_as_a_list(world: Any) -> None:
    @dg.job
    def collected() -> None:
        joined(letters().map(upper).collect())

    assert world.run(collected).output_for_node("joined") == "FILE A, FILE B, FILE C"


def test_outputs_are_mapped_again_and_collected(world: Any) -> None:
    @dg.op
    def total(sizes: list[int]) -> int:
        return sum(sizes)

    @dg.job
    def twice() -> None:
        total(letters().map(lambda name: length(upper(name))).collect())

    assert world.run(twice).output_for_node("total") == 18


def test_outputs_of_ops_in_nested_graphs_are_told_apart(world: Any) -> None:
    @dg.op
    def one() -> str:
        return "one"

    @dg.graph
    def inner() -> str:
        return upper(one())

    @dg.graph
    def outer(name: str) -> str:
        return joined([inner(), upper(name)])

    @dg.op
    def two() -> str:
        return "two"

    @dg.job
    def nested() -> None:
        outer(two())

    assert world.run(nested).output_for_node("outer.joined") == "ONE, TWO"


def test_an_input_takes_several_upstream_outputs_as_a_list(world: Any) -> None:
    @dg.op(out={"left": dg.Out(str), "right": dg.Out(str)})
    def both() -> tuple[str, str]:
        return "left", "right"

    @dg.job
    def fan_in() -> None:
        left, right = both()
        joined([right, left, upper(left)])

    assert world.run(fan_in).output_for_node("joined") == "right, left, LEFT"


def test_an_optional_output_that_is_not_given_skips_what_comes_after(world: Any) -> None:
    @dg.op(out={"yes": dg.Out(str, is_required=False), "no": dg.Out(str, is_required=False)})
    def branch() -> Iterator[dg.Output[str]]:
        yield dg.Output("taken", "yes")

    @dg.job
    def branches() -> None:
        yes, no = branch()
        upper.alias("after_yes")(yes)
        upper.alias("after_no")(no)

    done = world.run(branches)
    assert done.output_for_node("after_yes") == "TAKEN"
    assert [event.step_key for event in done.get_step_skipped_events()] == ["after_no"]


def test_an_op_that_is_tried_again_hands_on_its_last_value(world: Any) -> None:
    tries = []

    @dg.op(retry_policy=dg.RetryPolicy(max_retries=1))
    def shaky() -> str:
        tries.append(len(tries))
        if len(tries) == 1:
            raise ValueError("not yet")
        return f"try {len(tries)}"

    @dg.job
    def retried() -> None:
        upper(shaky())

    assert world.run(retried).output_for_node("upper") == "TRY 2"


def test_two_runs_of_a_job_do_not_read_each_others_outputs(world: Any) -> None:
    numbers = iter(range(10))

    @dg.op
    def number() -> int:
        return next(numbers)

    @dg.op
    def same(x: int) -> int:
        return x

    @dg.job
    def counting() -> None:
        same(number())

    assert [world.run(counting).output_for_node("same") for _ in range(2)] == [0, 1]


def test_a_value_passes_from_asset_to_asset(world: Any) -> None:
    @dg.asset
    def first() -> np.ndarray:
        return np.arange(3)

    @dg.asset
    def second(first: np.ndarray) -> list[int]:
        return [int(x) for x in first]

    world.make(first, second)
    assert world.load([first, second], "second") == [0, 1, 2]


def test_an_asset_with_a_prefix_and_one_named_alike_are_two(world: Any) -> None:
    @dg.asset(key_prefix=["a"], name="b")
    def prefixed() -> str:
        return "a/b"

    @dg.asset(key=["a", "b", "c"])
    def deeper() -> str:
        return "a/b/c"

    world.make(prefixed)
    assert world.load([prefixed], ["a", "b"]) == "a/b"  # type: ignore[arg-type]
    # Dagster's own would make a folder of the file of a/b, and fails.
    shown = world.outcome(lambda: world.make(deeper).success)
    assert world.either(stock="FileExistsError" in str(shown) or "NotADirectory" in str(shown), smalti=shown is True)


def test_the_outputs_of_a_multi_asset_are_kept_each_by_itself(world: Any) -> None:
    @dg.multi_asset(outs={"x": dg.AssetOut(), "y": dg.AssetOut()})
    def pair() -> tuple[int, int]:
        return 1, 2

    @dg.asset
    def both(x: int, y: int) -> list[int]:
        return [x, y]

    assert world.make(pair, both).output_for_node("both") == [1, 2]


def test_a_graph_of_ops_makes_an_asset(world: Any) -> None:
    @dg.asset
    def word() -> str:
        return "word"

    @dg.graph_asset(ins={"word": dg.AssetIn()})
    def loud(word: str) -> str:
        return upper(word)

    world.make(word, loud)
    assert world.load([word, loud], "loud") == "WORD"


def test_an_asset_without_a_value_stores_nothing(world: Any) -> None:
    @dg.asset
    def done() -> None:
        return None

    @dg.asset(deps=[done])
    def after() -> str:
        return "after"

    assert world.make(done, after).success
    found = world.outcome(lambda: world.load([done, after], "done"))
    assert found.startswith(world.either(stock="FileNotFoundError", smalti="NotFound: done has no value"))


def test_none_without_an_annotation_is_a_value(world: Any) -> None:
    @dg.asset
    def nothing():  # type: ignore[no-untyped-def]
        return None

    @dg.asset
    def was_none(nothing: Any) -> bool:
        return nothing is None

    assert world.make(nothing, was_none).output_for_node("was_none") is True


def test_a_materialize_result_hands_on_its_value(world: Any) -> None:
    @dg.asset
    def result() -> dg.MaterializeResult:
        return dg.MaterializeResult(value=7, metadata={"mine": 1})

    @dg.asset
    def seven(result: int) -> int:
        return result

    done = world.make(result, seven)
    assert done.output_for_node("seven") == 7
    (event,) = done.asset_materializations_for_node("result")
    assert event.metadata["mine"].value == 1


def test_a_later_run_reads_what_an_earlier_one_made(world: Any) -> None:
    made = iter(["old", "new"])

    @dg.asset
    def word() -> str:
        return next(made)

    @dg.asset
    def read(word: str) -> str:
        return word

    for wanted in ("old", "new"):
        world.make(word)
        assert world.make(word, read, only=[read]).output_for_node("read") == wanted


def test_a_run_reads_what_it_wrote_itself_however_often_others_wrote_since(world: Any) -> None:
    def numbers_of(value: int) -> dg.AssetsDefinition:
        @dg.asset(name="numbers")
        def numbers() -> int:
            return value

        return numbers

    @dg.asset(deps=["numbers"])
    def intruder() -> None:
        first = numbers_of(2)
        world.make(first)
        tags = {"dagster/data_version": "x"}
        for _ in range(25 if world.of == "smalti" else 0):
            (record,) = world.instance.fetch_materializations(dg.AssetKey("numbers"), limit=1).records
            again = dg.AssetMaterialization("numbers", metadata=record.asset_materialization.metadata, tags=tags)
            world.instance.report_runless_asset_event(again)

    @dg.asset(deps=[intruder])
    def seen(numbers: int) -> int:
        return numbers

    done = world.make(numbers_of(1), intruder, seen)
    assert done.output_for_node("seen") == world.either(stock=2, smalti=1)


def test_an_input_that_was_never_made_says_so(world: Any) -> None:
    @dg.asset
    def up() -> int:
        return 1

    @dg.asset
    def down(up: int) -> int:
        return up

    said = world.outcome(lambda: world.make(up, down, only=[down]))
    assert said.startswith(
        world.either(stock="FileNotFoundError: [Errno 2]", smalti="NotFound: up has no value: materialize it first.")
    )
