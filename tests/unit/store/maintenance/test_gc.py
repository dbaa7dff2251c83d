"""Laws of collection: what a name, a pin or a young object needs stays; the rest goes, twice looked at."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from smalti import Store, open_store
from smalti.errors import Damaged, NotFound

RANDOM = np.random.default_rng(0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(tmp_path / "store")
    store.init()
    return store


def age(store: Store, seconds: float) -> None:
    """Let everything in the store be older, condemnations included."""
    for folder in (Path(store.place) / "data").glob("??/*"):
        was = folder.stat().st_mtime
        os.utime(folder, (was - seconds, was - seconds))


def write(path: Path, content: bytes) -> None:
    """Put other content in the place of a file."""
    path.unlink()
    path.write_bytes(content)


def collect_twice(store: Store) -> None:
    age(store, 100)
    store.gc(dry_run=False, grace_seconds=0)
    time.sleep(0.01)
    store.gc(dry_run=False, grace_seconds=0)


def addresses(store: Store) -> set[str]:
    return {"sha256:" + folder.name for folder in (Path(store.place) / "data").glob("??/*")}


def test_what_a_name_leads_to_stays(store: Store) -> None:
    store.put({"x": np.arange(1000), "deep": {"y": np.arange(5)}}, name="kept")
    before = addresses(store)
    collect_twice(store)
    assert addresses(store) == before


def test_what_a_tree_of_very_many_children_needs_stays_and_goes_with_it(store: Store) -> None:
    children = {f"{number}": store.put(b"%d" % number) for number in range(1001)}
    store.put(children, name="kept")
    before = addresses(store)
    collect_twice(store)
    assert addresses(store) == before
    store.forget("kept")
    collect_twice(store)
    assert not addresses(store)


def test_what_nothing_leads_to_goes(store: Store) -> None:
    lost = store.put({"x": np.arange(1000), "y": b"bytes"})
    shared = store.put({"x": np.arange(1000)}, name="kept")
    collect_twice(store)
    with pytest.raises(NotFound):
        store.get(lost)
    assert store.get(shared)["x"].sum() == 499_500
    assert store.fsck().clean


def test_every_version_of_a_name_stays_until_it_is_forgotten(store: Store) -> None:
    first = store.put(np.arange(10), name="training")
    store.put(np.arange(20), name="training")
    collect_twice(store)
    assert store.get(first).size == 10
    store.forget("training")
    collect_twice(store)
    assert not addresses(store)


@pytest.mark.parametrize("kept", [1, 2, 5])
def test_the_newest_versions_of_a_name_may_be_kept(store: Store, kept: int) -> None:
    refs = [store.put(np.arange(n), name="training") for n in (10, 20, 30)]
    store.forget("training", keep_last=kept)
    assert [version.address for version in store.versions("training")] == [ref.digest for ref in refs[-kept:]]
    assert store.resolve("training") == refs[-1].digest
    assert store.fsck().clean
    assert store.put(np.arange(40), name="training").digest == store.versions("training")[-1].address
    collect_twice(store)
    assert len(addresses(store)) == min(kept, 3) + 1


def test_a_pin_keeps_a_value_without_a_name(store: Store) -> None:
    ref = store.put(np.arange(10))
    store.pin(ref)
    collect_twice(store)
    assert store.get(ref).size == 10
    store.unpin(ref)
    collect_twice(store)
    assert not addresses(store)


def test_a_dry_run_says_what_would_go_and_changes_nothing(store: Store) -> None:
    ref = store.put(np.arange(1000))
    age(store, 100)
    report = store.gc(grace_seconds=50)
    assert [(item.address, item.state) for item in report.unneeded] == [(ref.digest, "condemned")]
    assert report.nbytes("condemned") > 8000
    assert not (Path(store.place) / "condemned").exists()


def test_what_is_young_is_never_condemned(store: Store) -> None:
    store.put(np.arange(1000))
    report = store.gc(dry_run=False)
    assert [item.state for item in report.unneeded] == ["young"]


def test_nothing_is_removed_before_the_grace_period_is_over(store: Store) -> None:
    ref = store.put(np.arange(1000))
    age(store, 1000)
    for _ in range(3):
        assert [item.state for item in store.gc(dry_run=False, grace_seconds=500).unneeded] == ["condemned"]
    assert store.get(ref).size == 1000


def test_a_put_that_finds_a_condemned_object_saves_it(store: Store) -> None:
    store.put(np.arange(1000))
    age(store, 1000)
    store.gc(dry_run=False, grace_seconds=0)
    ref = store.put(np.arange(1000))
    time.sleep(0.01)
    assert [item.state for item in store.gc(dry_run=False, grace_seconds=500).unneeded] == ["young"]
    assert store.get(ref).size == 1000
    assert not list((Path(store.place) / "condemned").glob("*"))


def test_what_a_near_duplicate_takes_leaves_from_stays(store: Store) -> None:
    stack = RANDOM.random((100, 64, 64))
    store.put(stack)
    changed = stack.copy()
    changed[3] = 0
    ref = store.put(changed, name="kept")
    assert store.file(ref) is None
    collect_twice(store)
    np.testing.assert_array_equal(store.get("kept"), changed)
    store.forget("kept")
    collect_twice(store)
    assert not addresses(store)


def test_without_an_index_the_same_is_kept(store: Store) -> None:
    store.put({"x": np.arange(1000)}, name="kept")
    store.put(np.arange(7))
    for path in Path(store.place).glob("index.sqlite*"):
        path.unlink()
    fresh = open_store(store.place)
    collect_twice(fresh)
    assert fresh.get("kept")["x"].size == 1000
    assert len(addresses(fresh)) == 2


def lie(path: Path) -> None:
    """Say in the index that every object is another one, of other leaves, and unchanged."""
    with closing(sqlite3.connect(path)) as index, index:
        (tables,) = zip(*index.execute("SELECT name FROM sqlite_master WHERE type = 'table'"), strict=True)
        assert "object" in tables
        addresses = [address for (address,) in index.execute("SELECT address FROM object ORDER BY id")]
        index.execute("UPDATE object SET address = address || 'x'")
        for number, address in enumerate(reversed(addresses), 1):
            index.execute("UPDATE OR IGNORE object SET address = ? WHERE rowid = ?", (address, number))
        index.execute("UPDATE hook SET leaf = leaf + 1")


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"no index at all"),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(b""),
        lie,
    ],
    ids=["absent", "corrupt", "cut", "empty", "lying"],
)
def test_whatever_the_index_says_the_same_is_removed(store: Store, change: Callable[[Path], object]) -> None:
    stack = RANDOM.random((100, 64, 64))
    changed = stack.copy()
    changed[3] = 0
    store.put(stack)
    store.put({"near": changed, "deep": {"x": np.arange(3000)}}, name="kept")
    lost = store.put({"x": np.arange(3000), "y": np.arange(4000)})
    needed = addresses(store) - {lost.digest, store.record(lost).children["y"]}
    (index,) = Path(store.place).glob("index.sqlite")
    for beside in Path(store.place).glob("index.sqlite-*"):
        beside.unlink()
    change(index)
    fresh = open_store(store.place)
    collect_twice(fresh)
    assert addresses(fresh) == needed
    np.testing.assert_array_equal(fresh.get("kept")["near"], changed)


def test_a_collection_stops_where_a_near_duplicate_has_lost_what_says_where_its_leaves_lie(store: Store) -> None:
    stack = RANDOM.random((100, 64, 64))
    changed = stack.copy()
    changed[3] = 0
    store.put(stack)
    ref = store.put(changed, name="kept")
    (Path(store.place) / "data" / ref.digest[7:9] / ref.digest[7:] / "recipe.json").unlink()
    before = addresses(store)
    for dry_run in (True, False):
        with pytest.raises(Damaged, match="the name kept needs it; nothing was removed"):
            store.gc(dry_run=dry_run, grace_seconds=0)
    assert addresses(store) == before


def test_a_list_of_what_was_condemned_that_is_damaged_only_makes_it_wait_longer(store: Store) -> None:
    store.put(np.arange(3000))
    age(store, 100)
    store.gc(dry_run=False, grace_seconds=0)
    (condemned,) = (Path(store.place) / "condemned").iterdir()
    write(condemned, b"{}")
    assert [item.state for item in store.gc(dry_run=False, grace_seconds=0).unneeded] == ["condemned"]
    assert not condemned.exists()
    time.sleep(0.01)
    assert [item.state for item in store.gc(dry_run=False, grace_seconds=0).unneeded] == ["removed"]


def test_a_collection_writes_one_list_of_what_it_condemns_and_drops_it_when_nothing_on_it_waits(store: Store) -> None:
    lists = Path(store.place) / "condemned"
    refs = [store.put(np.arange(n)) for n in range(10)]
    age(store, 1000)
    for _ in range(2):
        store.gc(dry_run=False, grace_seconds=500)
        assert len(list(lists.iterdir())) == 1
    for ref in refs[1:]:
        store.pin(ref)
    store.gc(dry_run=False, grace_seconds=500)
    assert len(list(lists.iterdir())) == 1
    store.put(np.arange(0))  # the last that waits
    store.gc(dry_run=False, grace_seconds=500)
    assert not list(lists.iterdir())


def test_a_damaged_name_stops_a_collection_before_anything_goes(store: Store) -> None:
    ref = store.put(np.arange(10), name="kept")
    path = Path(store.place) / "names" / "kept" / "@000001.json"
    write(path, path.read_bytes().replace(b"kept", b"lost"))
    with pytest.raises(Damaged, match="names/kept"):
        collect_twice(store)
    assert store.get(ref).size == 10


def test_a_damaged_pin_is_named_by_fsck_and_stops_a_collection(store: Store) -> None:
    store.pin(store.put(np.arange(10)))
    (path,) = (Path(store.place) / "pins").iterdir()
    write(path, path.read_bytes()[:-3])
    (problem,) = store.fsck().problems
    assert problem.place == f"pins/{path.name}"
    with pytest.raises(Damaged, match="the pin pins/"):
        collect_twice(store)


def test_what_an_object_needs_is_asked_anew_when_it_is_kept_in_another_form(store: Store) -> None:
    stack = RANDOM.random((100, 64, 64))
    changed = stack.copy()
    changed[3] = 0
    ref = store.put(changed, name="kept")
    plain = store.file(ref)
    assert plain is not None
    for path in Path(store.place).glob("index.sqlite*"):
        path.unlink()
    store = open_store(store.place)
    store.put(stack)  # with nothing remembered, whole
    store.rebuild_index()
    write(plain, plain.read_bytes()[:-1] + b"x")
    store.put(changed)  # repaired, as a near-duplicate now
    assert store.file(ref) is None
    collect_twice(store)
    np.testing.assert_array_equal(store.get("kept"), changed)
    assert store.fsck().clean


def test_writers_beside_collectors_lose_nothing(store: Store) -> None:
    """The collector has no patience at all; only the order of its steps protects the writers."""
    values = [RANDOM.random(2000) for _ in range(6)]
    errors: list[BaseException] = []
    done = threading.Event()

    def write(number: int) -> None:
        try:
            for turn in range(25):
                ref = store.put(values[(number + turn) % 6], name=f"writer/{number}")
                np.testing.assert_array_equal(store.get(ref), values[(number + turn) % 6])
                if turn % 5 == 4:
                    store.forget(f"writer/{number}")
        except BaseException as error:
            errors.append(error)

    def collect() -> None:
        while not done.is_set():
            try:
                store.gc(dry_run=False, grace_seconds=0.2)
            except BaseException as error:
                errors.append(error)

    writers = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    collector = threading.Thread(target=collect)
    for thread in (collector, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    collector.join()
    assert not errors
    assert store.fsck().clean
