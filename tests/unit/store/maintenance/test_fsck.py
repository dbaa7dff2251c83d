"""Laws of checking: how deep, how far after an interruption, what is named, and what a repair brings back."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

from smalti import Store, open_store
from smalti.codecs import CODECS
from smalti.store import Progress, Ref
from smalti.store.backends.base import folder_key
from smalti.store.backends.memory import MemoryBackend
from smalti.store.format.record import Record
from smalti.store.format.sealed import seal
from smalti.store.objects.index import Known, MemoryIndex
from smalti.store.objects.object_store import ObjectStore

RANDOM = np.random.default_rng(0)
ROW_NBYTES = 16 * 1024


class Counted(Store):
    """A store in memory that counts how often each object was read whole."""

    def __init__(self) -> None:
        self.backend = MemoryBackend()
        super().__init__(self.backend, CODECS)
        self.read_whole: Counter[str] = Counter()
        self.init()

    @cached_property
    def _all_objects(self) -> ObjectStore:
        return CountedObjects(self.backend, MemoryIndex(), self.read_whole)


class CountedObjects(ObjectStore):
    """Objects that count how often each was read whole."""

    def __init__(self, backend: MemoryBackend, index: MemoryIndex, read_whole: Counter[str]) -> None:
        super().__init__(backend, index)
        self.read_whole = read_whole

    def verify(self, address: str, whole: bool = True) -> Record:
        self.read_whole[address] += whole
        return super().verify(address, whole)


@pytest.fixture
def counted() -> Counted:
    store = Counted()
    for n in range(20):
        store.put(np.arange(1000 * (n + 1)), name=f"numbers/{n}")
    time.sleep(0.01)  # what was put at the same moment as a check begins counts as put since then
    store.read_whole.clear()
    return store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


@pytest.fixture
def remote(store: Store) -> Store:
    """Another store, empty."""
    remote = open_store(Path(store.place).with_name("remote"))
    remote.init()
    return remote


def stop_after(count: int) -> Callable[[Progress], None]:
    def stop(progress: Progress) -> None:
        if progress.objects == count:
            raise KeyboardInterrupt

    return stop


def damage(path: Path, position: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def remove(store: Store, *addresses: str) -> None:
    store._objects.remove(dict.fromkeys(addresses, math.inf))


def rot(store: Store, ref: Ref, row: int) -> None:
    """Flip a bit as a failing disk does: nothing about the file looks different."""
    path = store.file(ref)
    assert path is not None
    damage(path, 4096 + row * ROW_NBYTES)
    objects = store._objects
    files = tuple(objects.backend.list(folder_key(ref.digest)))
    objects.index.remember([Known(objects.record(ref.digest), None, files)])


def test_a_check_reads_a_sample_of_what_looks_as_it_did_and_a_full_one_every_byte(store: Store) -> None:
    ref = store.put(RANDOM.random((2000, 2048)), name="large")
    assert store.fsck(full=True).clean
    rot(store, ref, 1000)
    reports = [store.fsck() for _ in range(3)]
    assert any(report.clean for report in reports)  # 32 leaves of 2000 each time
    (problem,) = store.fsck(full=True).problems
    assert (problem.place, problem.names) == (ref.digest, ("large",))


def test_a_check_reads_whole_what_was_written_to(store: Store) -> None:
    ref = store.put(RANDOM.random((2000, 2048)))
    path = store.file(ref)
    assert path is not None
    damage(path, 4096 + 1000 * ROW_NBYTES)
    assert [problem.place for problem in store.fsck().problems] == [ref.digest]


def test_progress_counts_objects_and_bytes(counted: Counted) -> None:
    seen: list[Progress] = []
    report = counted.fsck(seen.append)
    assert [(progress.objects, progress.of_objects) for progress in seen] == [(n, 20) for n in range(1, 21)]
    assert seen[-1].nbytes == report.nbytes == sum(8000 * (n + 1) for n in range(20))


def test_an_interrupted_full_check_goes_on_where_it_stopped(counted: Counted) -> None:
    addresses = list(counted.backend.addresses())
    for stop in (8, 14):
        with pytest.raises(KeyboardInterrupt):
            counted.fsck(stop_after(stop), full=True)
    counted.read_whole.clear()
    report = counted.fsck(full=True)
    assert (report.clean, report.objects, report.nbytes) == (True, 20, sum(8000 * (n + 1) for n in range(20)))
    assert list(counted.read_whole) == addresses[14:]
    assert not notes(counted)
    counted.fsck(full=True)
    assert set(counted.read_whole) == set(addresses)


def test_what_was_put_since_and_what_was_damaged_is_read_again(counted: Counted) -> None:
    addresses = list(counted.backend.addresses())
    counted.backend.files[addresses[2]]["data.npy"] += b"x"
    with pytest.raises(KeyboardInterrupt):
        counted.fsck(stop_after(10), full=True)
    counted.backend.lease(addresses[5])
    counted.read_whole.clear()
    report = counted.fsck(full=True)
    assert set(counted.read_whole) == {addresses[2], addresses[5], *addresses[10:]}
    assert [problem.place for problem in report.problems] == [addresses[2]]


@pytest.mark.parametrize("began_days_ago", [6.9, 7.1])
def test_a_note_holds_for_a_week(counted: Counted, began_days_ago: float) -> None:
    began_at = time.time() - began_days_ago * 24 * 3600
    counted.backend.leases = dict.fromkeys(counted.backend.leases, began_at - 1)
    upto = sorted(counted.backend.addresses())[9]
    counted.backend.put("checks/1.json", seal({"began_at": began_at, "upto": upto, "damaged": []}))
    counted.fsck(full=True)
    assert len(counted.read_whole) == (10 if began_days_ago < 7 else 20)


@pytest.mark.parametrize("content", [b"no note", seal({}), seal({"began_at": "", "upto": 1, "damaged": 2})])
def test_a_damaged_note_is_of_no_account(counted: Counted, content: bytes) -> None:
    counted.backend.put("checks/1.json", content)
    assert counted.fsck(full=True).clean
    assert len(counted.read_whole) == 20
    assert not notes(counted)


def test_a_check_that_is_not_full_leaves_no_note(counted: Counted) -> None:
    with pytest.raises(KeyboardInterrupt):
        counted.fsck(stop_after(10))
    assert not notes(counted)


def notes(store: Counted) -> list[str]:
    return [key for key in store.backend.documents if key.startswith("checks/")]


def test_a_damaged_object_names_names_pins_and_what_takes_leaves_from_it(store: Store) -> None:
    stack = RANDOM.random((100, 2048))
    base = store.put(stack, name="base")
    changed = stack.copy()
    changed[3] = 0
    store.put({"below": {"stack": changed}}, name="tree")
    pinned = store.put({"pinned": base})
    store.pin(pinned)
    path = store.file(base)
    assert path is not None
    damage(path)
    found = {problem.place: problem.names for problem in store.fsck().problems}
    assert found[base.digest] == ("a pin", "base", "tree")


def test_runs_are_named_until_they_are_released(counted: Counted) -> None:
    ref = counted.put(b"made by a run")
    counted.add_manifest("run", outputs={"it": ref})
    remove(counted, ref.digest)
    (problem,) = counted.fsck().problems
    assert (problem.place, problem.names) == (ref.digest, ("the run run",))
    counted.release("run")
    assert counted.fsck().problems == ()


def test_a_damaged_manifest_is_named(counted: Counted) -> None:
    counted.add_manifest("run", outputs={"it": "numbers/0"})
    counted.backend.documents["manifests/run.json"] += b"x"
    assert [problem.place for problem in counted.fsck().problems] == ["manifests/run.json"]


def test_what_is_damaged_or_missing_is_repaired_from_another_store(store: Store, remote: Store) -> None:
    stack = RANDOM.random((100, 2048))
    changed = stack.copy()
    changed[3] = 0
    store.put(stack)
    store.put({"stack": stack, "changed": changed, "deep": {"deeper": {"x": b"bytes"}}, "y": b"more"}, name="all")
    store.push(remote)
    children = store.record("all").children
    path = store.file(children["stack"])
    assert path is not None
    damage(path)  # what takes leaves from it is damaged, too
    record = Path(store.place) / "data" / children["y"][7:9] / children["y"][7:] / "metadata.json"
    damage(record, 9)
    deeper = store.record(children["deep"]).children["deeper"]
    below = store.record(deeper).children["x"]
    remove(store, below, deeper)  # only one of them is known to be missing
    wanted = {children["stack"], children["changed"], children["y"], deeper}
    assert {problem.place for problem in store.fsck().problems} == wanted
    report = store.fsck(repair_from=remote)
    assert {problem.place for problem in report.problems if problem.repaired} == wanted
    assert report.clean
    assert store.fsck(full=True).problems == ()
    np.testing.assert_array_equal(store.get("all")["changed"], changed)
    assert store.file(children["changed"]) is None  # it takes its leaves from the repaired one


def test_damage_that_a_write_does_not_notice_is_repaired_all_the_same(store: Store, remote: Store) -> None:
    ref = store.put(RANDOM.random((2000, 2048)), name="large")
    store.push(remote)
    rot(store, ref, 1000)
    report = store.fsck(full=True, repair_from=remote)
    assert [(problem.place, problem.repaired) for problem in report.problems] == [(ref.digest, True)]
    assert store.fsck(full=True).problems == ()


def test_what_cannot_be_repaired_says_why(store: Store, remote: Store) -> None:
    refs = [store.put(RANDOM.random(5000), name=name) for name in ("lacks", "damaged")]
    store.push(remote, ["damaged"])
    for path in (store.file(refs[0]), store.file(refs[1]), remote.file(refs[1])):
        assert path is not None
        damage(path)
    report = store.fsck(repair_from=remote)
    found = {problem.names: problem.what for problem in report.problems}
    assert not report.clean
    assert f"It could not be repaired: {refs[0].digest} is not in the store at {remote.place}" in found["lacks",]
    assert (
        f"It could not be repaired: {refs[1].digest} was not taken from {remote.place}: data.npy" in found["damaged",]
    )


@pytest.mark.parametrize("released", [False, True])
def test_damaged_documents_are_repaired_from_another_store(store: Store, remote: Store, released: bool) -> None:
    ref = store.put(RANDOM.integers(9, size=3000), name="numbers")
    store.pin(store.put(b"pinned"))
    store.add_manifest("run", inputs={"numbers": ref}, metrics={"loss": 0.5}, views=["all"])
    store.push(remote)
    if released:  # there it is not
        store.release("run")
    before = store.manifest("run")
    root = Path(store.place)
    damaged = [*root.glob("manifests/*"), *root.glob("released/*"), *root.rglob("@000001.json"), *root.glob("pins/*")]
    assert len(damaged) == 3
    for path in damaged:
        path.chmod(0o600)
        path.write_bytes(b"{}")
    assert not store.fsck().clean, "without another store it is only named"
    report = store.fsck(repair_from=remote)
    assert [problem.repaired for problem in report.problems] == [True] * 3
    assert report.clean
    assert store.fsck().problems == ()
    after = store.manifest("run")
    assert (after.metrics, bool(after.released_at)) == (before.metrics, released), "it stays released, or kept"
    assert [use.run for use in store.runs_of("numbers")] == ["run"]
    store.gc(dry_run=False)
    store.push(remote)


def test_a_damaged_document_that_another_store_lacks_stays_and_says_so(store: Store, remote: Store) -> None:
    store.add_manifest("run", metrics={"loss": 0.5})
    (document,) = (Path(store.place) / "manifests").iterdir()
    document.chmod(0o600)
    document.write_bytes(b"{}")
    (problem,) = store.fsck(repair_from=remote).problems
    assert not problem.repaired
    assert "It could not be repaired: the store at" in problem.what
    assert document.read_bytes() == b"{}", "what there is may help a person"
