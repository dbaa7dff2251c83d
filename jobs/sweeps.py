"""Sweeps: a list of settings becomes trials of a table, which one backfill trains and compares."""

import time
from typing import Any

import dagster as dg
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.utils import make_new_backfill_id
from pydantic import Field

from assets.partitions import TRAINING_TABLES
from assets.trials import put_settings, sweep
from jobs.training import BERT_TRIAL
from resources import StoreResource
from resources.run_config import StepConfig
from smalti.errors import SmaltiError


class SweepConfig(StepConfig, step="request_trials"):
    """The trials of a table."""

    dataset: str = Field(description="The table, a partition of text_split.")
    trials: list[dict[str, Any]] = Field(
        min_length=1, description='For each trial what differs from the defaults, e.g. {"learning_rate": 0.002}.'
    )


@dg.op(description="Add the trials as partitions, and request one backfill that trains and compares them.")
def request_trials(context: dg.OpExecutionContext, config: SweepConfig, store: StoreResource) -> list[str]:
    instance, values = context.instance, store.open()
    there = instance.get_dynamic_partitions(str(TRAINING_TABLES.name))
    if config.dataset not in there:
        raise dg.Failure(f"no table {config.dataset} to train on; there are {', '.join(there)}.", allow_retries=False)
    try:
        trials = [put_settings(values, settings) for settings in config.trials]
    except SmaltiError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    instance.add_dynamic_partitions("trial", trials)
    keys = [str(dg.MultiPartitionKey({"dataset": config.dataset, "trial": trial})) for trial in trials]
    backfill = backfill_of(instance, keys, f"{len(keys)} trials of {config.dataset}")
    instance.add_backfill(backfill)
    context.log.info(f"backfill {backfill.backfill_id}: {', '.join(trials)}")
    return keys


def backfill_of(instance: dg.DagsterInstance, keys: list[str], title: str) -> PartitionBackfill:
    """Return the backfill of these trials, and of the comparison that comes after them.

    Dagster 1.13 has no public way to ask for a backfill in Python; tests/pipeline pins this one.
    """
    from definitions import defs

    return PartitionBackfill.from_asset_partitions(
        backfill_id=make_new_backfill_id(),
        asset_graph=defs.resolve_asset_graph(),
        partition_names=keys,
        asset_selection=[BERT_TRIAL.key, sweep.key],
        backfill_timestamp=time.time(),
        tags={},
        dynamic_partitions_store=instance,
        all_partitions=False,
        title=title,
        description=None,
        run_config=None,
    )


@dg.job(description="Train a table with each of a list of settings, and compare them: one backfill.")
def define_sweep() -> None:
    request_trials()
