"""New objects below an S3 prefix, ``SMALTI_RAW_URL``: validated once each, recorded, ingested where accepted."""

import dagster as dg
from dagster_aws.s3 import S3Resource

from jobs import ingest, reconstruct, train_on_table
from resources import SettingsResource, StoreResource
from resources.prefix import Prefix
from sensors.arrivals import evaluate


@dg.sensor(
    jobs=[ingest, reconstruct, train_on_table],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks at the objects below SMALTI_RAW_URL, where that is set. Each new or changed one is validated "
    "against its contract, stored and recorded as a partition of its raw asset, without a run; of one that is refused "
    "a copy is kept in data/quarantine/ and listed by rejected_files. What was accepted is ingested, up to a hundred "
    "in one run. Nothing in the bucket is ever changed.",
)
def raw_objects(
    context: dg.SensorEvaluationContext, store: StoreResource, settings: SettingsResource
) -> dg.SensorResult | dg.SkipReason:
    root = settings.read()
    url = root.raw_url
    if not url:
        return dg.SkipReason("no bucket is looked at; set SMALTI_RAW_URL to s3://bucket/prefix")
    return evaluate(context, Prefix.at(url, S3Resource(endpoint_url=root.s3_endpoint).get_client()), store.location)
