"""Datasets of others in ``data/external``: fetched once, checked ever after, kept up to a quota."""

from smalti.datasets.external.cache import Entry, ExternalCache
from smalti.datasets.external.dataset import download_dataset
from smalti.datasets.external.kaggle import fetch_kaggle
from smalti.datasets.external.source import Source

__all__ = ["Entry", "ExternalCache", "Source", "download_dataset", "fetch_kaggle"]
