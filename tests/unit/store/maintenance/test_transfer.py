"""Laws of transfer: only what is missing moves, whole values only arrive, and an interruption costs nothing."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import numpy as np
import pytest

from smalti import Store, Weights, open_store
from smalti.codecs import CODECS
from smalti.errors import Damaged, NotFound, Refused
from smalti.store import Progress
from smalti.store.backends.memory import MemoryBackend, MemoryFile

RANDOM = np.random.default_rng(0)
ROW_NBYTES = 64 * 64 * 4


class FarFile(MemoryFile):
    """A file that is no file of this machine; it counts what is read of it."""

    def __init__(self, backend: FarBackend, key: str) -> None:
        super().__init__(backend, key)
        self._far = backend

    def read_into(self, start: int, out: memoryview) -> None:
        self._far.nbytes_read += len(out)
        super().read_into(start, out)


class FarBackend(MemoryBackend):
    """A backend far away; ``nbytes_read`` counts the content that was fetched from it."""

    location = identity = "far:"
    parallel = 4
    writes_ahead = False
    nbytes_read = 0

    def open(self, key: str) -> MemoryFile:
        return FarFile(self, key)


@pytest.fixture
def here(tmp_path: Path) -> Store:
    store = open_store(tmp_path / "here")
    child = RANDOM.random((100, 64, 64), np.float32)
    changed = child.copy()
    changed[3] = 0
    store.put({"x": child, "deep": {"y": b"raw"}, "n": 1}, name="scan/one")
    store.put({"x": changed, "w": Weights({"a": np.ones(3000)})}, name="scan/two")
    store.put(np.arange(9))
    return store


@pytest.fixture
def there(tmp_path: Path) -> Store:
    return made(tmp_path / "there")


@pytest.fixture
def far() -> Store:
    far = Store(FarBackend(), CODECS)
    far.init()
    return far


def made(folder: Path) -> Store:
    """Return an empty store."""
    store = open_store(folder)
    store.init()
    return store


def remove(store: Store, address: str) -> None:
    store._objects.remove({address: math.inf})


def test_everything_with_a_name_arrives_and_nothing_else(here: Store, there: Store) -> None:
    report = here.push(there)
    assert report.names == ("scan/one", "scan/two")
    for name in report.names:
        assert there.resolve(name) == here.resolve(name)
    np.testing.assert_array_equal(there.get("scan/two")["x"], here.get("scan/two")["x"])
    assert there.get("scan/one")["deep"] == {"y": b"raw"}
    assert there.fsck(full=True).clean
    assert report.sent == report.needed == there.fsck().objects


def test_near_duplicates_stay_small_on_the_way(here: Store, there: Store) -> None:
    report = here.push(there)
    assert report.nbytes < 1.3 * here.get("scan/one")["x"].nbytes


def test_a_second_push_sends_nothing(here: Store, there: Store) -> None:
    here.push(there)
    report = here.push(there)
    assert (report.sent, report.nbytes_read, report.nbytes) == (0, 0, 0)
    assert there.versions("scan/one")[-1].version == 1


def test_a_single_value_can_be_pulled_by_name_or_by_digest(here: Store, there: Store) -> None:
    there.pull(here, ["scan/one"])
    assert [named.name for named in there.names()] == ["scan/one"]
    unnamed = made(Path(there.place).with_name("third"))
    unnamed.pull(here, [here.resolve("scan/one")])
    assert not list(unnamed.names())
    assert unnamed.get(here.resolve("scan/one"))["n"] == 1


def test_a_place_that_takes_several_writes_at_once_gets_everything(here: Store, there: Store, far: Store) -> None:
    values = [{"leaf": np.arange(n + 1), "below": {"n": n}} for n in range(30)]
    here.put({f"{n}": value for n, value in enumerate(values)}, name="many")
    report = here.push(far)
    assert report.sent == report.needed == far.fsck().objects
    back = there.pull(far)
    assert (back.sent, back.names) == (report.sent, ("many", "scan/one", "scan/two"))
    assert there.get("many")["29"]["below"]["n"] == 29
    assert there.fsck(full=True).clean


def test_only_the_leaves_that_the_target_lacks_are_read_from_the_source(there: Store, far: Store) -> None:
    stack = RANDOM.random((100, 64, 64), np.float32)
    there.put(stack)
    changed = np.insert(stack, 50, RANDOM.random((2, 64, 64), np.float32), 0)
    changed[3] = 0
    far.put({"stack": changed, "n": 1}, name="changed")
    backend = far._backend
    assert isinstance(backend, FarBackend)
    backend.nbytes_read = 0
    report = there.pull(far)
    framing_nbytes = 4096
    assert report.nbytes_read == 3 * ROW_NBYTES
    assert backend.nbytes_read <= report.nbytes_read + framing_nbytes + 4096  # and what says which leaves those are
    assert report.nbytes < 6 * ROW_NBYTES
    np.testing.assert_array_equal(there.get("changed")["stack"], changed)
    assert there.fsck(full=True).clean


def test_a_leaf_that_is_damaged_in_the_target_is_read_from_the_source(there: Store, far: Store) -> None:
    stack = RANDOM.random((100, 64, 64), np.float32)
    path = there.file(there.put(stack))
    changed = stack.copy()
    changed[3] = 0
    far.put(changed, name="changed")
    assert path is not None
    flip_a_bit(path, 4096 + ROW_NBYTES)
    report = there.pull(far)
    assert report.nbytes_read == 4 * ROW_NBYTES  # the three rows before the changed one are one run
    np.testing.assert_array_equal(there.get("changed"), changed)


def test_an_interrupted_push_leaves_whole_values_and_goes_on(here: Store, far: Store) -> None:
    def stop_after_two(progress: Progress) -> None:
        if progress.objects == 2:
            raise KeyboardInterrupt

    for there in (far, made(Path(here.place).with_name("there"))):
        with pytest.raises(KeyboardInterrupt):
            here.push(there, progress=stop_after_two)
        assert there.fsck(full=True).clean
        assert not list(there.names())
        missing = here.verify(there).problems
        assert missing
        report = here.push(there)
        assert report.sent == sum(problem.place.startswith("sha256:") for problem in missing)
        assert here.verify(there).clean


def test_progress_counts_up_to_everything(here: Store, there: Store) -> None:
    seen: list[Progress] = []
    report = here.push(there, progress=seen.append)
    assert [progress.objects for progress in seen] == list(range(1, report.sent + 1))
    assert {progress.of_objects for progress in seen} == {report.sent}
    assert seen[-1].nbytes == seen[-1].of_nbytes == 2 * 100 * ROW_NBYTES + len(b"raw") + 3000 * 8


def test_damage_is_not_passed_on(here: Store, there: Store) -> None:
    path = here.file(here.record("scan/one").children["x"])
    assert path is not None
    flip_a_bit(path, 50_000)
    with pytest.raises(Damaged, match="is damaged in the 16384 bytes"):
        here.push(there)
    assert there.fsck(full=True).clean
    assert not list(there.names())


def test_a_name_that_is_not_there_is_a_sentence(here: Store, there: Store) -> None:
    with pytest.raises(NotFound, match="'nothing' is neither a name nor a digest"):
        there.pull(here, ["nothing"])


def test_what_is_there_already_is_young_afterwards(here: Store, there: Store) -> None:
    """Nothing there may need it yet: a collection at work must not remove what a push relies on."""
    here.push(there, [here.record("scan/one").children["deep"]])
    backend = there._backend
    for folder in (Path(there.place) / "data").glob("??/*"):
        os.utime(folder, (0, 0))
    here.push(there)
    assert all(time.time() - backend.lease(address, renew=False) < 600 for address in backend.addresses())


def test_manifests_come_last_with_all_that_they_keep(here: Store, there: Store) -> None:
    scan = here.put({"x": np.arange(9)})
    here.add_manifest("solve-1", inputs={"scan": scan}, outputs={"best": here.put(b"image")}, notes={"code": "1a2b"})
    here.add_manifest("solve-0", outputs={"first": here.put(b"worse")})
    here.release("solve-0")
    here.push(there)
    assert list(there.manifests()) == list(here.manifests())
    assert there.runs_of(scan) == [("solve-1", "read")]
    assert there.get(scan)["x"].tolist() == list(range(9))
    with pytest.raises(NotFound, match="solve-0"):
        there.get(here.manifest("solve-0").outputs["first"])
    here.push(there)
    assert len(list(there.manifests())) == 2


def test_another_manifest_of_the_same_run_is_not_written_over(here: Store, there: Store) -> None:
    here.add_manifest("solve", outputs={"image": here.put(b"one")})
    there.add_manifest("solve", outputs={"image": there.put(b"other")})
    with pytest.raises(Refused, match="the run 'solve' has another manifest already"):
        here.push(there)
    assert there.manifest("solve").outputs["image"] == there.put(b"other").digest


def test_verify_names_what_is_missing_or_damaged_in_the_other_store(here: Store, there: Store) -> None:
    here.push(there)
    seen: list[Progress] = []
    report = here.verify(there, progress=seen.append)
    assert (report.clean, report.objects) == (True, there.fsck().objects)
    assert seen[-1].nbytes == seen[-1].of_nbytes == report.nbytes
    path = there.file(here.record("scan/two").children["w"])
    raw = here.record(here.record("scan/one").children["deep"]).children["y"]
    assert path is not None
    flip_a_bit(path, -1)
    remove(there, raw)
    report = here.verify(there)
    found = {problem.place: problem for problem in report.problems}
    assert set(found) == {here.record("scan/two").children["w"], raw}
    assert found[raw].names == ("scan/one",)
    assert "is missing in" in found[raw].what
    assert here.verify(there, ["scan/one"]).problems == (found[raw],)


def flip_a_bit(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def test_what_is_pinned_is_kept_where_all_was_brought_to_too(tmp_path: Path) -> None:
    """Of what only a pointer file in git refers to, a backup keeps the bytes, and gives them to a new store."""
    here, backup, anew = (made(tmp_path / name) for name in ("a", "b", "c"))
    ref = here.put(b"only a pointer file refers to it")
    here.pin(ref)
    here.push(backup)
    assert backup.pins() == [ref.digest]
    assert not backup.gc(grace_seconds=0).unneeded
    anew.pull(backup)
    assert bytes(anew.get(ref)) == b"only a pointer file refers to it"
    assert here.push(backup).sent == 0
