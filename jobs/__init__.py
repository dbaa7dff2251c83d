"""What may be launched by name: ingest, train, reconstruct, export, maintenance."""

import dagster as dg

from jobs.external import refresh_external_datasets
from jobs.ingest import ingest
from jobs.maintenance import MAINTENANCE_JOBS
from jobs.retraining import train_bert, train_network
from jobs.sweeps import define_sweep

__all__ = [
    "JOBS",
    "export",
    "ingest",
    "predict",
    "reconstruct",
    "train_on_table",
]

reconstruct = dg.define_asset_job(
    "reconstruct",
    selection=dg.AssetSelection.assets("scan_split").downstream(),
    description="From a scan that was ingested to its Ptychodus product, every step.",
)
train_on_table = dg.define_asset_job(
    "train_on_table",
    selection=dg.AssetSelection.assets("text_split", "bert_checkpoint", "submission", "cross_validation"),
    description="From a table that was ingested to its submission and figures, every step.",
)
predict = dg.define_asset_job(
    "predict",
    selection=dg.AssetSelection.assets("submission"),
    description="Predict the rows of a test table with the checkpoint that there is.",
)
export = dg.define_asset_job(
    "export",
    selection='key:"ptychodus_product"',
    description="Write the product of a finished reconstruction again.",
)
JOBS = [
    *(ingest, reconstruct, train_on_table, predict, define_sweep, export),
    *(*MAINTENANCE_JOBS, refresh_external_datasets, train_network, train_bert),
]
