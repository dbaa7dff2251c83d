"""New files in ``data/raw/``: judged once each, recorded, and what is accepted is ingested."""

import dagster as dg

from jobs import ingest
from resources import StoreResource
from sensors.arrivals import evaluate
from smalti.ingest.source import Folder
from smalti.settings import Settings


@dg.sensor(
    target=ingest,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Judges every new file in data/raw/ by its contract, moves what is rejected to data/quarantine/, and "
    "ingests what is accepted, many in one run.",
)
def raw_files(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult | dg.SkipReason:
    folder = Folder(Settings().raw)
    if not folder.folder.is_dir():
        return dg.SkipReason(f"there is no folder {folder.folder}")
    return evaluate(context, folder, store.place)
