"""Laws of the schedules: each says what it does and when, none starts at the minute of another, and each evaluates."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from definitions import defs
from jobs.external import external_schedule, partitions_to_change
from jobs.maintenance import MAINTENANCE, MAINTENANCE_JOBS
from jobs.schedules import define_schedules
from smalti import Store
from smalti.datasets.card import DatasetCard
from smalti.datasets.stored import keep_dataset
from smalti.settings import Settings

AT = datetime(2026, 11, 30, 4, 30, tzinfo=UTC)
SCHEDULES = define_schedules("Europe/Berlin")
CHEAP = {"daily_check", "weekly_full_check", "weekly_collection", "daily_health"}
TO_BACKUP = {"nightly_backup", "weekly_restore_drill"}
by_name = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)


@by_name
def test_each_says_what_it_does_and_its_hour_which_is_that_of_its_cron(schedule: dg.ScheduleDefinition) -> None:
    minute, hour, _, _, day = str(schedule.cron_schedule).split()
    said = re.match(r"Every (\w+) at (\d+):(\d\d): ", str(schedule.description))
    assert said
    assert (int(said[2]), int(said[3])) == (int(hour), int(minute))
    days = {"0": "Sunday", "1": "Monday", "5": "Friday", "6": "Saturday"}
    assert said[1] == days.get(day, said[1]) if day != "*" else said[1] in ("day", "night")
    assert schedule.execution_timezone == "Europe/Berlin"
    assert schedule.tags == {"smalti/maintenance": "scheduled"}


def test_no_two_start_at_the_same_minute_of_an_hour_and_only_what_stays_here_is_on() -> None:
    minutes = [tuple(str(schedule.cron_schedule).split()[:2]) for schedule in SCHEDULES]
    assert len(set(minutes)) == len(minutes)
    on = {one.name for one in SCHEDULES if one.default_status == dg.DefaultScheduleStatus.RUNNING}
    assert on == CHEAP | TO_BACKUP


def _evaluated(schedule: dg.ScheduleDefinition, kept: dg.DagsterInstance, resources: dict[str, Any]) -> Any:
    with dg.build_schedule_context(
        instance=kept,
        scheduled_execution_time=AT,
        resources={"store": resources["store"]} if schedule.name == "weekly_external_refresh" else {},
        repository_def=defs.get_repository_def(),
    ) as context:
        return schedule.evaluate_tick(context)


@by_name
def test_each_evaluates_to_a_run_of_a_job_that_there_is_or_says_why_not(
    schedule: dg.ScheduleDefinition,
    kept: dg.DagsterInstance,
    resources: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if schedule.name in TO_BACKUP:
        skipped = _evaluated(schedule, kept, resources)
        assert "set SMALTI_BACKUP_URL" in str(skipped.skip_message)
        monkeypatch.setenv("SMALTI_BACKUP_URL", "/backup")
    evaluated = _evaluated(schedule, kept, resources)
    if schedule.name in CHEAP | TO_BACKUP | {"weekly_retention"}:
        assert len(evaluated.run_requests) == 1
    else:
        assert evaluated.skip_message
    assert defs.resolve_job_def(schedule.job_name)
    assert defs.resolve_schedule_def(schedule.name).description == schedule.description


def test_the_refresh_asks_for_each_dataset_that_was_fetched_before_in_a_run_of_its_own(
    kept: dg.DagsterInstance, resources: dict[str, Any], store: Store
) -> None:
    added, gone = partitions_to_change(kept)
    assert {"iris", "wine", "wikitext-2"} <= set(added)
    assert "siemens-star" not in added  # its file is the user's
    assert "simulated-scan" not in added
    assert gone == []
    kept.add_dynamic_partitions("external", added)
    for name in ("iris", "wine", "digits-of-mine"):
        card = DatasetCard(name=name, source="a book", version="1", licence="CC0-1.0")
        keep_dataset(store, card, {"x": [1, 2]}, None)
    asked = _evaluated(external_schedule("UTC"), kept, resources)
    assert [request.partition_key for request in asked.run_requests] == ["iris", "wine"]
    again = _evaluated(external_schedule("UTC"), kept, resources)
    assert [one.run_key for one in asked.run_requests] == [one.run_key for one in again.run_requests]


def test_a_time_zone_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALTI_TIME_ZONE", "Mars/Olympus")
    with pytest.raises(ValueError, match="no time zone of the IANA database; write one such as Europe/Berlin"):
        Settings()


def test_every_job_and_asset_of_the_store_is_described_and_holds_no_place_that_others_wait_for() -> None:
    for job in MAINTENANCE_JOBS:
        assert len(str(job.description)) > 40, job.name
    graph = defs.resolve_asset_graph()
    for asset in MAINTENANCE:
        node = graph.get(asset.key)
        assert len(str(node.description)) > 100, asset.key
        assert node.group_name == "store"
        assert not node.pools
