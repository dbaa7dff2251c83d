"""The datasets that come with smalti: each has a card, and those that can be are read without a network."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sklearn.datasets

from smalti.codecs import Scan
from smalti.datasets import fetch_dataset
from smalti.datasets.builtin import BUILT_IN
from smalti.datasets.builtin.tables import TABLES, _check_files
from smalti.datasets.card import DatasetCard
from smalti.errors import ContractBroken, Damaged, NotFound, Refused
from smalti.scans.shipped import shipped_cards


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    return tmp_path


def test_every_built_in_dataset_has_a_card_of_its_own_name() -> None:
    names = [fetcher.name for fetcher in BUILT_IN]
    assert {"titanic", "house-prices", "wikitext-2", "wikitext-103", "siemens-star", "iris", "digits"} <= set(names)
    assert len(set(names)) == len(names)
    assert [fetcher.card.name if fetcher.card else None for fetcher in BUILT_IN] == names
    assert all(fetcher.card and fetcher.card.title and fetcher.card.usage for fetcher in BUILT_IN)


@pytest.mark.parametrize(
    ("name", "loader", "options"),
    [
        ("iris", "load_iris", {}),
        ("wine", "load_wine", {}),
        ("breast-cancer", "load_breast_cancer", {}),
        ("diabetes", "load_diabetes", {"scaled": False}),
        ("digits", "load_digits", {}),
    ],
)
def test_a_table_of_scikit_learn_is_what_scikit_learn_reads(name: str, loader: str, options: dict[str, Any]) -> None:
    theirs: Any = getattr(sklearn.datasets, loader)(**options)
    ours = fetch_dataset(name)
    assert ours.column_names == [*map(str, theirs.feature_names), "target"]
    assert np.array_equal(np.column_stack([ours[column] for column in ours.column_names[:-1]]), theirs.data)
    target = ours["target"].to_numpy()
    named = target if target.dtype != object else np.array([list(theirs.target_names).index(t) for t in target])
    assert np.array_equal(named, theirs.target)


def test_another_edition_of_a_file_is_told_from_the_one_of_the_card() -> None:
    card = TABLES[0].card
    assert card
    other = DatasetCard(**{**card.to_document(), "checksums": {"iris.csv": "0" * 64}})
    with pytest.raises(
        Damaged, match=r"iris\.csv in scikit-learn has SHA-256 f13f.*, and the card of iris is about 0000"
    ):
        _check_files(other)


def titanic_files(folder: Path) -> None:
    folder.mkdir(parents=True)
    names = "PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Parch,Ticket,Fare,Cabin,Embarked"
    (folder / "train.csv").write_text(f'{names}\n1,0,3,"Doe, Mr. A",male,22,1,0,A/5,7.25,,S\n')
    (folder / "test.csv").write_text(f'{names.replace("Survived,", "")}\n892,3,"Roe, Ms. B",female,,0,0,X,7,,Q\n')


@pytest.mark.parametrize("place", ["data/external/titanic", "data/raw/titanic", "data/titanic"])
def test_a_competition_is_read_from_the_files_of_the_user(root: Path, place: str) -> None:
    titanic_files(root / place)
    both = fetch_dataset("titanic")
    assert {split: table.shape for split, table in both.items()} == {"train": (1, 12), "test": (1, 11)}
    assert fetch_dataset("titanic", split="test").equals(both["test"])
    assert fetch_dataset("titanic", path=root / place, split="train").equals(both["train"])


def test_a_file_that_is_not_there_says_where_it_was_looked_for_and_how_to_get_it(root: Path) -> None:
    with pytest.raises(
        NotFound, match=r"house-prices is not here: train\.csv or .*data/external/house-prices.*kaggle\.com"
    ):
        fetch_dataset("house-prices")
    (root / "mine.csv").write_text("a")
    with pytest.raises(NotFound, match=r"is not in .*mine\.csv \(a file\)\. .*name its folder \(path=, --path\)"):
        fetch_dataset("titanic", path=root / "mine.csv")
    titanic_files(root / "data" / "raw" / "titanic")
    with pytest.raises(NotFound, match="titanic has no split validation; its splits are train, test"):
        fetch_dataset("titanic", split="validation")
    with pytest.raises(Refused, match=r"train\.csv is not the train table of house-prices: it lacks Id, MSSubClass"):
        fetch_dataset("house-prices", path=root / "data" / "raw" / "titanic")


def test_a_competition_comes_from_kaggle_only_when_that_is_asked_for(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def fetch_kaggle(competition: str, name: str, *, licence: str) -> Path:
        asked.append((competition, name, licence))
        titanic_files(root / "data" / "external" / name)
        return root / "data" / "external" / name

    external = ModuleType("smalti.datasets.external")
    vars(external)["fetch_kaggle"] = fetch_kaggle
    monkeypatch.setitem(sys.modules, external.__name__, external)
    with pytest.raises(NotFound, match=r"with your Kaggle key in \.env \(download=True, --download\)"):
        fetch_dataset("titanic")
    assert asked == []
    assert fetch_dataset("titanic", download=True, split="train").num_rows == 1
    assert fetch_dataset("titanic", download=True, split="train").num_rows == 1
    assert [(competition, name) for competition, name, _ in asked] == [("titanic", "titanic")], "once: then it is here"
    with pytest.raises(Refused, match="is not the train table of house-prices"):
        fetch_dataset("house-prices", download=True)
    assert asked[1][:2] == ("house-prices-advanced-regression-techniques", "house-prices")


def test_the_measured_star_is_read_where_its_bytes_are_those_of_the_card(root: Path, star_path: Path) -> None:
    (root / "data" / "raw").mkdir(parents=True)
    with pytest.raises(NotFound, match=r"siemens-star is not here: .*Download it from https://github\.com"):
        fetch_dataset("siemens-star")
    shutil.copy(star_path, root / "data" / "raw")
    assert fetch_dataset("siemens-star").diffraction.shape == (516, 128, 128)
    with (root / "data" / "raw" / star_path.name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(ContractBroken, match="SHA-256"):
        fetch_dataset("siemens-star")


def test_the_card_of_the_star_agrees_with_the_one_that_is_shipped_for_the_file() -> None:
    star = next(fetcher.card for fetcher in BUILT_IN if fetcher.name == "siemens-star")
    assert star
    shipped = next(card for card in shipped_cards() if card.sha256 == star.sha256)
    assert (star.licence, star.version, star.title) == (shipped.licence, shipped.version, shipped.title)


@pytest.mark.parametrize("name", ["simulated-scan", "simulated-star", "simulated-near-field"])
def test_a_simulated_scan_follows_from_its_options(name: str) -> None:
    options = {"positions_per_side": 2, "window": 32, "seed": 3}
    scan = fetch_dataset(name, **options)
    assert isinstance(scan, Scan)
    assert (scan.diffraction.shape, scan.metadata.name) == ((4, 32, 32), name)
    assert np.array_equal(scan.diffraction, fetch_dataset(name, **options).diffraction)
    with pytest.raises(Refused, match=r"'sead'; it takes positions_per_side, window"):
        fetch_dataset(name, sead=3)
    with pytest.raises(Refused, match="is a Scan, which is not split here"):
        fetch_dataset(name, split="train", **options)


@pytest.mark.parametrize("name", ["wikitext-2", "wikitext-103"])
def test_wikitext_is_asked_of_the_hub_by_repository_configuration_and_split(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def fetch_hub_dataset(repository: str, config: str, split: str, *, force: bool = False) -> str:
        asked.append((repository, config, split, force))
        return f"rows of {split}"

    hub = ModuleType("smalti.datasets.hub")
    vars(hub)["fetch_hub_dataset"] = fetch_hub_dataset
    monkeypatch.setitem(sys.modules, hub.__name__, hub)
    assert fetch_dataset(name, split="train", force=True) == "rows of train"
    assert asked == [("Salesforce/wikitext", f"{name}-raw-v1", "train", True)]
    assert fetch_dataset(name) == {split: f"rows of {split}" for split in ("train", "validation", "test")}
    with pytest.raises(Refused, match="unexpected keyword argument 'offline'"):
        fetch_dataset(name, offline=True)
