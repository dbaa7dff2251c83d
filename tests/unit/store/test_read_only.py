"""A store that may only be read, as a mounted backup: it is read and checked, and what would write is one sentence."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from smalti import Store, open_store
from smalti.errors import NotFound, Unavailable
from smalti.store import Sample
from tests.store_reading import fill, use


@pytest.fixture
def place(disk_path: Path) -> Iterator[Path]:
    """A store that the user this test runs as may not write to."""
    store = open_store(disk_path / "store")
    fill(store)
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


def test_it_is_sampled_from_the_beginning_each_time_and_nothing_is_written(place: Path) -> None:
    before = sorted(place.rglob("*"))
    reports = [open_store(place).fsck(sample=Sample(2)) for _ in range(2)]
    assert reports[0] == reports[1]
    assert reports[0].clean
    assert sorted(place.rglob("*")) == before


def test_it_is_read_without_an_index_and_beside_one_that_is_damaged(place: Path) -> None:
    for content in (None, b"no database" * 999):
        os.seteuid(os.getuid())
        place.chmod(0o755)
        (place / "index.sqlite").unlink(missing_ok=True)
        if content:
            (place / "index.sqlite").write_bytes(content)
        place.chmod(0o555)
        if os.getuid() == 0:
            os.seteuid(65534)
        use(open_store(place))


WRITES: dict[str, Callable[[Store], object]] = {
    "a small value": lambda store: store.put(b"new"),
    "a large value": lambda store: store.put(np.arange(3_000_000)),
    "a value that is there": lambda store: store.put({"a": np.arange(99)}, name="value"),
    "many": lambda store: store.put_all([np.arange(n) for n in range(50)]),
    "rows": lambda store: store.put_rows([np.zeros((9, 9))]),
    "a pin": lambda store: store.pin(store.versions("value")[0].address),
    "forget": lambda store: store.forget("value"),
    "a run": lambda store: store.add_manifest("new"),
    "what is said of a run": lambda store: store.update_manifest("run", tags={"a": "b"}),
    "a release": lambda store: store.release("run"),
    "a collection": lambda store: store.gc(dry_run=False, grace_seconds=0),
    "a pull": lambda store: store.pull(_other()),
}


def _other() -> Store:
    other = open_store("memory:")
    other.put(np.arange(5), name="other")
    return other


@pytest.mark.parametrize("write", WRITES)
def test_what_would_write_is_one_sentence(place: Path, write: str) -> None:
    with pytest.raises(Unavailable, match="could not finish"):
        WRITES[write](open_store(place))


def test_a_folder_that_may_not_be_looked_into_is_one_sentence(place: Path) -> None:
    os.seteuid(os.getuid())
    place.parent.chmod(0o700 if os.getuid() == 0 else 0o000)
    if os.getuid() == 0:
        os.seteuid(65534)
    with pytest.raises(Unavailable, match=r"could not finish looking for a store at .*: Permission denied"):
        open_store(place)


def test_where_there_is_no_store_and_none_can_be_made_that_is_one_sentence(place: Path) -> None:
    store = open_store(place.parent / "none")
    with pytest.raises(NotFound, match="there is no store at"):
        store.get("value")
    for act in (store.init, lambda: store.put(b"x")):
        with pytest.raises(Unavailable, match="could not finish"):
            act()
