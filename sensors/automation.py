"""The sensor that evaluates the automation conditions of all assets."""

import dagster as dg

new_content = dg.AutomationConditionSensorDefinition(
    "new_content",
    target=dg.AssetSelection.all(),
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes again what follows from content that changed: a reconstruction from a new checkpoint, a product "
    "from a new reconstruction, a submission from a new BERT. Equal content asks for nothing.",
)
