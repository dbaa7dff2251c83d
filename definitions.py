"""The one list of what Dagster loads."""

import dagster as dg

from assets.checks import CONTRACTS, explains_the_scan, is_sound
from assets.evaluations import cross_validation
from assets.external import external_dataset
from assets.products import ptychodus_product
from assets.raw import RAW
from assets.reconstructions import reconstruction, resolution
from assets.scans import scan
from assets.splits import scan_split, text_split
from assets.submissions import submission
from assets.tables import table
from assets.trials import sweep
from jobs import JOBS, bert_checkpoint, bert_trial, ptycho_checkpoint
from jobs.console import console
from jobs.maintenance import MAINTENANCE
from jobs.schedules import define_schedules
from resources import local
from sensors.external import external_datasets
from sensors.ingested import ingested_scans, ingested_tables
from sensors.raw_files import raw_files
from sensors.raw_objects import raw_objects
from sensors.run_manifests import run_manifests
from smalti.settings import Settings

defs = dg.Definitions(
    assets=[
        *RAW.values(),
        *(scan, scan_split, ptycho_checkpoint, reconstruction, resolution, ptychodus_product),
        *(table, text_split, bert_checkpoint, submission, cross_validation, bert_trial, sweep),
        *(external_dataset, *MAINTENANCE),
    ],
    asset_checks=[*CONTRACTS, explains_the_scan, is_sound],
    jobs=JOBS,
    schedules=define_schedules(Settings().time_zone),
    sensors=[raw_files, raw_objects, ingested_scans, ingested_tables, run_manifests, external_datasets],
    resources=local(),
    loggers={"console": console},
    # A step here is a few milliseconds or a child process of its own: a further process per step only costs.
    executor=dg.in_process_executor,
)
