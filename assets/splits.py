"""Splits: which positions train the network and which evaluate it."""

from typing import Any

import dagster as dg

from assets.raw import SCANS
from smalti import Scan
from smalti.datasets.splits import split_positions


class SplitConfig(dg.Config):
    """Attributes:
    validation_fraction: share of the positions that is kept back, between 0 and 1.
    seed: decides which.
    """

    validation_fraction: float = 0.1
    seed: int = 0


@dg.asset(
    partitions_def=SCANS,
    group_name="ptychography",
    kinds={"numpy"},
    description="Position numbers for training and validation.",
)
def scan_split(context: dg.AssetExecutionContext, config: SplitConfig, scan: Scan) -> dict[str, Any]:
    split = split_of(scan, config)
    context.add_output_metadata(counted(split))
    return split


def split_of(scan: Scan, config: SplitConfig) -> dict[str, Any]:
    """Return the split that the config asks for."""
    return split_positions(scan, config.validation_fraction, config.seed)


def counted(split: dict[str, Any]) -> dict[str, int]:
    """Return how many positions each part has."""
    return {name: len(split[name]) for name in ("train", "validation")}
