"""Checkpoints: trained networks with all they need to go on. The ops that train them are in ``jobs.training``."""

import dagster as dg

from assets.raw import SCANS
from assets.scans import scan
from assets.splits import scan_split


def ptycho_checkpoint(training: dg.GraphDefinition) -> dg.AssetsDefinition:
    """Return the checkpoint asset that ``training``, a graph of ops (scan, split) -> checkpoint, makes."""
    return dg.AssetsDefinition.from_graph(
        training,
        keys_by_input_name={"scan": scan.key, "split": scan_split.key},
        keys_by_output_name={"result": dg.AssetKey("ptycho_checkpoint")},
        partitions_def=SCANS,
        group_name="ptychography",
        descriptions_by_output_name={
            "result": "A network trained without labels, through the physics: diffraction in, object patch out."
        },
        tags_by_output_name={"result": {"dagster/kind/mlx": ""}},
    )
