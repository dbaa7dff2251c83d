"""Kaggle's Titanic and house prices: the columns are known, the files are the user's.

The files may not be passed on, so nobody but Kaggle gives them out, to those who accept the rules of the competition.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti.contracts.violation import shown
from smalti.datasets.builtin.places import absent, folders
from smalti.datasets.card import DatasetCard
from smalti.datasets.competitions.files import file_names, first_file, table_in
from smalti.datasets.competitions.tabular import TabularDataset
from smalti.datasets.fetchers import Fetcher
from smalti.datasets.house_prices import HousePricesDataset
from smalti.datasets.titanic import TitanicDataset
from smalti.errors import NotFound, Refused

if TYPE_CHECKING:
    import pyarrow as pa

SPLITS = ("train", "test")

_TITANIC = DatasetCard(
    name="titanic",
    title="Passengers of the Titanic, and which of them survived",
    source="https://www.kaggle.com/competitions/titanic/data",
    version="the competition's train.csv (891 rows) and test.csv (418 rows)",
    licence="the rules of the competition, which Kaggle asks to accept before the download",
    usage="fetch_dataset('titanic', split='train'), with train.csv and test.csv in data/external/titanic/",
    quality=(
        "Age is missing in 177 rows of train and 86 of test, Fare in 1 of test; Cabin is empty in 687 and 327, "
        "Embarked in 2 of train.",
        "Age is estimated where it ends in .5, but for children.",
    ),
)
_HOUSE_PRICES = DatasetCard(
    name="house-prices",
    title="Houses sold in Ames, Iowa, from 2006 to 2010, and their prices in US dollars",
    source="https://www.kaggle.com/competitions/house-prices-advanced-regression-techniques/data",
    version="the competition's train.csv (1460 rows) and test.csv (1459 rows)",
    licence="the rules of the competition, which Kaggle asks to accept before the download",
    usage="fetch_dataset('house-prices', split='train'), with train.csv and test.csv in data/external/house-prices/",
    quality=(
        "NA in a column of text says that the house has no such part (alley, pool, fence), and is kept as text; in a "
        "column of numbers it is read as missing.",
    ),
    citation="D. De Cock, Ames, Iowa: Alternative to the Boston Housing Data, J. of Statistics Education 19(3), 2011",
)


def _fetch(
    dataset: type[TabularDataset],
    card: DatasetCard,
    split: str | None = None,
    path: str | Path | None = None,
    download: bool = False,
) -> Any:
    """Return the table of one split, or those there are by split.

    Args:
        download: get the files from Kaggle where they are not here, with the credentials of the settings.

    Raises:
        NotFound: there is no such split, or its file is not where it is looked for.
        Refused: a column of Kaggle's is not in it, or Kaggle does not give it out to this account.
        Unavailable: Kaggle cannot be reached.
    """
    if split not in (None, *SPLITS):
        raise NotFound(f"{card.name} has no split {shown(str(split))}; its splits are {', '.join(SPLITS)}.")
    looked, wanted = folders(card.name, path), SPLITS if split is None else (split,)
    there = _files(card.name, looked, wanted)
    if not there and download:
        from smalti.datasets.external import fetch_kaggle

        folder = fetch_kaggle(card.source.split("/")[-2], card.name, licence=card.licence)
        there = _files(card.name, (folder,), wanted)
    if not there:
        get_it = (
            f"Put it there from {card.source}, name its folder (path=, --path), or have it downloaded with your Kaggle "
            "key in .env (download=True, --download)."
        )
        raise absent(card.name, file_names(card.name, wanted[0]), looked, get_it)
    tables = {each: _checked(table_in(file), dataset, each, file) for each, file in there.items()}
    return tables if split is None else tables[split]


def _files(competition: str, looked: tuple[Path, ...], splits: tuple[str, ...]) -> dict[str, Path]:
    found = {s: first_file(folder / n for folder in looked for n in file_names(competition, s)) for s in splits}
    return {split: file for split, file in found.items() if file}


def _checked(table: pa.Table, dataset: type[TabularDataset], split: str, file: Path) -> pa.Table:
    wanted = dataset.columns if split == "test" else (*dataset.columns, dataset.target)
    if missing := [name for name in wanted if name not in table.column_names]:
        raise Refused(
            f"{shown(str(file))} is not the {split} table of {dataset.competition}: it lacks {', '.join(missing)}; "
            "download it again."
        )
    return table


def _fetcher(dataset: type[TabularDataset], card: DatasetCard) -> Fetcher:
    function: Callable[..., Any] = partial(_fetch, dataset, card)
    return Fetcher(card.name, function, card, from_your_file=True)


COMPETITIONS = (_fetcher(TitanicDataset, _TITANIC), _fetcher(HousePricesDataset, _HOUSE_PRICES))
