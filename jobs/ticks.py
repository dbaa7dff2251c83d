"""What all schedules share: whether they are on, their tags, and the key that makes a tick ask for nothing twice."""

import dagster as dg

ON, OFF = dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED
TAGS = {"smalti/maintenance": "scheduled"}


def tick(context: dg.ScheduleEvaluationContext) -> str:
    """Return the time a tick was due at, so that one that is evaluated again asks for the same runs."""
    return context.scheduled_execution_time.isoformat()
