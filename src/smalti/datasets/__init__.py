"""Datasets: fetched by name, each with its card; competitions and their samples; splits of scans and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalti.lazy_names import lazy_names

if TYPE_CHECKING:
    from smalti.datasets.card import DatasetCard
    from smalti.datasets.competitions.dataset import KaggleDataset
    from smalti.datasets.competitions.metadata import CompetitionMetadata, CompetitionType
    from smalti.datasets.competitions.registry import DatasetRegistry
    from smalti.datasets.competitions.spec import DatasetSpec
    from smalti.datasets.fetchers import fetch_dataset, register_dataset
    from smalti.datasets.house_prices import HousePricesDataset
    from smalti.datasets.titanic import TitanicDataset

# Where each public name lives; imported when first used, so that `import smalti.datasets` stays light.
_HOME = {
    "CompetitionMetadata": "smalti.datasets.competitions.metadata",
    "CompetitionType": "smalti.datasets.competitions.metadata",
    "DatasetCard": "smalti.datasets.card",
    "DatasetRegistry": "smalti.datasets.competitions.registry",
    "DatasetSpec": "smalti.datasets.competitions.spec",
    "HousePricesDataset": "smalti.datasets.house_prices",
    "KaggleDataset": "smalti.datasets.competitions.dataset",
    "TitanicDataset": "smalti.datasets.titanic",
    "download_dataset": "smalti.datasets.external",
    "fetch_dataset": "smalti.datasets.fetchers",
    "register_dataset": "smalti.datasets.fetchers",
}

__all__ = [
    "CompetitionMetadata",
    "CompetitionType",
    "DatasetCard",
    "DatasetRegistry",
    "DatasetSpec",
    "HousePricesDataset",
    "KaggleDataset",
    "TitanicDataset",
    "download_dataset",
    "fetch_dataset",
    "register_dataset",
]

__getattr__ = lazy_names(__name__, _HOME)
