"""The benchmarks of runs and directories measure what they say, at a small size."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from benchmarks.runs import capture, commit, directory, stored
from smalti import Directory, open_store, set_root_dir
from smalti.runs import FlexibleDataStore


@pytest.fixture(autouse=True)
def _root(tmp_path: Path) -> None:
    set_root_dir(tmp_path)


def test_ten_runs_over_one_dataset_store_it_once_and_each_has_an_output(tmp_path: Path) -> None:
    nbytes = stored.ours(tmp_path / "store", gigabytes=0.002)
    assert 2e6 < nbytes < 2.5e6
    store = FlexibleDataStore(root=tmp_path / "store")
    runs = (
        [store.get_run(run) for run in store.list_runs()]
        if isinstance(store.list_runs()[0], str)
        else store.list_runs()
    )
    assert len(runs) == stored.RUNS
    assert len({run.inputs["training_data"].hash for run in runs}) == 1
    assert len({run.outputs["predictions"].hash for run in runs}) == stored.RUNS


def test_what_is_captured_is_recorded(tmp_path: Path) -> None:
    capture.ours(tmp_path, calls=2)
    runs = list(open_store(tmp_path / "captured").manifests())
    assert len(runs) == 12
    assert all(run.status == "finished" and list(run.outputs) == ["result"] for run in runs)


def test_a_change_is_one_row_in_a_hundred_of_each_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "ROWS", 200)
    tree = Directory("tree")
    for number in range(commit.ARRAYS):
        tree[f"array_{number}"] = np.zeros((200, commit.COLUMNS))
    commit.change(tmp_path / "tree", np.random.default_rng(0), commit.ARRAYS)
    for number in range(commit.ARRAYS):
        with h5py.File(tmp_path / "tree" / f"array_{number}.h5") as file:
            assert file["data"][:].any(axis=1).sum() == 2


def test_rows_that_are_timed_are_there(tmp_path: Path) -> None:
    assert directory.extend_ms(tmp_path, 3) > 0
    assert len(Directory("extended").rows) == 4
