"""Keeping the store healthy: checks, collection, retention, backup and the restore drill, each an asset of its own."""

import dagster as dg

from assets.health import store_health
from jobs.maintenance.backup import backup, restore_drill
from jobs.maintenance.checks import full_check, sampled_check
from jobs.maintenance.collection import garbage_collection, retention

__all__ = [
    "MAINTENANCE",
    "MAINTENANCE_JOBS",
    "apply_retention",
    "back_up",
    "check_everything",
    "check_sample",
    "collect_garbage",
    "drill_restore",
    "refresh_health",
]

MAINTENANCE = [sampled_check, full_check, garbage_collection, retention, backup, restore_drill]

check_sample = dg.define_asset_job(
    "check_sample",
    selection=dg.AssetSelection.assets(sampled_check, store_health),
    description="Read one part of the stored objects whole, another each time, and refresh store_health. "
    "As `smalti fsck --sample 30`.",
)
check_everything = dg.define_asset_job(
    "check_everything",
    selection=dg.AssetSelection.assets(full_check, store_health),
    description="Read every byte of the store and refresh store_health. As `smalti fsck --full`.",
)
collect_garbage = dg.define_asset_job(
    "collect_garbage",
    selection=dg.AssetSelection.assets(garbage_collection, store_health),
    config={"ops": {"garbage_collection": {"config": {"dry_run": False}}}},
    description="Condemn what nothing needs, remove what was condemned before, and refresh store_health. "
    "As `smalti gc --no-dry-run`.",
)
apply_retention = dg.define_asset_job(
    "apply_retention",
    selection=dg.AssetSelection.assets(retention),
    description="Take away old versions of names, as the configured policy says; by default only say which. "
    "As `smalti retain`.",
)
back_up = dg.define_asset_job(
    "back_up",
    selection=dg.AssetSelection.assets(backup),
    description="Push everything that the store keeps to SMALTI_BACKUP_URL. As `smalti push`.",
)
drill_restore = dg.define_asset_job(
    "drill_restore",
    selection=dg.AssetSelection.assets(restore_drill),
    description="Restore a random product and another value from SMALTI_BACKUP_URL, and verify them. "
    "As `smalti drill`.",
)
refresh_health = dg.define_asset_job(
    "refresh_health",
    selection=dg.AssetSelection.assets(store_health),
    description="Measure the store: size, deduplication, last checks, free disk.",
)

MAINTENANCE_JOBS = [
    check_sample,
    check_everything,
    collect_garbage,
    apply_retention,
    back_up,
    drill_restore,
    refresh_health,
]
