"""Recording what arrived: one short run per batch of judged files, in the process of the sensor that judged them."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.raw import arrival_events
from jobs.console import console

_QUIET = {"loggers": {"console": {}}}


@dg.op(out={}, config_schema=[dg.Permissive()], description="Report each file's contract check, and its arrival.")
def record_verdicts(context: dg.OpExecutionContext) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    for verdict in context.op_config:
        context.log.info(f"{verdict['file']}: {verdict['reason'] or 'accepted under ' + verdict['contract']}")
        yield from arrival_events(verdict)


@dg.job(description="What came in and whether it kept its contract.", logger_defs={"console": console})
def arrival() -> None:
    record_verdicts()


def record(instance: dg.DagsterInstance, verdicts: list[dict[str, Any]]) -> None:
    """Record judged files.

    Dagster 1.13 keeps only one check evaluation per partition that belongs to no run, and fails on the second;
    a file that is mended and dropped again needs a second one, so the events are given a run.
    """
    config = {"ops": {"record_verdicts": {"config": verdicts}}}
    arrival.execute_in_process(run_config=config | _QUIET, instance=instance)
