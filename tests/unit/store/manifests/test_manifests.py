"""Laws of manifests in a folder: the index is a cache, and whatever befalls it the answers stay right."""

from __future__ import annotations

import itertools
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import Ref, Store, open_store
from smalti.errors import Damaged, NotFound
from smalti.store import Manifest, Use, outdated
from smalti.store.backends.local.backend import LocalBackend
from smalti.store.documents import Documents
from smalti.store.manifests import Manifests
from tests.forked_process import ForkedProcess, Outcome, Say

USES = [Use("run_1", "read"), Use("run_2", "wrote")]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


@pytest.fixture
def ref(store: Store) -> Ref:
    """A value that one run read and one wrote."""
    ref = store.put(np.arange(1000))
    store.add_manifest("run_1", inputs={"x": ref})
    store.add_manifest("run_2", outputs={"x": ref})
    assert store.runs_of(ref) == USES
    return ref


def index_of(store: Store) -> Path:
    return Path(store.place) / "index.sqlite"


def delete(index: Path) -> None:
    for path in index.parent.glob("index.sqlite*"):
        path.unlink()


def empty(index: Path) -> None:
    with closing(sqlite3.connect(index)) as db, db:
        for table in ("run", "used", "did", "manifests"):
            db.execute(f"DELETE FROM {table}")


def of_another_format(index: Path) -> None:
    delete(index)
    with closing(sqlite3.connect(index)) as db, db:
        db.execute("CREATE TABLE object (id INTEGER PRIMARY KEY, address TEXT)")
        db.execute("CREATE TABLE used (something)")


def no_database(index: Path) -> None:
    delete(index)
    index.write_bytes(b"no database at all" * 1000)


def a_folder(index: Path) -> None:
    delete(index)
    index.mkdir()


@pytest.mark.parametrize("befalls", [delete, empty, of_another_format, no_database, a_folder])
@pytest.mark.parametrize("again", [False, True], ids=["the same store", "opened again"])
def test_whatever_befalls_the_index_runs_are_found(
    store: Store, ref: Ref, befalls: Callable[[Path], None], again: bool
) -> None:
    befalls(index_of(store))
    store = open_store(store.place) if again else store
    assert store.runs_of(ref) == USES
    befalls(index_of(store)) if befalls is not a_folder else None
    store.add_manifest("run_3", inputs={"x": ref})
    assert store.runs_of(ref) == [*USES, Use("run_3", "read")]


def test_an_index_that_was_deleted_is_made_anew_for_objects_too(store: Store, ref: Ref) -> None:
    stack = np.random.default_rng(0).random((100, 64, 64))
    store.put(stack)
    of_another_format(index_of(store))
    store.rebuild_index()
    assert store.put(np.concatenate([stack, stack[:1]])).new_bytes < stack.nbytes / 10
    store.gc(dry_run=False)
    assert store.fsck().clean


def test_a_manifest_whose_writer_died_before_it_was_indexed_is_found(store: Store, ref: Ref) -> None:
    Manifests(Documents(LocalBackend(Path(store.place)))).add("run_3", inputs={"x": ref.digest})
    assert store.runs_of(ref) == [*USES, Use("run_3", "read")]
    Manifests(Documents(LocalBackend(Path(store.place)))).release("run_1")
    assert store.runs_of(ref) == [*USES, Use("run_3", "read")]


def test_manifests_written_by_two_processes_at_once_are_all_found(store: Store) -> None:
    ref = store.put(np.arange(1000))

    def write_some(first: int) -> Callable[[Say], None]:
        def write(say: Say) -> None:
            mine = open_store(store.place)
            for number in range(first, first + 20):
                mine.add_manifest(f"run_{number}", inputs={"x": ref})
                assert Use(f"run_{number}", "read") in mine.runs_of(ref)

        return write

    writers = [ForkedProcess(write_some(first)) for first in (100, 200)]
    for writer in writers:
        writer.release()
    assert [writer.finish() for writer in writers] == [Outcome([], 0)] * 2
    wanted = [Use(f"run_{number}", "read") for number in (*range(100, 120), *range(200, 220))]
    assert store.runs_of(ref) == wanted
    store.rebuild_index()
    assert store.runs_of(ref) == wanted


def test_asking_where_there_is_no_store_for_runs_creates_nothing(store: Store) -> None:
    for ask in (lambda: store.runs_of("sha256:" + "0" * 64), store.rebuild_views, lambda: list(store.runs())):
        with pytest.raises(NotFound, match="there is no store at"):
            ask()
    assert not Path(store.place).exists()


@pytest.mark.parametrize("folder", ["manifests", "released"])
def test_a_manifest_that_is_damaged_or_another_s_is_named(store: Store, ref: Ref, folder: str) -> None:
    if folder == "released":
        store.release("run_1")
        store.release("run_2")
    one, other = (Path(store.place) / folder / f"run_{n}.json" for n in (1, 2))
    content = one.read_bytes()
    one.chmod(0o644)
    for damaged in (content[:-2], content.replace(b"run_1", b"run_7"), other.read_bytes()):
        one.write_bytes(damaged)
        with pytest.raises(Damaged, match=f"the manifest {folder}/run_1.json"):
            store.manifest("run_1")


def test_a_damaged_manifest_stops_a_collection_before_anything_goes(store: Store, ref: Ref) -> None:
    path = Path(store.place) / "manifests" / "run_1.json"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(Damaged, match="the manifest manifests/run_1"):
        store.gc(dry_run=False, grace_seconds=0)


def test_a_release_that_was_interrupted_keeps_everything_and_can_be_finished(store: Store, ref: Ref) -> None:
    kept = Path(store.place) / "manifests" / "run_1.json"
    content = kept.read_bytes()
    released = store.release("run_1")
    kept.write_bytes(content)  # as if it had not come to removing this
    assert not store.manifest("run_1").released_at
    assert store.gc().roots == {ref.digest: "the run run_1"}
    assert store.runs_of(ref) == USES
    assert len(list(store.manifests())) == 2
    assert store.release("run_1") == released


@settings(deadline=None)
@given(days=st.lists(st.integers(0, 100), max_size=8), older_than=st.integers(0, 100), keep_last=st.integers(0, 10))
def test_outdated_are_all_but_the_young_the_newest_and_the_released(
    days: list[int], older_than: int, keep_last: int
) -> None:
    now = datetime.now(UTC)
    manifests = [
        Manifest(f"run_{n}", (now - timedelta(days=age, minutes=1)).isoformat(timespec="milliseconds"))
        for n, age in enumerate(days)
    ]
    gone = Manifest("gone", "2001-01-01T00:00:00.000+00:00", released_at=now.isoformat())
    found = outdated([gone, *manifests], timedelta(days=older_than), keep_last)
    ages = [days[manifests.index(manifest)] for manifest in found]
    assert ages == sorted(ages, reverse=True)
    assert all(age >= older_than for age in ages)
    assert len(found) == max(0, min(sum(age >= older_than for age in days), len(days) - keep_last))


def test_a_manifest_that_was_acknowledged_survives_a_kill(store: Store) -> None:
    ref = store.put(np.arange(1000))
    acknowledged: list[int] = []
    for turn in range(4):

        def write(say: Say, turn: int = turn) -> None:
            mine = open_store(store.place)
            for number in itertools.count(1000 * turn):
                y = mine.put(np.full(10, number))
                mine.add_manifest(f"run_{number:06}", inputs={"x": ref}, outputs={"y": y})
                say(f"{number}")

        writer = ForkedProcess(write)
        writer.release()
        writer.wait_until_it_speaks()
        time.sleep(random.uniform(0, 0.1))
        writer.kill()
        acknowledged += map(int, writer.finish().said)
        found = {use.run for use in store.runs_of(ref)}
        assert {f"run_{number:06}" for number in acknowledged} <= found
        assert found == {manifest.run for manifest in store.manifests()}
        for manifest in store.manifests():
            assert store.runs_of(manifest.outputs["y"]) == [Use(manifest.run, "wrote")]
    assert len(acknowledged) >= 4
    assert store.fsck().clean
