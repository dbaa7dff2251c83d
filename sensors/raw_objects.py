"""New objects below an S3 prefix, ``SMALTI_RAW_URL``: validated once each, recorded, ingested where accepted."""

import dagster as dg
from dagster_aws.s3 import S3Resource

from jobs import ingest
from resources import SettingsResource, StoreResource
from resources.prefix import Prefix
from sensors.arrivals import evaluate


@dg.sensor(
    target=ingest,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Validates every new object below SMALTI_RAW_URL against its contract, keeps a copy of what is "
    "rejected in data/quarantine/, and ingests what is accepted. Nothing in the bucket is ever changed.",
)
def raw_objects(
    context: dg.SensorEvaluationContext, store: StoreResource, settings: SettingsResource
) -> dg.SensorResult | dg.SkipReason:
    read = settings.read()
    url = read.raw_url
    if not url:
        return dg.SkipReason("no bucket is looked at; set SMALTI_RAW_URL to s3://bucket/prefix")
    return evaluate(context, Prefix.at(url, S3Resource(endpoint_url=read.s3_endpoint).get_client()), store.location)
