"""What a materialization says that it was made from is what was read for it, whatever else goes on at the same time."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np

from resources.made_from import also_read, made_from

SCANS = dg.StaticPartitionsDefinition(["one", "two"])


@dg.asset(partitions_def=SCANS)
def scan(context: dg.AssetExecutionContext) -> np.ndarray:
    return np.full(4, len(context.run_id) + SCANS.get_partition_keys().index(context.partition_key))


@dg.op
def brightest(scan: np.ndarray) -> float:
    return float(scan.max())


@dg.op
def scaled(scan: np.ndarray, brightest: float) -> np.ndarray:
    return scan / brightest


@dg.graph_asset(partitions_def=SCANS, ins={"scan": dg.AssetIn()})
def network(scan):  # type: ignore[no-untyped-def]
    return scaled(scan, brightest(scan))


@dg.asset(partitions_def=SCANS)
def mean(scan: np.ndarray, network: np.ndarray) -> float:
    return float(scan.mean() + network.mean())


def read_for(world: Any, asset: str, partition: str | None = None) -> dict[str, str]:
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[partition] if partition else None)
    (record,) = world.instance.fetch_materializations(wanted, limit=1).records
    return made_from(record.asset_materialization.metadata)


def digests(world: Any, *names: str) -> dict[str, str]:
    return {name: world.store.resolve(name) for name in names}


def test_two_scans_in_turns_are_each_made_from_their_own(ours: Any) -> None:
    for assets in ([scan], [network], [mean]):
        for key in ("one", "two"):
            ours.make(scan, network, mean, only=assets, partition_key=key)
    for key in ("one", "two"):
        assert read_for(ours, "scan", key) == {}
        assert read_for(ours, "network", key) == digests(ours, f"scan/{key}")
        assert read_for(ours, "mean", key) == digests(ours, f"scan/{key}", f"network/{key}")


def test_two_runs_of_one_process_that_overlap_are_each_made_from_their_own(ours: Any) -> None:
    for key in ("one", "two"):
        ours.make(scan, partition_key=key)
    scan_of, again = scan, list[dg.AssetsDefinition]()

    @dg.asset(partitions_def=SCANS)
    def between(context: dg.AssetExecutionContext, scan: np.ndarray) -> float:
        if context.partition_key == "one":  # the other run reads, states and writes between our reading and writing
            ours.make(scan_of, again[0], partition_key="two", only=[again[0]])
        also_read(context, {"beside": "sha256:" + ("1" if context.partition_key == "one" else "2") * 64})
        return float(scan.sum())

    again.append(between)
    ours.make(scan, between, only=[between], partition_key="one")
    for key, digit in (("one", "1"), ("two", "2")):
        assert read_for(ours, "between", key) == digests(ours, f"scan/{key}") | {"beside": "sha256:" + digit * 64}


def test_each_output_of_a_multi_asset_is_made_from_what_it_depends_on(ours: Any) -> None:
    @dg.asset
    def left() -> int:
        return 1

    @dg.asset
    def right() -> int:
        return 2

    @dg.multi_asset(
        outs={"x": dg.AssetOut(), "y": dg.AssetOut(), "z": dg.AssetOut()},
        internal_asset_deps={"x": {left.key}, "y": {right.key}, "z": {dg.AssetKey("x"), right.key}},
    )
    def three(left: int, right: int) -> tuple[int, int, int]:
        return left, right, left + right

    ours.make(left, right, three)
    assert read_for(ours, "x") == digests(ours, "left")
    assert read_for(ours, "y") == digests(ours, "right")
    assert read_for(ours, "z") == digests(ours, "x", "right")


def test_what_is_read_beside_the_inputs_is_named_in_any_number_of_calls(ours: Any) -> None:
    @dg.asset
    def word() -> str:
        return "word"

    @dg.asset
    def told(context: dg.AssetExecutionContext, word: str) -> Iterator[dg.Output[str]]:
        also_read(context, {"first": "sha256:" + "1" * 64})
        also_read(context, {"second": "sha256:" + "2" * 64})
        yield dg.Output(word, metadata={"mine": 1})

    ours.make(word, told)
    assert set(read_for(ours, "told")) == {"word", "first", "second"}


def test_an_asset_without_a_value_says_what_it_was_made_from_too(ours: Any) -> None:
    @dg.asset
    def word() -> str:
        return "word"

    @dg.asset
    def printed(word: str) -> None:
        assert word

    ours.make(word, printed)
    assert read_for(ours, "printed") == digests(ours, "word")


def test_what_is_tried_again_is_made_from_what_the_last_try_read(ours: Any) -> None:
    words, tries = iter(["old", "new"]), []

    @dg.asset
    def word() -> str:
        return next(words)

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
    def shaky(context: dg.AssetExecutionContext, word: str) -> str:
        also_read(context, {f"try {len(tries)}": "sha256:" + "3" * 64})
        tries.append(word)
        if len(tries) == 1:
            ours.make(word_again)
            raise ValueError("not yet")
        return word

    word_again = word
    ours.make(word)
    ours.make(word, shaky, only=[shaky])
    assert tries == ["old", "new"]
    assert read_for(ours, "shaky") == {**digests(ours, "word"), "try 1": "sha256:" + "3" * 64}


def test_a_graph_is_made_from_what_all_its_ops_read_also_those_that_hand_nothing_on(ours: Any) -> None:
    @dg.asset
    def table() -> str:
        return "table"

    @dg.asset
    def limits() -> str:
        return "limits"

    @dg.op(out=dg.Out(dg.Nothing))
    def check(limits: str) -> None:
        assert limits

    @dg.op(ins={"start": dg.In(dg.Nothing)})
    def copy(context: dg.OpExecutionContext, table: str) -> str:
        also_read(context, {"beside": "sha256:" + "4" * 64})
        return table

    @dg.op
    def upper(text: str) -> str:
        return text.upper()

    @dg.graph_asset(ins={"table": dg.AssetIn(), "limits": dg.AssetIn()})
    def checked(table, limits):  # type: ignore[no-untyped-def]
        return upper(copy(table, start=check(limits)))

    ours.make(table, limits, checked)
    assert read_for(ours, "checked") == {**digests(ours, "table", "limits"), "beside": "sha256:" + "4" * 64}
    observed = ours.instance.fetch_observations(dg.AssetKey("limits"), limit=1).records
    assert observed == [], "reading is no observation"


def test_an_input_of_several_partitions_is_named_one_by_one(ours: Any) -> None:
    keys = dg.StaticPartitionsDefinition(["run 0", "run 1", "run 2"])

    @dg.asset(partitions_def=keys)
    def part(context: dg.AssetExecutionContext) -> str:
        return context.partition_key

    @dg.asset
    def whole(part: dict[str, str]) -> int:
        return len(part)

    for key in keys.get_partition_keys():
        ours.make(part, partition_key=key)
    ours.make(part, whole, only=[whole])
    assert read_for(ours, "whole") == digests(ours, *(f"part/e..run.20{n}" for n in range(3)))


def test_an_asset_that_is_called_by_hand_says_it_as_metadata_of_its_output() -> None:
    @dg.asset
    def told(context: dg.AssetExecutionContext) -> int:
        also_read(context, {"table/test": "sha256:" + "5" * 64})
        return 1

    context = dg.build_asset_context()
    assert told(context) == 1
    assert made_from(context.get_output_metadata("result")) == {"table/test": "sha256:" + "5" * 64}
