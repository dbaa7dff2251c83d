"""Datasets in a store, with their cards; files and folders of a user's as datasets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from smalti import Store, open_store
from smalti.datasets import DatasetCard
from smalti.datasets.files import checksums_of, value_of
from smalti.datasets.stored import keep_dataset, store_name, stored_card, stored_datasets, stored_value
from smalti.errors import ContractBroken, NotFound, Refused
from smalti.formats.regular_file import sha256_of

CARD = DatasetCard(name="Numbers", source="counted here", version="1", licence="CC0-1.0", processing=("counted",))
TABLE = pa.table({"n": [1, 2, 3]})


@pytest.fixture
def store() -> Store:
    return open_store("memory:")


def test_a_dataset_comes_back_with_its_card(store: Store) -> None:
    ref = keep_dataset(store, CARD, {"train": TABLE, "test": TABLE[:1]})
    assert stored_value(store, "numbers")["train"].equals(TABLE)
    assert stored_card(store, "NUMBERS") == CARD
    assert store.get("dataset/numbers")["card"]["licence"] == "CC0-1.0"
    assert keep_dataset(store, CARD, {"train": TABLE, "test": TABLE[:1]}).digest == ref.digest


def test_splits_are_stored_beside_the_whole(store: Store) -> None:
    keep_dataset(store, CARD, TABLE[:1], "test")
    assert [(one.name, one.split) for one in stored_datasets(store)] == [("numbers", "test")]
    assert stored_card(store, "numbers") == CARD
    with pytest.raises(NotFound):
        stored_value(store, "numbers")
    keep_dataset(store, CARD, TABLE)
    assert stored_value(store, "numbers").num_rows == 3
    assert stored_value(store, "numbers", "test").num_rows == 1


def test_what_is_no_dataset_is_told_from_one(store: Store) -> None:
    store.put(np.arange(3), name=store_name("other"))
    for read in (lambda: stored_value(store, "other"), lambda: stored_card(store, "other")):
        with pytest.raises(Refused, match=r"dataset/other in .* is not a dataset with its card"):
            read()
    with pytest.raises(NotFound, match="no is no dataset in the store"):
        stored_card(store, "no")


def test_a_file_becomes_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n\n1\n2\n3\n")
    np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.ones((2, 2)))
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "none.bin").touch()
    assert value_of(tmp_path / "a.csv").equals(TABLE)
    assert value_of(tmp_path / "a.npz")["y"].shape == (2, 2)
    assert bytes(value_of(tmp_path / "a.txt")) == b"hello"
    assert value_of(tmp_path / "none.bin") == b""
    with pytest.raises(NotFound):
        value_of(tmp_path / "missing.txt")
    (tmp_path / "broken.parquet").write_text("no")
    with pytest.raises(ContractBroken, match=r"broken\.parquet"):
        value_of(tmp_path / "broken.parquet")


def test_a_folder_of_tables_is_tables_by_name_and_any_other_its_files(tmp_path: Path, store: Store) -> None:
    tables, mixed = tmp_path / "tables", tmp_path / "mixed"
    (mixed / "deep").mkdir(parents=True)
    tables.mkdir()
    for name in ("train", "test"):
        (tables / f"{name}.csv").write_text("n\n1\n2\n3\n")
    (mixed / "train.csv").write_text("n\n1\n")
    (mixed / "deep" / "notes.md").write_text("# notes")
    assert {name: table.num_rows for name, table in value_of(tables).items()} == {"train": 3, "test": 3}
    keep_dataset(store, CARD, value_of(mixed))
    back = stored_value(store, "numbers")
    assert (bytes(back["train.csv"]), bytes(back["deep"]["notes.md"])) == (b"n\n1\n", b"# notes")
    assert checksums_of(mixed) == {
        "deep/notes.md": sha256_of(mixed / "deep" / "notes.md"),
        "train.csv": sha256_of(mixed / "train.csv"),
    }


def test_an_empty_folder_and_a_link_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused, match=r"the folder .*empty is empty"):
        value_of(tmp_path / "empty")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "secret").symlink_to("/etc/hostname")
    with pytest.raises(ContractBroken, match="a symbolic link"):
        value_of(tmp_path / "links")
