"""Laws of small values in views: a link leads to an ordinary file of one, once, for as long as the value is there."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from smalti import Store, open_store
from smalti.errors import Refused

FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def shown(store: Store, name: str, run: str = "run") -> Path:
    return Path(store.place, "runs", "all", run, "inputs", name)


def copies(store: Store) -> list[str]:
    """Return the digits of the values that there is a copy of."""
    return sorted(path.stem for path in Path(store.place, "small").rglob("*") if path.is_file())


def test_a_small_value_is_shown_as_the_file_that_other_tools_open(store: Store) -> None:
    values: dict[str, Any] = {
        "table": FRAME,
        "array.npy": np.arange(3),
        "bytes": b"raw",
        "document": [1, "two", {"b": 2.0, "a": None}],
        "tree": {"deep": {"er": np.zeros((2, 2))}},
    }
    store.add_manifest("run", inputs={name: store.put(value) for name, value in values.items()}, views=["all"])
    assert pd.read_feather(shown(store, "table.arrow")).equals(FRAME)
    assert np.load(shown(store, "array.npy")).tolist() == [0, 1, 2]
    assert shown(store, "bytes.bin").read_bytes() == b"raw"
    assert shown(store, "document.json").read_text() == '[1,"two",{"b":2.0,"a":null}]'
    assert np.load(shown(store, "tree/deep/er.npy")).shape == (2, 2)
    assert all(path.stat().st_mode & 0o222 == 0 for path in Path(store.place, "small").rglob("*") if path.is_file())
    assert store.fsck(full=True).clean


def test_the_copy_is_the_file_that_the_store_writes(store: Store, tmp_path: Path) -> None:
    ref = store.put(FRAME)
    store.add_manifest("run", inputs={"x": ref}, views=["all"])
    store.write_file(ref, tmp_path / "written.arrow")
    assert shown(store, "x.arrow").read_bytes() == (tmp_path / "written.arrow").read_bytes()
    with pytest.raises(Refused):
        store.write_file(ref, shown(store, "x.arrow"))


def test_a_long_document_is_not_there_twice(store: Store) -> None:
    ref = store.put(["x" * 20_000])
    store.add_manifest("run", inputs={"x": ref}, views=["all"])
    assert json.loads(shown(store, "x.json").read_text())["header"]["value"] == ["x" * 20_000]
    assert copies(store) == []


def test_runs_and_views_share_a_copy_and_it_goes_with_the_value(store: Store) -> None:
    ref, other = store.put(np.arange(3)), store.put(np.arange(4))
    for run in ("run", "next"):
        store.add_manifest(run, inputs={"x": ref, "y": other}, views=["all", "by_type/analysis"])
    assert copies(store) == sorted([ref.digest[7:], other.digest[7:]])
    store.pin(other)
    Path(store.place, "small", "ab").mkdir(exist_ok=True)
    Path(store.place, "small", "ab", "notes.txt").write_text("of somebody else")
    for run in ("run", "next"):
        assert shown(store, "x.npy", run).is_file()
        store.release(run)
        for _ in range(2):
            store.gc(dry_run=False, grace_seconds=0)
    assert copies(store) == sorted([other.digest[7:], "notes"])
    assert not shown(store, "x.npy").exists()
    assert np.load(shown(store, "y.npy")).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("lost", ["small", "runs"])
def test_what_was_lost_is_made_again(store: Store, lost: str) -> None:
    store.add_manifest("run", inputs={"x": store.put(FRAME), "large": store.put(np.zeros(9999))}, views=["all"])
    shutil.rmtree(Path(store.place, lost))
    assert store.rebuild_views().made == (1 if lost == "small" else 3)
    assert pd.read_feather(io.BytesIO(shown(store, "x.arrow").read_bytes())).equals(FRAME)
    assert store.rebuild_views().made == 0
