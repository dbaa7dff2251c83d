"""Laws of retraining: what was trained on other content than there is now is asked for, and nothing else."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.retraining import outdated, outdated_partitions, retraining_schedules, train_network

SCANS = dg.DynamicPartitionsDefinition(name="scan")
VERSION: dict[str, str] = {}


@dg.asset(partitions_def=SCANS)
def scan(context: dg.AssetExecutionContext) -> dg.Output[int]:
    return dg.Output(1, data_version=dg.DataVersion(VERSION[context.partition_key]))


@dg.asset(partitions_def=SCANS)
def scan_split(scan: int) -> dg.Output[int]:
    return dg.Output(scan, data_version=dg.DataVersion("always the same"))


@dg.asset(partitions_def=SCANS)
def ptycho_checkpoint(scan: int, scan_split: int) -> int:
    return scan + scan_split


def _make(instance: dg.DagsterInstance, partition: str, *assets: Any) -> None:
    chosen = [asset.key.to_user_string() for asset in assets]
    done = dg.materialize(
        [scan, scan_split, ptycho_checkpoint],
        instance=instance,
        partition_key=partition,
        selection=chosen,
        resources={"io_manager": _Ones()},
    )
    assert done.success


class _Ones(dg.IOManager):
    """Every value is 1."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        pass

    def load_input(self, context: dg.InputContext) -> int:
        return 1


def _tick(instance: dg.DagsterInstance) -> Any:
    schedule = retraining_schedules("UTC")[0]
    at = datetime(2026, 12, 4, 22, 25, tzinfo=UTC)
    defs = dg.Definitions(assets=[scan, scan_split, ptycho_checkpoint], jobs=[train_network])
    known = defs.get_repository_def()
    with dg.build_schedule_context(instance=instance, scheduled_execution_time=at, repository_def=known) as context:
        return schedule.evaluate_tick(context)


def test_a_tick_asks_for_each_partition_that_is_out_of_date(kept: dg.DagsterInstance) -> None:
    kept.add_dynamic_partitions("scan", ["a", "b/c"])
    VERSION.update({"a": "1", "b/c": "1"})
    for partition in ("a", "b/c"):
        _make(kept, partition, scan, scan_split, ptycho_checkpoint)
    assert "was trained on what scan and scan_split have now" in str(_tick(kept).skip_message)
    VERSION["b/c"] = "2"
    _make(kept, "b/c", scan)
    (request,) = _tick(kept).run_requests
    assert request.partition_key == "b/c"
    assert request.run_key == "2026-12-04T22:25:00+00:00 b/c"


def test_only_what_was_trained_on_other_content_is_out_of_date(instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions("scan", ["a", "b", "c"])
    VERSION.update(a="1", b="1", c="1")
    for partition in "ab":
        _make(instance, partition, scan, scan_split, ptycho_checkpoint)
    _make(instance, "c", scan)  # never trained
    keys = dg.AssetKey("ptycho_checkpoint"), [dg.AssetKey("scan"), dg.AssetKey("scan_split")]
    assert outdated_partitions(instance, *keys) == {}
    VERSION["b"] = "2"
    for partition in "abc":
        _make(instance, partition, scan, scan_split)  # a and c: again, with equal content
    assert outdated_partitions(instance, *keys) == {"b": {"scan": "2"}}
    _make(instance, "b", ptycho_checkpoint)
    assert outdated_partitions(instance, *keys) == {}
    VERSION["b"] = "1"
    _make(instance, "b", scan)
    assert outdated_partitions(instance, *keys) == {"b": {"scan": "1"}}


def test_nothing_was_ever_trained(instance: dg.DagsterInstance) -> None:
    assert outdated_partitions(instance, dg.AssetKey("ptycho_checkpoint"), [dg.AssetKey("scan")]) == {}


@given(versions=st.dictionaries(st.text(max_size=3), st.tuples(st.text(), st.text())))
def test_outdated_is_where_the_versions_differ(versions: dict[str, tuple[str, str]]) -> None:
    trained = {key: old for key, (old, _) in versions.items()}
    current = {key: new for key, (_, new) in versions.items()}
    assert outdated(trained, current) == sorted(key for key, (old, new) in versions.items() if old != new)


@pytest.mark.parametrize(("trained", "current"), [({"a": "1"}, {}), ({}, {"a": "1"})])
def test_what_is_on_one_side_only_is_not_out_of_date(trained: dict[str, str], current: dict[str, str]) -> None:
    assert outdated(trained, current) == []
