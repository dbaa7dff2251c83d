"""What may be launched by name: ingest, train, reconstruct, export, maintenance."""

import dagster as dg

from jobs.ingest import ingest
from jobs.maintenance import maintenance, nightly_check
from jobs.sweeps import define_sweep

__all__ = [
    "JOBS",
    "export",
    "ingest",
    "maintenance",
    "nightly_check",
    "predict",
    "reconstruct",
    "train_on_table",
]

train = dg.define_asset_job(
    "train",
    selection='key:"ptycho_checkpoint"',
    description="Train the network on one scan; what follows from a new checkpoint is made by itself.",
)
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
JOBS = [ingest, train, reconstruct, train_on_table, predict, define_sweep, export, maintenance]
