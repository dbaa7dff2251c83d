"""New files in ``data/raw/``: validated once each, recorded, and ingested where accepted."""

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
    description="Validates every new file in data/raw/ against its contract, moves what is rejected to "
    "data/quarantine/, and ingests what is accepted, many in one run.",
)
def raw_files(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult | dg.SkipReason:
    folder = Folder(Settings().raw)
    if not folder.folder.is_dir():
        return dg.SkipReason(f"there is no folder {folder.folder}")
    return evaluate(context, folder, store.location)
