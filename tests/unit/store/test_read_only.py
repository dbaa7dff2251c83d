"""A store that may only be read, as a mounted backup: it is read and checked, and what would write is one sentence."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from smalti import Store, open_store
from smalti.errors import Unavailable


def use(store: Store) -> None:
    """Read, check, collect dry and send."""
    assert store.get("value")["a"].sum() == 4950
    assert store.fsck().clean
    assert store.fsck(full=True).clean
    assert not store.gc().unneeded
    assert store.push(open_store("memory:")).sent == 2


@pytest.fixture
def place(disk_path: Path) -> Iterator[Path]:
    """A store that the user this test runs as may not write to."""
    store = open_store(disk_path / "store")
    store.put({"a": np.arange(100)}, name="value")
    use(store)  # imports all that is imported when first used, which the other user may not be able to
    del store
    gc.collect()  # the index is closed, as another process leaves it
    folders = [disk_path, *disk_path.rglob("*")]
    for folder in folders:
        folder.chmod(0o555 if folder.is_dir() else 0o444)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield disk_path / "store"
    finally:
        if is_root:
            os.seteuid(0)
        for folder in folders:
            folder.chmod(0o755 if folder.is_dir() else 0o644)


def test_it_is_read_checked_and_sent_from(place: Path) -> None:
    use(open_store(place))


@pytest.mark.parametrize("write", [lambda s: s.put(b"new"), lambda s: s.pin("value"), lambda s: s.forget("value")])
def test_what_would_write_is_one_sentence(place: Path, write: object) -> None:
    assert callable(write)
    store: Store = open_store(place)
    with pytest.raises(Unavailable, match="could not finish"):
        write(store)
