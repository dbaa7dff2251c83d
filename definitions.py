"""What Dagster loads: the assets, jobs, schedules and sensors of the modules, and what they are given."""

import dagster as dg

import assets
from assets.described import described
from assets.raw import RAW
from assets.rejected import nothing_waits_to_be_mended, rejected_files
from jobs import JOBS, training
from jobs.console import console
from jobs.maintenance import MAINTENANCE
from jobs.schedules import define_schedules
from resources import local
from sensors.automation import new_content
from sensors.external import external_datasets
from sensors.failures import failures
from sensors.ingested import ingested_scans, ingested_tables
from sensors.raw_files import raw_files
from sensors.raw_objects import raw_objects
from sensors.run_manifests import run_manifests
from smalti.settings import Settings

defs = dg.Definitions(
    assets=described(
        [
            *RAW.values(),
            rejected_files,
            *dg.load_assets_from_package_module(assets),
            *dg.load_assets_from_modules([training]),
            *MAINTENANCE,
        ]
    ),
    asset_checks=[nothing_waits_to_be_mended],
    jobs=JOBS,
    schedules=define_schedules(Settings().time_zone),
    sensors=[
        *(raw_files, raw_objects, ingested_scans, ingested_tables, external_datasets),
        *(new_content, run_manifests, failures),
    ],
    resources=local(),
    loggers={"console": console},
    # A step here is a few milliseconds or a child process of its own: a further process per step only costs.
    executor=dg.in_process_executor,
)
