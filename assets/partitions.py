"""The partitions of assets: scans, products, tables, tables to train on, trials; each key is added when it arrives."""

import dagster as dg

from smalti.ingest.kinds import kinds

PARTITIONS = {name: dg.DynamicPartitionsDefinition(name=name) for name in sorted({kind.partitions for kind in kinds()})}
SCANS, PRODUCTS, DATASETS = PARTITIONS["scan"], PARTITIONS["product"], PARTITIONS["dataset"]
TRAINING_TABLES = dg.DynamicPartitionsDefinition(name="training_table")
TRIALS = dg.MultiPartitionsDefinition(
    {"dataset": TRAINING_TABLES, "trial": dg.DynamicPartitionsDefinition(name="trial")}
)
