"""A directory is committed by content: near-free when little changed, and nothing when nothing did."""

from __future__ import annotations

import json
import shutil
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from smalti import open_store
from smalti.directory import versions
from smalti.directory.hdf5.arrays import ArrayFile, extend_array, write_array
from smalti.directory.versions.contents import HISTORY_FILE
from smalti.directory.versions.stored_file import value_of
from smalti.errors import NotFound, Refused
from smalti.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    return open_store(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with an array of 4 MB, one that grew, text, and a folder in it."""
    folder = tmp_path / "experiment"
    write_array(folder / "images.h5", np.random.default_rng(0).random((1000, 32, 16)))
    extend_array(folder / "losses.h5", np.arange(9000.0))
    extend_array(folder / "losses.h5", [0.5])
    (folder / "_meta.yaml").write_text("config: {type: Directory}\nstatus: done\n")
    write_array(folder / "inner" / "flag.h5", True)
    return folder


def test_a_commit_is_a_version_and_the_next_one_adds_little(folder: Path, store: Store) -> None:
    first = versions.commit(folder, "as measured", store)
    assert (first.number, first.message, first.is_new) == (1, "as measured", True)
    assert first.new_bytes > first.nbytes * 0.95
    images = ArrayFile(folder / "images.h5")[:]
    images[500:510] = 0
    write_array(folder / "images.h5", images)
    second = versions.commit(folder, "ten rows masked", store)
    assert (second.number, second.is_new) == (2, True)
    assert second.new_bytes < 0.1 * second.nbytes
    assert [(v.number, v.message) for v in versions.log(folder, store)] == [(2, "ten rows masked"), (1, "as measured")]
    assert store.fsck(full=True).clean


def test_nothing_changed_is_nothing_new(folder: Path, store: Store) -> None:
    first = versions.commit(folder, "first", store)
    before = sorted(path.stat().st_mtime_ns for path in (folder.parent / "store" / "data").rglob("*.json"))
    again = versions.commit(folder, "again", store)
    assert (again.number, again.digest, again.message, again.is_new, again.new_bytes) == (
        1, first.digest, "first", False, 0,
    )  # fmt: skip
    assert len(versions.log(folder, store)) == 1
    assert before == sorted(path.stat().st_mtime_ns for path in (folder.parent / "store" / "data").rglob("*.json"))


def test_a_version_is_read_as_values(folder: Path, store: Store) -> None:
    """The arrays of a version are arrays of the store, shared with whoever else stores them."""
    images = ArrayFile(folder / "images.h5")[:]
    ref = store.put(images)
    version = versions.commit(folder, "first", store)
    assert version.new_bytes < 0.1 * version.nbytes, "the array was stored already"
    files = store.get(version.digest)
    assert np.array_equal(files["images.h5"]["data"], images)
    assert files["inner"]["flag.h5"]["data"] == np.True_
    assert store.record(version.digest).children.keys() == {"images.h5", "losses.h5", "_meta.yaml", "inner"}
    assert store.record(store.record(version.digest).children["images.h5"]).children["data"] == ref.digest


def test_equal_files_have_equal_digests_wherever_they_lie(folder: Path, store: Store, tmp_path: Path) -> None:
    copied = tmp_path / "elsewhere"
    shutil.copytree(folder, copied)
    assert versions.commit(folder, "one", store).digest == versions.commit(copied, "other", store).digest
    assert len(versions.log(copied, store)) == 1, "two directories that were never committed together"


def test_a_history_goes_where_the_directory_is_moved(folder: Path, store: Store, tmp_path: Path) -> None:
    versions.commit(folder, "first", store)
    moved = folder.rename(tmp_path / "moved")
    assert [version.message for version in versions.log(moved, store)] == ["first"]
    assert not versions.commit(moved, "nothing", store).is_new
    (moved / "note.txt").write_text("a note")
    assert versions.commit(moved, "second", store).number == 2


def test_what_was_not_committed_has_no_versions(folder: Path, store: Store, tmp_path: Path) -> None:
    assert versions.log(folder, store) == []
    with pytest.raises(NotFound, match="commit one first"):
        versions.diff(folder, store)
    with pytest.raises(NotFound, match="there are: none"):
        versions.checkout(folder, 1, store)
    with pytest.raises(NotFound, match="nowhere"):
        versions.commit(tmp_path / "nowhere", "first", store)


def test_what_cannot_be_kept_is_refused_by_name(folder: Path, store: Store, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds the store itself"):
        versions.commit(tmp_path, "everything", store)
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(Refused, match="link is a symbolic link"):
        versions.commit(folder, "a link", store)
    assert not (folder / HISTORY_FILE).exists(), "nothing was begun"


@pytest.mark.parametrize("text", ["", "[]", '{"history": "../../x", "base": []}', '{"history": 3}'])
def test_a_history_file_that_is_not_ours_is_refused(folder: Path, store: Store, text: str) -> None:
    (folder / HISTORY_FILE).write_text(text)
    for act in (versions.log, versions.diff, lambda f, s: versions.commit(f, "x", s)):
        with pytest.raises(Refused, match=r"_versions\.json does not say"):
            act(folder, store)


def test_the_store_of_the_root_is_the_default(folder: Path, store: Store) -> None:
    versions.commit(folder, "first")
    assert [version.message for version in versions.log(folder, store)] == ["first"]


def test_two_copies_go_on_with_one_history(folder: Path, store: Store, tmp_path: Path) -> None:
    versions.commit(folder, "first", store)
    copied = tmp_path / "copy"
    shutil.copytree(folder, copied)
    (copied / "a").write_text("a")
    (folder / "b").write_text("b")
    assert versions.commit(copied, "in the copy", store).number == 2
    assert versions.commit(folder, "in the original", store).number == 3
    assert [v.message for v in versions.log(copied, store)] == ["in the original", "in the copy", "first"]


def test_a_collection_keeps_every_version(folder: Path, store: Store) -> None:
    for number in range(3):
        write_array(folder / "images.h5", np.full((1000, 64), number))
        versions.commit(folder, f"{number}", store)
    store.gc(dry_run=False, grace_seconds=0)
    store.gc(dry_run=False, grace_seconds=0)
    for version in versions.log(folder, store):
        assert (store.get(version.digest)["images.h5"]["data"] == int(version.message)).all()


def test_the_rows_of_an_array_that_grew_are_not_gathered_in_memory(tmp_path: Path, store: Store) -> None:
    path = tmp_path / "grown" / "x.h5"
    for number in range(8):
        extend_array(path, np.random.default_rng(number).random((500, 500)))
    content = memoryview(path.read_bytes())
    tracemalloc.start()
    try:
        value = value_of(path, content)
        assert tracemalloc.get_traced_memory()[1] < len(content) / 10
    finally:
        tracemalloc.stop()
    assert len(value.attrs["extents"]) < 50, "blocks that follow each other are one extent"
    versions.commit(path.parent, "first", store)
    with h5py.File(path, "r+") as hdf5:
        hdf5["data"][2000:2020] = 0
    second = versions.commit(path.parent, "second", store)
    assert second.new_bytes < 0.05 * second.nbytes
    assert np.array_equal(store.get(second.digest)["x.h5"]["data"], ArrayFile(path)[:])
    assert store.fsck(full=True).clean


@pytest.mark.parametrize(
    "options",
    [{}, {"chunks": (3, 4)}, {"chunks": (3, 2)}, {"compression": "gzip"}, {"chunks": (64, 4), "maxshape": (None, 4)},
     {"dtype": ">f8"}, {"dtype": "f4", "fletcher32": True}],
    ids=str,
)  # fmt: skip
def test_a_file_of_any_layout_has_its_array_or_its_bytes_in_the_store(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "x.h5"
    wanted = np.random.default_rng(1).random((100, 4)).astype("f4")
    for libver in ("earliest", "latest"):
        with h5py.File(path, "w", libver=libver) as hdf5:
            hdf5.create_dataset("data", wanted.shape, **{"dtype": "f8"} | options)[:] = wanted
            hdf5["besides"] = 1
        content = path.read_bytes()
        value = value_of(path, memoryview(content))
        plain = not options or options.get("chunks") in {(3, 4), (64, 4)}
        if plain:
            data = np.frombuffer(b"".join(value.children["data"].file[1:])).reshape(wanted.shape)
            assert np.array_equal(data, wanted)
            whole = bytearray(len(content))
            rest, at, taken = value.children["rest"], 0, 0
            for start, begin, nbytes in value.attrs["extents"]:
                whole[at:start] = rest[taken : taken + start - at]
                taken += start - at
                whole[start : start + nbytes] = data.tobytes()[begin : begin + nbytes]
                at = start + nbytes
            whole[at:] = rest[taken:]
            assert whole == content
        else:
            assert value == content


def test_a_boolean_that_is_neither_0_nor_1_is_kept_as_it_is(tmp_path: Path) -> None:
    write_array(tmp_path / "x.h5", [True] * 100)
    content = (tmp_path / "x.h5").read_bytes().replace(b"\1" * 100, b"\2" * 100)
    (tmp_path / "x.h5").write_bytes(content)
    assert value_of(tmp_path / "x.h5", memoryview(content)) == content


def test_a_file_that_only_calls_itself_an_array_is_kept_as_bytes(folder: Path, store: Store) -> None:
    (folder / "images.h5").write_bytes(b"\x89HDF\r\n\x1a\n and then something else")
    version = versions.commit(folder, "damaged", store)
    assert store.get(version.digest)["images.h5"] == (folder / "images.h5").read_bytes()


def test_what_versions_are_is_written_plainly(folder: Path, store: Store) -> None:
    version = versions.commit(folder, "first", store)
    document = json.loads((folder / HISTORY_FILE).read_text())
    assert document["base"] == [version.digest]
    assert store.ref(f"directories/{document['history']}").kind == "tree"


def test_a_directory_is_committed_while_rows_are_added(folder: Path, store: Store) -> None:
    done = threading.Event()

    def extend() -> None:
        number = 0.0
        while not done.is_set():
            extend_array(folder / "live.h5", np.full((1, 500), number))
            number += 1

    extend_array(folder / "live.h5", np.full((1, 500), -1.0))
    extending = threading.Thread(target=extend)
    extending.start()
    try:
        made = [versions.commit(folder, f"{number}", store) for number in range(10)]
    finally:
        done.set()
        extending.join()
    for version in made:
        rows = store.get(version.digest)["live.h5"]["data"]
        assert rows[:, 0].tolist() == [float(number) for number in range(-1, len(rows) - 1)]
        assert (rows == rows[:, :1]).all()
