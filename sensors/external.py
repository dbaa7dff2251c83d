"""The partitions of external_dataset are the datasets that can be fetched here."""

import dagster as dg

from assets.external import EXTERNAL
from jobs.external import partitions_to_change


@dg.sensor(
    minimum_interval_seconds=600,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every ten minutes: a dataset that can be fetched is a partition of external_dataset, and one that no "
    "longer can is none. Files in data/datasets are run to see what they register. Nothing is fetched.",
)
def external_datasets(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    added, gone = partitions_to_change(context.instance)
    if not added and not gone:
        return dg.SkipReason("the datasets that can be fetched are the partitions")
    requests = [EXTERNAL.build_add_request(added)] * bool(added) + [EXTERNAL.build_delete_request(gone)] * bool(gone)
    return dg.SensorResult(dynamic_partitions_requests=requests)
