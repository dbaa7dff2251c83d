"""A store with something in it, a Dagster instance of its own, and a root with neither .env nor data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from resources import StoreIOManager, StoreResource
from smalti import Store, open_store


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root that settings speak of."""
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    monkeypatch.delenv("SMALTI_BACKUP_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store(root: Path) -> Store:
    """Six arrays under names of their own, and a tree that has one of them."""
    store = open_store(root / "store")
    for n in range(6):
        store.put(np.arange(5000) + n, name=f"scan/{n}")
    store.put({"x": np.arange(5000), "note": "one"}, name="table/one")
    return store


@pytest.fixture
def resources(store: Store) -> dict[str, object]:
    """What the assets are given."""
    resource = StoreResource(place=store.place)
    return {"store": resource, "io_manager": StoreIOManager(store=resource)}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance that ends with the test."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def kept(root: Path) -> Iterator[dg.DagsterInstance]:
    """An instance on disk, as schedules want one."""
    with dg.instance_for_test(temp_dir=str(root)) as instance:
        yield instance


@pytest.fixture
def damage(store: Store) -> Callable[[str], str]:
    """Change one byte of a value's file; return its address."""

    def change(name: str) -> str:
        path = store.file(name)
        assert path is not None
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.chmod(0o644)
        path.write_bytes(content)
        return store.resolve(name)

    return change
