"""Samples of a competition: what the base class adds to a subclass that reads a file and makes a sample."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pandas as pd
import pytest

from smalti.datasets import DatasetSpec, KaggleDataset
from smalti.errors import NotFound, Refused


class HousesDataset(KaggleDataset):
    def _load_data(self) -> None:
        self._data = pd.read_csv(self.spec.dataset_path / f"{self.split}.csv")

    def _validate_data(self) -> None:
        assert self._data is not None
        if "Id" not in self._data.columns:
            raise ValueError("no Id")

    def __getitem__(self, index: int) -> dict[str, Any]:
        assert self._data is not None
        row = self._data.iloc[index]
        text = f"walls {row['Walls']} area {row['Area']}"
        return {"text": text, **self._tokenize(text), "metadata": {"id": row["Id"]}}


class TwiceDataset(HousesDataset):
    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**super().__getitem__(index), "labels": np.float32(index)}


def spec(folder: Path, **fields: Any) -> DatasetSpec:
    return DatasetSpec("houses", folder, "regression", 30, 2, recommended_max_length=16, **fields)  # type: ignore[arg-type]


def test_a_dataset_has_a_length_is_indexed_from_both_ends_and_ends(houses: Path) -> None:
    data = HousesDataset(spec(houses))
    assert len(data) == len(list(data)) == 30
    assert data[-1] == data[29] == data[np.int64(29)]
    for beyond in (30, -31):
        with pytest.raises(IndexError, match=rf"sample {beyond} is asked for, and the train split has 30\."):
            data[beyond]


@pytest.mark.parametrize("cls", [HousesDataset, TwiceDataset])
def test_a_transform_is_applied_once_to_every_sample(houses: Path, cls: type[KaggleDataset]) -> None:
    data = cls(spec(houses), transform=lambda sample: {**sample, "seen": sample.get("seen", 0) + 1})
    assert {sample["seen"] for sample in data} == {1}


def test_a_row_has_whole_numbers_that_mlx_takes(houses: Path) -> None:
    class RowsDataset(HousesDataset):
        def __getitem__(self, index: int) -> dict[str, Any]:
            assert self._data is not None
            return dict(self._data.iloc[index])

    data = RowsDataset(spec(houses))
    assert {name: type(value) for name, value in data[3].items()} == {
        "Id": int,
        "Walls": str,
        "Area": int,
        "SalePrice": int,
    }
    assert mx.array([data[3]["SalePrice"]]).tolist() == [103_000]
    assert data._data is not None
    assert data._data["Area"].mean() == 74.5


def test_a_sample_is_found_by_its_id(houses: Path) -> None:
    data = HousesDataset(spec(houses))
    assert data.get_sample_by_id(1005) == data.get_sample_by_id("1005") == data[4]
    with pytest.raises(
        NotFound, match="no row of the train split of houses has Id 4; its 30 ids begin with 1001, 1002"
    ):
        data.get_sample_by_id(4)


def test_a_column_that_only_ends_like_an_id_and_repeats_is_no_id(houses: Path) -> None:
    frame = pd.DataFrame({"Paid": [1, 2], "grid": [1, 2], "ownerId": [7, 7], "Walls": ["a", "b"], "Area": [1, 2]})
    frame.to_csv(houses / "other.csv", index=False)
    data = HousesDataset.__new__(HousesDataset)
    data.spec, data.split, data._data, data.transform = spec(houses), "other", frame, None
    with pytest.raises(
        Refused, match=r"no column of houses holds ids that differ .* set id_column to one of Paid, grid"
    ):
        data.get_sample_by_id(7)


def test_a_batch_stacks_numbers_and_lists_the_rest(houses: Path) -> None:
    batch = TwiceDataset(spec(houses)).get_batch([3, 0])
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, 16)
    assert batch["labels"].tolist() == [3.0, 0.0]
    assert batch["metadata"] == [{"id": 1004}, {"id": 1001}]
    assert batch["text"][1] == "walls brick area 60"


def test_samples_of_one_batch_have_the_same_names(houses: Path) -> None:
    drops = HousesDataset(spec(houses), transform=lambda s: s if s["metadata"]["id"] == 1001 else {"text": s["text"]})
    with pytest.raises(Refused, match=r"sample 1 has \['text'\], where sample 0 has"):
        drops.get_batch([0, 1])
    with pytest.raises(Refused, match="a batch of no samples"):
        drops.get_batch([])


def test_tokens_are_the_same_in_every_instance_and_every_split(houses: Path, tmp_path: Path) -> None:
    train, test = HousesDataset(spec(houses)), HousesDataset(spec(houses), "test")
    assert test._tokenize("walls stone area 75") == train._tokenize("walls stone area 75")
    assert HousesDataset(spec(houses))[7] == train[7]
    assert train.tokenizer.token_to_id("[UNK]") not in train[7]["input_ids"]
    kept = HousesDataset(spec(houses), cache_dir=tmp_path / "cache")
    assert kept[0] == train[0]
    (houses / "train.csv").unlink()
    assert HousesDataset(spec(houses), "test", cache_dir=tmp_path / "cache")[0] == test[0]


def test_without_train_split_the_test_split_says_what_to_do(houses: Path) -> None:
    (train := houses / "train.csv").rename(houses / "away.csv")
    test = HousesDataset(spec(houses), "test")
    with pytest.raises(Refused, match=r"the test split of houses has no tokenizer, .*train.csv.*set dataset.tokenizer"):
        test[0]
    (houses / "away.csv").rename(train)
    other = HousesDataset(spec(houses), "test")
    other.tokenizer = HousesDataset(spec(houses)).tokenizer
    assert other[0]["input_ids"]


def test_an_unknown_backend_is_refused_and_a_file_is_used(houses: Path, tmp_path: Path) -> None:
    with pytest.raises(
        Refused, match=r"sentencepiece is no tokenizer backend; .* 'wordpiece', trained on the train split"
    ):
        HousesDataset(spec(houses, tokenizer_backend="sentencepiece"))[0]
    train = HousesDataset(spec(houses))
    train.tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert HousesDataset(spec(houses, tokenizer_backend=str(tmp_path / "tokenizer.json")))[3] == train[3]


def test_a_dataset_made_of_another_one_has_tokens_of_its_own(houses: Path) -> None:
    inner, alone = HousesDataset(spec(houses)), HousesDataset(spec(houses))

    class OuterDataset(HousesDataset):
        def __getitem__(self, index: int) -> dict[str, Any]:
            return {"inner": inner[index]["input_ids"], **self._tokenize(f"only number {index}")}

    outer = OuterDataset(spec(houses))
    assert outer[4]["inner"] == alone[4]["input_ids"]
    assert "wood" not in outer.tokenizer.get_vocab()
    assert "wood" in inner.tokenizer.get_vocab()


def test_many_threads_that_ask_first_get_what_one_gets(houses: Path) -> None:
    alone, shared = HousesDataset(spec(houses)), HousesDataset(spec(houses))
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(shared.__getitem__, range(30))) == [alone[n] for n in range(30)]


def test_a_dataset_goes_to_another_process(houses: Path) -> None:
    data = HousesDataset(spec(houses))
    first = data[0]
    assert pickle.loads(pickle.dumps(data))[0] == first


@pytest.mark.parametrize(("value", "found"), [(None, "nothing"), ([1], "a list")])
def test_a_subclass_that_reads_no_frame_is_told_so(houses: Path, value: Any, found: str) -> None:
    class EmptyDataset(HousesDataset):
        def _load_data(self) -> None:
            self._data = value

    with pytest.raises(
        Refused, match=rf"EmptyDataset\._load_data leaves {found} in self\._data; let it set a DataFrame"
    ):
        EmptyDataset(spec(houses))


def test_a_sample_that_needs_the_tokenizer_itself_is_told_the_way(houses: Path) -> None:
    class DirectDataset(HousesDataset):
        def __getitem__(self, index: int) -> dict[str, Any]:
            return {"ids": self.tokenizer.encode("walls").ids}

    with pytest.raises(Refused, match=r"DirectDataset asks for its tokenizer to make a sample; call self\._tokenize"):
        DirectDataset(spec(houses))[0]


def test_what_validation_raises_is_raised_when_the_dataset_is_made(houses: Path) -> None:
    (houses / "train.csv").write_text("Walls,Area\nwood,1\n")
    with pytest.raises(ValueError, match="no Id"):
        HousesDataset(spec(houses))
