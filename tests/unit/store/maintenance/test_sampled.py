"""Laws of sampled checks: other objects each time, all within so many, bounds, and damage that is not lost sight of."""

from __future__ import annotations

import os
import shutil
import stat
from collections import Counter
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import Store, open_store
from smalti.codecs import CODECS
from smalti.errors import Refused
from smalti.store import Progress, Sample
from smalti.store.backends.memory import MemoryBackend
from smalti.store.format.record import Record
from smalti.store.objects.index import MemoryIndex
from smalti.store.objects.object_store import ObjectStore


class Counted(Store):
    """A store in memory that counts how often each object was read."""

    def __init__(self, objects: int) -> None:
        self.backend = MemoryBackend()
        super().__init__(self.backend, CODECS)
        self.read: Counter[str] = Counter()
        self.init()
        for n in range(objects):
            self.put(np.arange(1000) + n, name=f"numbers/{n}")

    @cached_property
    def _all_objects(self) -> ObjectStore:
        return CountedObjects(self.backend, MemoryIndex(), self.read)


class CountedObjects(ObjectStore):
    """Objects that count how often each was read."""

    def __init__(self, backend: MemoryBackend, index: MemoryIndex, read: Counter[str]) -> None:
        super().__init__(backend, index)
        self.read_count = read

    def verify(self, address: str, whole: bool = True) -> Record:
        assert whole
        self.read_count[address] += 1
        return super().verify(address, whole)


@settings(max_examples=25, deadline=None)
@given(objects=st.integers(1, 30), checks=st.integers(1, 12))
def test_so_many_checks_have_read_everything_once_and_none_reads_much_more_than_its_part(
    objects: int, checks: int
) -> None:
    store = Counted(objects)
    reports = [store.fsck(sample=Sample(checks)) for _ in range(checks)]
    assert len(store.read) == objects
    assert max(report.objects for report in reports) <= -(-objects // checks)
    assert all(report.clean for report in reports)


def test_a_round_that_has_ended_says_since_when_everything_has_been_read() -> None:
    store = Counted(6)
    said = [store.fsck(sample=Sample(3)).whole_since for _ in range(4)]
    assert said[:2] == ["", ""]
    assert said[2]
    assert said[3] == said[2]
    assert max(store.read.values()) == 2  # the second round has begun


def test_what_was_put_meanwhile_is_read_in_this_round_or_the_next() -> None:
    store = Counted(10)
    for n in range(5):
        store.put(np.arange(500) + n)
        store.fsck(sample=Sample(4))
    for _ in range(4):
        store.fsck(sample=Sample(4))
    assert len(store.read) == 15


@pytest.mark.parametrize("bound", [Sample(1, most_nbytes=1), Sample(1, most_seconds=0.0)])
def test_a_bound_stops_after_what_is_being_read_and_the_next_check_goes_on_there(bound: Sample) -> None:
    store = Counted(3)
    reports = [store.fsck(sample=bound) for _ in range(3)]
    assert [(report.objects, report.bounded) for report in reports] == [(1, True), (1, True), (1, False)]
    assert store.read.keys() == {version.address for version in store.names()}


def test_a_check_that_is_interrupted_notes_how_far_it_came() -> None:
    store = Counted(8)

    def interrupt(progress: Progress) -> None:
        if progress.objects == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.fsck(interrupt, sample=Sample(1))
    store.read.clear()
    report = store.fsck(sample=Sample(1))
    assert report.objects == 4
    assert "sampled" in store.last_checks()


def _damaged(folder: Path, number: int) -> str:
    """Make a store of ten arrays and turn one byte of one of them; return its address."""
    store = open_store(folder)
    refs = sorted(store.put(np.arange(5000) + n, name=f"n/{n}").digest for n in range(10))
    file = next((folder / "data").rglob(f"{refs[number].removeprefix('sha256:')}/data.npy"))
    file.chmod(stat.S_IRUSR | stat.S_IWUSR)
    with file.open("r+b") as opened:
        opened.seek(-1, os.SEEK_END)
        opened.write(b"\xff")
    return refs[number]


def test_damage_is_found_within_the_stated_checks_and_named_again_until_it_is_mended(tmp_path: Path) -> None:
    address = _damaged(tmp_path / "store", 4)
    store = open_store(tmp_path / "store")
    found = [any(p.place == address for p in store.fsck(sample=Sample(5)).problems) for _ in range(6)]
    assert found == [False, False, True, True, True, True]
    assert store.last_checks()["sampled"].damaged == (address,)
    sound = open_store(tmp_path / "sound")
    for n in range(10):
        sound.put(np.arange(5000) + n)
    assert store.fsck(repair_from=sound, full=True).clean
    assert store.set_aside() == 1
    assert store.fsck(sample=Sample(5)).clean
    assert store.last_checks()["sampled"].problems == 0


def test_a_full_check_that_finds_damage_has_the_sampled_ones_look_at_it_first(tmp_path: Path) -> None:
    address = _damaged(tmp_path, 9)
    store = open_store(tmp_path)
    assert not store.fsck(full=True).clean
    (problem,) = store.fsck(sample=Sample(10)).problems
    assert (problem.place, problem.names) == (address, ("n/" + problem.names[0][2:],))


def test_a_missing_value_of_a_name_is_found_by_every_sampled_check(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    gone = store.put(np.arange(3), name="gone").digest
    store.put(np.arange(4), name="there")
    folder = next((tmp_path / "data").rglob(gone.removeprefix("sha256:")))
    for path in (folder, folder.parent):
        path.chmod(0o755)
    shutil.rmtree(folder)
    (problem,) = open_store(tmp_path).fsck(sample=Sample(2)).problems
    assert problem.names == ("gone",)
    assert "is missing" in problem.what


def test_an_empty_store_is_clean_and_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.init()
    report = store.fsck(sample=Sample())
    assert report.clean
    assert report.objects == 0
    with pytest.raises(Refused, match="either full or sampled"):
        store.fsck(full=True, sample=Sample())
    with pytest.raises(Refused, match="0 parts are none; give 1 or more"):
        Sample(0)


def test_every_kind_of_check_leaves_behind_when_it_ended_also_for_another_process(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.put(np.arange(10), name="a")
    assert store.last_checks() == {}
    store.fsck()
    store.fsck(full=True)
    store.fsck(sample=Sample(1))
    last = open_store(tmp_path).last_checks()
    assert {kind: (check.objects, check.problems) for kind, check in last.items()} == {
        "quick": (1, 0),
        "sampled": (1, 0),
        "full": (1, 0),
    }


@pytest.mark.parametrize("kind", ["round", "sampled"])
def test_a_damaged_note_is_as_good_as_none(tmp_path: Path, kind: str) -> None:
    store = open_store(tmp_path)
    store.put(np.arange(10), name="a")
    store.fsck(sample=Sample(1))
    note = tmp_path / "checked" / f"{kind}.json"
    note.chmod(0o644)
    note.write_bytes(b'{"upto": 7}')
    assert open_store(tmp_path).fsck(sample=Sample(1)).clean
    assert open_store(tmp_path).last_checks()["sampled"].objects == 1
