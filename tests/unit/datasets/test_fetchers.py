"""Datasets by name: what is registered is fetched, split, and refused where its card or its name is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from smalti import open_store
from smalti.datasets import DatasetCard, fetch_dataset, register_dataset
from smalti.datasets.competitions.discovery import discover
from smalti.datasets.fetchers import _registered, fetchers
from smalti.datasets.stored import keep_dataset
from smalti.errors import NotFound, Refused

CARD = DatasetCard(name="numbers", source="counted here", version="1", licence="CC0-1.0")
TABLE = pa.table({"n": np.arange(100)})


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty root; what a test registers is forgotten."""
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    yield tmp_path
    _registered.clear()


def test_a_function_is_registered_under_its_name_without_fetch() -> None:
    @register_dataset
    def fetch_new_dataset() -> None:
        raise AssertionError("registering does not fetch")

    assert callable(fetch_new_dataset)
    assert fetchers()["new-dataset"].name == "new_dataset"


@pytest.mark.parametrize("name", ["numbers", "Numbers", "NUMBERS"])
def test_a_function_is_registered_under_a_name_that_is_given(name: str) -> None:
    @register_dataset("numbers", card=CARD)
    def anything() -> pa.Table:
        return TABLE

    assert fetch_dataset(name).equals(TABLE)
    assert anything().equals(TABLE)


def test_without_a_card_nothing_is_fetched_and_the_card_to_write_is_shown() -> None:
    @register_dataset()
    def fetch_new_dataset() -> pa.Table:
        return TABLE

    with pytest.raises(Refused, match="the dataset new_dataset has no card, so its source and licence are not") as told:
        fetch_dataset("new_dataset")
    assert "name: new_dataset\nsource: '<where" in str(told.value)


def test_the_card_may_lie_beside_the_file_of_the_function(tmp_path: Path) -> None:
    folder = tmp_path / "datasets"
    folder.mkdir()
    (folder / "mine.py").write_text(
        "from smalti.datasets import register_dataset\n"
        "@register_dataset\ndef fetch_numbers():\n    import pyarrow\n    return pyarrow.table({'n': [1, 2]})\n"
    )
    assert discover(folder).failures == ()
    with pytest.raises(Refused, match=r"save it as .*numbers\.card\.yaml, or give it as @register_dataset"):
        fetch_dataset("numbers")
    (folder / "numbers.card.yaml").write_text(CARD.to_yaml())
    assert fetch_dataset("numbers")["n"].to_pylist() == [1, 2]
    (folder / "mine.py").write_text((folder / "mine.py").read_text().replace("[1, 2]", "[3]"))
    assert discover(folder).failures == (), "a file that was edited may register its own name again"
    assert fetch_dataset("numbers")["n"].to_pylist() == [3]


def test_a_card_may_be_given_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "card.yaml").write_text(CARD.to_yaml())
    register_dataset("numbers", card=tmp_path / "card.yaml")(lambda: TABLE)
    assert fetchers()["numbers"].card == CARD


def test_two_functions_cannot_have_one_name_and_a_built_in_name_is_taken() -> None:
    def other() -> pa.Table:
        return TABLE

    register_dataset("numbers", card=CARD)(lambda: TABLE)
    with pytest.raises(Refused, match=r"Numbers is registered for .*lambda.* already; take another name"):
        register_dataset("Numbers", card=CARD)(other)
    with pytest.raises(Refused, match="iris is a dataset that comes with smalti"):
        register_dataset("iris", card=CARD)(other)


def test_a_card_about_another_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="the card of the dataset letters is about numbers; give its own"):
        register_dataset("letters", card=CARD)(lambda: TABLE)
    assert "letters" not in fetchers()


def test_an_unknown_name_is_answered_with_the_near_ones_and_all() -> None:
    with pytest.raises(
        NotFound, match=r"did you mean wikitext-\d+ or wikitext-\d+\? The datasets are breast-cancer.*wine"
    ):
        fetch_dataset("wikitext")


def test_a_table_is_split_in_three_and_always_in_the_same_way() -> None:
    register_dataset("numbers", card=CARD)(lambda: TABLE)
    parts = {split: fetch_dataset("numbers", split=split) for split in ("train", "validation", "test")}
    assert [part.num_rows for part in parts.values()] == [80, 10, 10]
    assert sorted(n for part in parts.values() for n in part["n"].to_pylist()) == list(range(100))
    assert fetch_dataset("numbers", split="test").equals(parts["test"])
    with pytest.raises(NotFound, match="numbers has no split dev; its splits are train, validation, test"):
        fetch_dataset("numbers", split="dev")


def test_a_published_split_is_chosen_and_a_function_that_splits_itself_is_asked() -> None:
    register_dataset("numbers", card=CARD)(lambda: {"train": TABLE, "test": TABLE[:3]})
    assert fetch_dataset("numbers", split="test").num_rows == 3
    assert list(fetch_dataset("numbers")) == ["train", "test"]
    with pytest.raises(NotFound, match="its splits are train, test"):
        fetch_dataset("numbers", split="validation")

    @register_dataset(card=DatasetCard(**{**CARD.to_document(), "name": "asked"}))
    def fetch_asked(split: str | None = None, rows: int = 1) -> pa.Table:
        return pa.table({"split": [str(split)] * rows})

    assert fetch_dataset("asked", split="half", rows=2)["split"].to_pylist() == ["half", "half"]


def test_options_that_a_function_does_not_take_are_refused() -> None:
    register_dataset("numbers", card=CARD)(lambda seed=0: TABLE)
    with pytest.raises(Refused, match=r"numbers cannot be fetched like this: .*'sead'; it takes seed\."):
        fetch_dataset("numbers", sead=1)


@pytest.mark.parametrize(("value", "split", "why"), [(None, None, "returned nothing"), (b"x", "train", "is a bytes")])
def test_what_is_no_dataset_is_refused(value: Any, split: str | None, why: str) -> None:
    register_dataset("numbers", card=CARD)(lambda: value)
    with pytest.raises(Refused, match=why):
        fetch_dataset("numbers", split=split)


def test_a_frame_becomes_a_table() -> None:
    register_dataset("numbers", card=CARD)(lambda: pd.DataFrame({"n": range(100)}))
    assert fetch_dataset("numbers").equals(TABLE)


def test_a_dataset_that_only_the_store_has_is_read_from_there(root: Path) -> None:
    store = open_store(root / "store")
    keep_dataset(store, CARD, TABLE)
    keep_dataset(store, CARD, TABLE[:4], "test")
    assert fetch_dataset("Numbers").equals(TABLE)
    assert fetch_dataset("numbers", split="test").num_rows == 4
    assert fetch_dataset("numbers", split="train").num_rows == 80
    with pytest.raises(NotFound, match="did you mean numbers"):
        fetch_dataset("number")
    with pytest.raises(Refused, match="numbers is read from the store, which takes no options; leave out seed"):
        fetch_dataset("numbers", seed=1)


def test_asking_for_a_dataset_writes_nothing(root: Path) -> None:
    with pytest.raises(NotFound):
        fetch_dataset("nothing")
    assert list(root.iterdir()) == []
