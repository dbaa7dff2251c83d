"""The documents whose systems these are, and the data that their examples speak of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from smalti.datasets import DatasetSpec
from smalti.datasets.house_prices import FEATURES

_SPEC = Path(os.environ.get("SMALTI_TEST_SPEC", Path(__file__).parents[3] / "shared" / "spec"))
_PASSENGERS = 120


@pytest.fixture(scope="session")
def spec_folder() -> Path:
    """The folder of the documents."""
    if not (_SPEC / "mlx_bert_data_module.md").is_file():
        pytest.skip(f"the documents are not in {_SPEC}; set SMALTI_TEST_SPEC to the folder that holds them")
    return _SPEC


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty root that is the current folder too, as where the documents' examples are run."""
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def titanic_spec(root: Path) -> DatasetSpec:
    """A folder with 120 passengers of whom it is known whether they survived, and their spec."""
    folder = root / "data" / "titanic"
    folder.mkdir(parents=True)
    names = "PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Parch,Ticket,Fare,Cabin,Embarked"
    rows = [
        f'{n},{n % 2},{n % 3 + 1},"Doe, Mr. {n}",{"male" if n % 3 else "female"},{n % 70 + 1},{n % 2},0,A/{n},{n}.5,,S'
        for n in range(1, _PASSENGERS + 1)
    ]
    (folder / "train.csv").write_text("\n".join([names, *rows, ""]))
    return DatasetSpec(
        competition_name="titanic",
        dataset_path=folder,
        competition_type="binary_classification",  # type: ignore[arg-type]
        num_samples=_PASSENGERS,
        num_features=10,
        target_column="Survived",
        recommended_max_length=48,
    )


@pytest.fixture
def house_prices(root: Path) -> Path:
    """``data/house-prices`` with 40 houses in ``train.csv`` and 10 in ``test.csv``, with Kaggle's columns."""
    folder = root / "data" / "house-prices"
    folder.mkdir(parents=True)

    def row(number: int, *end: Any) -> str:
        zone = FEATURES.index("MSZoning")
        values = ["RL" if place == zone else number % (place + 2) for place in range(len(FEATURES))]
        return ",".join(map(str, [number, *values, *end]))

    train = [row(n, 100_000 + 500 * n) for n in range(1, 41)]
    (folder / "train.csv").write_text("\n".join([",".join(["Id", *FEATURES, "SalePrice"]), *train, ""]))
    (folder / "test.csv").write_text("\n".join([",".join(["Id", *FEATURES]), *map(row, range(41, 51)), ""]))
    return folder
