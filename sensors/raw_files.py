"""New files in ``data/raw/``: validated once each, recorded, and ingested where accepted."""

import dagster as dg

from assets.arrival import ledger_path
from jobs import ingest, reconstruct, train_on_table
from resources import SettingsResource, StoreResource
from sensors.arrivals import evaluate
from smalti.ingest.source import Folder
from smalti.settings import Settings
from smalti.store.commit import machine_errors


@dg.sensor(
    jobs=[ingest, reconstruct, train_on_table],
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks at data/raw/. A new or changed file that holds still is validated against its contract, stored "
    "and recorded as a partition of its raw asset, without a run; one that is refused is moved to data/quarantine/ and "
    "listed by rejected_files. What was accepted is ingested, up to a hundred files in one run. Dropping a file again "
    "asks for what failed to come of it.",
)
def raw_files(
    context: dg.SensorEvaluationContext, store: StoreResource, settings: SettingsResource
) -> dg.SensorResult | dg.SkipReason:
    root = settings.read()
    folder = Folder(root.raw)
    if not folder.folder.is_dir():
        if ledger_path(context.instance).exists():  # a disk that is not mounted, rather than a fresh machine
            return dg.SkipReason(f"there is no folder {folder.folder} any more; mount its disk, or make it again")
        make_folders(root)
    return evaluate(context, folder, store.location)


def make_folders(settings: Settings) -> None:
    """Make the folders where people drop files and look for what became of them.

    Raises:
        Unavailable: the machine does not let one be made.
    """
    for folder in (settings.raw, settings.quarantine, settings.interim, settings.processed, settings.products):
        with machine_errors(f"making {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
