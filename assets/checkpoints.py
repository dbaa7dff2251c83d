"""Checkpoints: trained networks with all they need to go on. The ops that train them are in ``jobs.training``."""

import dagster as dg

from assets.raw import DATASETS, SCANS, TRIALS
from assets.scans import scan
from assets.splits import scan_split, text_split

_KIND = {"dagster/kind/mlx": ""}


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
        tags_by_output_name={"result": _KIND},
    )


def bert_checkpoint(training: dg.GraphDefinition) -> dg.AssetsDefinition:
    """Return the checkpoint asset that ``training``, a graph of ops split -> checkpoint, makes of a table."""
    return _of_text("bert_checkpoint", training, DATASETS, "A small BERT trained from scratch on the rows of a table.")


def bert_trial(training: dg.GraphDefinition) -> dg.AssetsDefinition:
    """Return the asset of checkpoints that ``training`` makes of a table, one for each trial of a sweep."""
    return _of_text("bert_trial", training, TRIALS, "The same with the settings of one trial of a sweep.")


def _of_text(
    name: str, training: dg.GraphDefinition, partitions: dg.PartitionsDefinition[str], about: str
) -> dg.AssetsDefinition:
    return dg.AssetsDefinition.from_graph(
        training,
        keys_by_input_name={"split": text_split.key},
        keys_by_output_name={"result": dg.AssetKey(name)},
        partitions_def=partitions,
        group_name="tables",
        descriptions_by_output_name={"result": about},
        tags_by_output_name={"result": _KIND},
    )
