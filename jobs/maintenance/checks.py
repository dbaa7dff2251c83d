"""Checks of the store: a part of it every day, all of it every week; what is damaged is named."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from assets.amounts import gigabytes, moment, rounded
from assets.previews import records
from jobs.maintenance.progress import logged
from resources import StoreResource
from smalti.store import FsckReport, Progress, Sample, SampledReport, Store

UNDAMAGED = "undamaged"
_PROBLEMS_SHOWN = 200


class SampledCheckConfig(dg.Config):
    """How much one sampled check reads."""

    checks: int = Field(
        30, ge=1, description="After so many checks in a row, every object has been read whole; daily, that is as days."
    )
    most_minutes: float = Field(
        60.0, gt=0, description="Begin nothing more after so many minutes; the next check goes on there, later."
    )
    most_GB: float = Field(
        1000.0, gt=0, description="Begin nothing more after so much content, in GB; the next check goes on there."
    )


def _check_spec(asset: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        UNDAMAGED, asset=asset, description="Nothing that was read is damaged, and nothing that is named is missing."
    )


@dg.asset(
    group_name="store",
    kinds={"smalti"},
    check_specs=[_check_spec("sampled_check")],
    freshness_policy=dg.FreshnessPolicy.time_window(timedelta(hours=50), timedelta(hours=26)),
    op_tags={"smalti/maintenance": "check"},
    description="Every name, pin and manifest is read, and that there is an object for each value they name is looked "
    "up. Of the objects, one part in `checks` is read whole and hashed again: record, leaf tables and every byte "
    "of content. The parts follow one another in the order of the digests, which is a random choice of what "
    "is stored, so that as many checks in a row read everything, unless a bound stopped one. Objects that an "
    "earlier check found damaged are read again each time. Of all other objects nothing is read. What a file "
    "system holds in memory is hashed from there.",
)
def sampled_check(
    context: dg.AssetExecutionContext, config: SampledCheckConfig, store: StoreResource
) -> dg.MaterializeResult:
    sample = Sample(config.checks, round(config.most_GB * 1e9), config.most_minutes * 60)
    return _checked(context, store.open(), lambda values, progress: values.fsck(progress, sample=sample))


@dg.asset(
    group_name="store",
    kinds={"smalti"},
    check_specs=[_check_spec("full_check")],
    freshness_policy=dg.FreshnessPolicy.time_window(timedelta(days=15), timedelta(days=8)),
    op_tags={"smalti/maintenance": "check"},
    description="Every name, pin and manifest is read, and every object: record, leaf tables and every byte of "
    "content, hashed again. Terminated or interrupted, the next one within a week goes on where this one stopped, and "
    "reads of what was sound before only the record; its numbers are those of both.",
)
def full_check(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    return _checked(context, store.open(), lambda values, progress: values.fsck(progress, full=True))


def _checked(
    context: dg.AssetExecutionContext, store: Store, check: Callable[[Store, Callable[[Progress], None]], FsckReport]
) -> dg.MaterializeResult:
    """Check a store; return the numbers, and whether all is well with the problems as a table."""
    started = time.monotonic()
    report = check(store, logged(context.log, "checking"))
    left = [problem for problem in report.problems if not problem.repaired]
    table = {
        "problems_found": records(
            [{"place": p.place, "what": p.what, "needed_by": ", ".join(p.names[:10])} for p in left[:_PROBLEMS_SHOWN]]
        )
    }
    said = f"{len(left)} problems, the first: {left[0].what}" if left else f"{report.objects} objects are as stored"
    context.log.log("ERROR" if left else "INFO", said)
    return dg.MaterializeResult(
        metadata={
            "objects": report.objects,
            "read_GB": gigabytes(report.nbytes),
            "problems": len(left),
            "minutes": rounded((time.monotonic() - started) / 60),
            **(_round(report) if isinstance(report, SampledReport) else {}),
            **(table if left else {}),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=UNDAMAGED, passed=not left, description=said, metadata=table if left else {"problems": 0}
            )
        ],
    )


def _round(report: SampledReport) -> dict[str, Any]:
    since = {"everything_read_since": moment(report.whole_since)} if report.whole_since else {}
    return {"of_objects": report.of_objects, "stopped_by_a_bound": report.bounded, **since}
