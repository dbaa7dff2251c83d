"""The one list of what Dagster loads."""

import dagster as dg

from assets.checks import explains_the_scan, is_sound
from assets.evaluations import cross_validation
from assets.imported import imported_product
from assets.products import ptychodus_product
from assets.raw import RAW
from assets.reconstructions import reconstruction, resolution
from assets.rejected import nothing_waits_to_be_mended, rejected_files
from assets.scans import scan
from assets.splits import scan_split, text_split
from assets.submissions import submission
from assets.tables import table
from assets.trials import sweep
from jobs import JOBS, bert_checkpoint, bert_trial, nightly_check, ptycho_checkpoint
from jobs.console import console
from resources import local
from sensors.ingested import ingested_scans, ingested_tables
from sensors.raw_files import raw_files
from sensors.raw_objects import raw_objects
from sensors.run_manifests import run_manifests

defs = dg.Definitions(
    assets=[
        *RAW.values(),
        *(rejected_files, imported_product),
        *(scan, scan_split, ptycho_checkpoint, reconstruction, resolution, ptychodus_product),
        *(table, text_split, bert_checkpoint, submission, cross_validation, bert_trial, sweep),
    ],
    asset_checks=[nothing_waits_to_be_mended, explains_the_scan, is_sound],
    jobs=JOBS,
    schedules=[nightly_check],
    sensors=[raw_files, raw_objects, ingested_scans, ingested_tables, run_manifests],
    resources=local(),
    loggers={"console": console},
    # A step here is a few milliseconds or a child process of its own: a further process per step only costs.
    executor=dg.in_process_executor,
)
