"""Laws of what a tree of datamate becomes: trees of arrays, tables and files with the config as JSON."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from smalti import Store


def test_each_folder_becomes_a_tree_under_its_path(bring, store: Store, datamate_tree: Path) -> None:
    report = bring(datamate_tree)
    assert report.plan.kind == "datamate"
    assert {one.name for one in report.brought} == {"source/exp", "source/exp/sub"}
    value = store.get("source/exp")
    assert set(value) == {"_meta", "losses", "names", "table", "note.txt", "sub"}
    assert value["_meta"] == {"config": {"type": "Exp", "lr": 0.1}, "status": "done"}
    assert np.array_equal(value["losses"], np.arange(5.0))
    assert value["names"].tolist() == [b"a", b"bc"]
    assert value["note.txt"] == b"hello"
    assert np.array_equal(value["sub"]["w"], np.eye(2, 3))
    assert store.ref("source/exp/sub").digest == store.record("source/exp").children["sub"]


def test_a_table_gives_its_csv_back_byte_for_byte(bring, store: Store, datamate_tree: Path) -> None:
    bring(datamate_tree)
    table = store.get("source/exp")["table"]
    assert table.to_csv(index=False).encode() == (datamate_tree / "exp/table.csv").read_bytes()
    pd.testing.assert_frame_equal(table, pd.read_csv(datamate_tree / "exp/table.csv"))


@pytest.mark.parametrize("text", ["a,b\r\n1,2\r\n", "a;b\n1;2\n", 'a\n"1"\n', "a\n0.10\n", "a,b\n1\n", ""])
def test_a_csv_that_a_table_would_not_give_back_is_kept_as_its_bytes(
    bring, store: Store, datamate_tree: Path, text: str
) -> None:
    (datamate_tree / "exp/table.csv").write_bytes(text.encode())
    report = bring(datamate_tree)
    kept = store.get("source/exp")["table"]
    if isinstance(kept, pd.DataFrame):
        assert kept.to_csv(index=False).encode() == text.encode()
    else:
        assert kept == text.encode()
        assert any("table.csv is kept as bytes" in r for one in report.brought for r in one.remarks)


def test_how_a_folder_was_made_is_in_a_manifest(bring, store: Store, datamate_tree: Path) -> None:
    bring(datamate_tree)
    (manifest,) = store.manifests()
    assert manifest.outputs == {"exp": store.ref("source/exp").digest}
    assert (manifest.parameters, manifest.status) == ({"type": "Exp", "lr": 0.1}, "finished")
    assert manifest.notes["migrated_from"] == {"layout": "datamate", "path": "exp"}


def test_a_changed_tree_is_a_new_version_of_its_name_and_only_that_is_new(
    bring, store: Store, datamate_tree: Path
) -> None:
    bring(datamate_tree)
    before = store.ref("source/exp").digest
    with h5py.File(datamate_tree / "exp/losses.h5", "w") as file:
        file["data"] = np.arange(6.0)
    report = bring(datamate_tree)
    assert not report.failed
    assert [version.address for version in store.versions("source/exp")] == [before, store.ref("source/exp").digest]
    assert len(store.versions("source/exp/sub")) == 1
    assert len(list(store.manifests())) == 2


def test_an_array_and_a_table_of_one_name_are_both_there(bring, store: Store, datamate_tree: Path) -> None:
    (datamate_tree / "exp/losses.csv").write_text("a\n1\n")
    (datamate_tree / "exp/sub.h5").write_bytes((datamate_tree / "exp/losses.h5").read_bytes())
    bring(datamate_tree)
    value = store.get("source/exp")
    assert {"losses.h5", "losses.csv", "sub.h5", "sub"} <= set(value)


def test_a_folder_of_datamate_is_a_source_by_itself(bring, store: Store, datamate_tree: Path) -> None:
    bring(datamate_tree / "exp", prefix="mine/")
    assert {named.name for named in store.names()} == {"mine", "mine/sub"}


@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (70, 3, 2)])
@pytest.mark.parametrize("dtype", ["<f4", ">i2", "?", "<c16", "S3", "u1"])
def test_arrays_of_every_kind_come_back_as_they_were(
    bring, store: Store, source: Path, shape: tuple[int, ...], dtype: str
) -> None:
    array = np.asarray(np.random.default_rng(1).integers(0, 9, shape)).astype(dtype)
    (source / "exp").mkdir()
    (source / "exp/_meta.yaml").write_text("config: {type: Directory}\nstatus: done\n")
    with h5py.File(source / "exp/x.h5", "w") as file:
        file.create_dataset("data", data=array, maxshape=(None, *shape[1:]) if shape else None)
    assert not [r for one in bring(source).brought for r in one.remarks]
    back = store.get("source/exp")["x"]
    assert (back.shape, back.dtype) == (array.shape, array.dtype.newbyteorder("<"))
    assert np.array_equal(back, array)


def test_a_large_array_is_stored_some_rows_at_a_time_and_is_the_same_value(
    bring, store: Store, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smalti.migration.values.arrays._WHOLE_NBYTES", 4096)
    array = np.random.default_rng(1).random((300, 17))
    (source / "exp").mkdir()
    (source / "exp/_meta.yaml").write_text("config: {type: Directory}\nstatus: done\n")
    with h5py.File(source / "exp/x.h5", "w") as file:
        file.create_dataset("data", data=array, chunks=(7, 17))
    bring(source)
    assert store.record("source/exp").children["x"] == store.put(array).digest
