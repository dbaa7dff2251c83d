"""Titanic and house prices as samples: the text without its answer, labels where there are any, ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smalti.datasets import DatasetSpec, HousePricesDataset, TitanicDataset
from smalti.datasets.house_prices import FEATURES
from smalti.errors import NotFound, Refused

HEADER = "PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Parch,Ticket,Fare,Cabin,Embarked"
TRAIN = [f'{n},{n % 2},3,"Doe, Mr. {n}",male,{20 + n},1,0,A/5 {n},7.25,,S' for n in range(1, 21)]


@pytest.fixture
def titanic(tmp_path: Path) -> DatasetSpec:
    (tmp_path / "titanic_train.csv").write_text("\n".join([HEADER, *TRAIN, ""]))
    test = [row.replace(f",{n % 2},", ",", 1) for n, row in enumerate(TRAIN[:3], start=1)]
    (tmp_path / "titanic_test.csv").write_text("\n".join([HEADER.replace("Survived,", ""), *test, ""]))
    kind = "binary_classification"
    return DatasetSpec("titanic", tmp_path, kind, 891, 10, "Survived", recommended_max_length=64)  # type: ignore[arg-type]


def test_a_passenger_is_a_text_tokens_and_a_label(titanic: DatasetSpec) -> None:
    data = TitanicDataset(titanic, split="train")
    sample = data[2]
    assert sample["metadata"] == {"id": 3}
    assert sample["labels"].dtype == np.int32
    assert (sample["labels"].shape, int(sample["labels"])) == ((), 1)
    assert sample["input_ids"].dtype == sample["attention_mask"].dtype == np.int32
    assert sample["input_ids"].shape == sample["attention_mask"].shape == (64,)
    assert sample["text"]
    assert data.get_sample_by_id(3)["text"] == sample["text"]
    assert data.get_batch([0, 1, 2])["labels"].tolist() == [1, 0, 1]


def test_the_answer_is_not_in_the_text(titanic: DatasetSpec) -> None:
    text = TitanicDataset(titanic)[0]["text"]
    path = titanic.dataset_path / "titanic_train.csv"
    path.write_text(path.read_text().replace("\n1,1,3,", "\n1,0,3,"))
    assert TitanicDataset(titanic)[0]["text"] == text


def test_the_test_split_has_no_label_and_the_tokens_of_the_train_split(titanic: DatasetSpec) -> None:
    train, test = TitanicDataset(titanic), TitanicDataset(titanic, "test")
    assert len(test) == 3
    assert "labels" not in test[0]
    assert test[0]["text"] == train[0]["text"]
    assert test[0]["input_ids"].tolist() == train[0]["input_ids"].tolist()


def test_a_missing_column_and_a_missing_answer_are_named(titanic: DatasetSpec) -> None:
    path = titanic.dataset_path / "titanic_train.csv"
    text = path.read_text()
    path.write_text(text.replace("Cabin", "Room"))
    with pytest.raises(Refused, match=r"the train split of titanic in .* lacks the columns Cabin; it has PassengerId"):
        TitanicDataset(titanic)
    path.write_text(text.replace("\n2,0,", "\n2,,"))
    with pytest.raises(Refused, match="has no Survived in 1 rows, row 1 first"):
        TitanicDataset(titanic)


def test_a_split_without_a_file_says_what_it_may_be_called(titanic: DatasetSpec) -> None:
    with pytest.raises(NotFound, match=r"put it there as validation\.csv or titanic_validation\.csv"):
        TitanicDataset(titanic, "validation")


def test_a_house_is_a_text_and_its_price(tmp_path: Path) -> None:
    assert len(FEATURES) == len(set(FEATURES)) == 79
    names = ["Id", *FEATURES, "SalePrice"]
    rows = [[str(n), *(["20"] * 79), str(100_000 + n)] for n in range(1, 6)]
    (tmp_path / "train.csv").write_text("\n".join(",".join(row) for row in [names, *rows]) + "\n")
    spec = DatasetSpec("house-prices", tmp_path, "regression", 1460, 79, "SalePrice")  # type: ignore[arg-type]
    sample = HousePricesDataset(spec)[1]
    assert (sample["labels"].dtype, sample["labels"].tolist()) == (np.float32, [100_002.0])
    assert sample["metadata"] == {"id": 2}
    assert "100002" not in sample["text"]
