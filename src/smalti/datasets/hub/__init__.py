"""Datasets of the Hugging Face hub: tables out of the Parquet files of a repository, pinned to one commit."""

from smalti.datasets.hub.dataset import fetch_hub_dataset, pinned_commit

__all__ = ["fetch_hub_dataset", "pinned_commit"]
