"""Checkpoints: trained networks with all they need to go on. The ops that train them are in ``jobs.training``."""

import dagster as dg

from assets.automation import on_new_content
from assets.partitions import SCANS, TRAINING_TABLES, TRIALS
from assets.scans import scan
from assets.splits import scan_split, text_split


def ptycho_checkpoint(training: dg.OpDefinition) -> dg.AssetsDefinition:
    """Return the checkpoint asset that ``training``, an op (scan, split) -> checkpoint, makes."""
    return _checkpoint(
        training,
        {"scan": scan.key, "split": scan_split.key},
        SCANS,
        "ptychography",
        "A network trained without labels, through the physics: diffraction in, object patch out.",
    )


def bert_checkpoint(training: dg.OpDefinition) -> dg.AssetsDefinition:
    """Return the checkpoint asset that ``training``, an op split -> checkpoint, makes of a table."""
    about = "A small BERT trained from scratch on the rows of a table."
    condition = on_new_content("text_split")
    return _checkpoint(training, {"split": text_split.key}, TRAINING_TABLES, "tables", about, condition)


def bert_trial(training: dg.OpDefinition) -> dg.AssetsDefinition:
    """Return the asset of checkpoints that ``training`` makes of a table, one for each trial of a sweep."""
    about = "The same with the settings of one trial of a sweep."
    return _checkpoint(training, {"split": text_split.key}, TRIALS, "tables", about)


def _checkpoint(
    training: dg.OpDefinition,
    inputs: dict[str, dg.AssetKey],
    partitions: dg.PartitionsDefinition[str],
    group: str,
    about: str,
    condition: dg.AutomationCondition | None = None,
) -> dg.AssetsDefinition:
    return dg.AssetsDefinition.from_op(
        training,
        keys_by_input_name=inputs,
        keys_by_output_name={"result": dg.AssetKey(training.name)},
        partitions_def=partitions,
        group_name=group,
        descriptions_by_output_name={"result": about},
        tags_by_output_name={"result": {"dagster/kind/mlx": ""}},
        automation_conditions_by_output_name={"result": condition},
    )
