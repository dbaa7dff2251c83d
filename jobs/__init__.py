"""What may be launched by name: ingest, train, reconstruct, export, maintenance."""

import dagster as dg

from jobs.external import refresh_external_datasets
from jobs.ingest import ingest
from jobs.maintenance import MAINTENANCE_JOBS
from jobs.retraining import retrain_on_scan, retrain_on_table
from jobs.sweeps import define_sweep
from jobs.training import bert_checkpoint, bert_trial, ptycho_checkpoint

__all__ = [
    "JOBS",
    "bert_checkpoint",
    "bert_trial",
    "ingest",
    "ptycho_checkpoint",
    "reconstruct",
    "train_on_table",
]

train = dg.define_asset_job(
    "train",
    selection='key:"ptycho_checkpoint"',
    description="Train the network on one scan.",
)
reconstruct = dg.define_asset_job(
    "reconstruct",
    selection=dg.AssetSelection.assets("scan_split").downstream(include_self=False),
    description="From a scan that was ingested to its Ptychodus product, every step.",
)
train_on_table = dg.define_asset_job(
    "train_on_table",
    selection=dg.AssetSelection.assets("text_split", "bert_checkpoint", "submission", "cross_validation"),
    description="From a table that was ingested to its submission and figures, every step.",
)
export = dg.define_asset_job(
    "export",
    selection='key:"ptychodus_product"',
    description="Write the product of a finished reconstruction again.",
)
JOBS = [
    *(ingest, train, reconstruct, train_on_table, define_sweep, export),
    *(*MAINTENANCE_JOBS, refresh_external_datasets, retrain_on_scan, retrain_on_table),
]
