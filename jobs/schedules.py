"""What runs at set hours: checks, collection, backup, drill; and, once turned on, refresh, retention and retraining.

No two start at the same minute. On from the beginning is what is cheap and stays on this machine; what goes to a
backup is on as well, and skipped until one is configured.
"""

from typing import Any, NamedTuple

import dagster as dg

from jobs import maintenance
from jobs.external import external_schedule
from jobs.maintenance.backup import NO_BACKUP
from jobs.retraining import retraining_schedules
from jobs.ticks import OFF, ON, TAGS, tick
from smalti.settings import Settings


class _Plan(NamedTuple):
    """A job at set hours, and what is said of it."""

    name: str
    job: Any
    cron: str
    status: dg.DefaultScheduleStatus
    description: str


_PLAIN = (
    _Plan(
        "daily_check",
        maintenance.check_sample,
        "20 2 * * *",
        ON,
        "Every day at 2:20: one thirtieth of the stored objects is read whole and hashed again, others each day, so "
        "that 30 days read everything; then store_health is refreshed.",
    ),
    _Plan(
        "weekly_full_check",
        maintenance.check_everything,
        "40 3 * * 0",
        ON,
        "Every Sunday at 3:40: every byte of the store is read and hashed again; then store_health is refreshed.",
    ),
    _Plan(
        "weekly_retention",
        maintenance.apply_retention,
        "50 4 * * 6",
        OFF,
        "Every Saturday at 4:50: old versions of names go by policy. Off until a person turns it on, and a dry run "
        "without patterns: give its job a policy in jobs/schedules.py, or launch apply_retention with one.",
    ),
    _Plan(
        "weekly_collection",
        maintenance.collect_garbage,
        "35 5 * * 6",
        ON,
        "Every Saturday at 5:35: what nothing needs is condemned, and what was condemned a week before is removed; "
        "then store_health is refreshed.",
    ),
    _Plan(
        "daily_health",
        maintenance.refresh_health,
        "10 7 * * *",
        ON,
        "Every day at 7:10: store_health is refreshed: size, deduplication, last checks, free disk.",
    ),
)
_TO_BACKUP = (
    _Plan(
        "nightly_backup",
        maintenance.back_up,
        "15 1 * * *",
        ON,
        "Every night at 1:15: everything is pushed to SMALTI_BACKUP_URL, only what is missing there. Skipped where "
        "none is set.",
    ),
    _Plan(
        "weekly_restore_drill",
        maintenance.drill_restore,
        "5 6 * * 1",
        ON,
        "Every Monday at 6:05: a random product and another value are restored from SMALTI_BACKUP_URL into an empty "
        "store and verified. Skipped where none is set.",
    ),
)


def define_schedules(time_zone: str) -> list[dg.ScheduleDefinition]:
    """Return all schedules, with their hours in one time zone."""
    return [
        *(_plain(plan, time_zone) for plan in _PLAIN),
        *(_to_backup(plan, time_zone) for plan in _TO_BACKUP),
        external_schedule(time_zone),
        *retraining_schedules(time_zone),
    ]


def _plain(plan: _Plan, time_zone: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=plan.name,
        job=plan.job,
        cron_schedule=plan.cron,
        execution_timezone=time_zone,
        default_status=plan.status,
        description=plan.description,
        tags=TAGS,
    )


def _to_backup(plan: _Plan, time_zone: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=plan.name,
        job=plan.job,
        cron_schedule=plan.cron,
        execution_timezone=time_zone,
        default_status=plan.status,
        description=plan.description,
        tags=TAGS,
    )
    def evaluated(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        return dg.SkipReason(NO_BACKUP) if Settings().backup_url is None else dg.RunRequest(run_key=tick(context))

    return evaluated
