"""Laws of putting: a folder is one tree and comes back bit by bit; what cannot be kept is refused by name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import Store, open_store
from smalti.codecs import Folder
from smalti.errors import NotFound, Refused
from smalti.tracking import StatCache, checkout, pointer_path, put_path, track
from smalti.tracking.work_file import WorkFile

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..") and name.casefold() != ".git" and len(name.encode()) < 200
)
files = st.tuples(st.binary(max_size=40), st.booleans())
folders = st.recursive(
    st.dictionaries(names, files, max_size=4), lambda inner: st.dictionaries(names, files | inner, max_size=4)
)


def written(path: Path, entry: object) -> None:
    """Write a folder of the strategy, or a file."""
    if isinstance(entry, dict):
        path.mkdir()
        for name, inner in entry.items():
            written(path / name, inner)
    else:
        content, executable = entry  # type: ignore[misc]
        path.write_bytes(content)
        path.chmod(0o755 if executable else 0o644)


def as_it_lies(path: Path) -> object:
    """Read what ``written`` wrote."""
    if path.is_dir():
        return {os.fsdecode(entry.name): as_it_lies(entry) for entry in path.iterdir()}
    return path.read_bytes(), bool(path.stat().st_mode & 0o100)


@given(folder=folders)
@settings(max_examples=40, deadline=None)
def test_a_folder_comes_back_as_it_was(folder: object) -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")) as place:
        top = Path(place)
        store, path = open_store("memory:"), top / "data"
        written(path, folder)
        track(store, StatCache(top), path)
        path.rename(top / "original")
        checkout(store, StatCache(top), path)
        assert as_it_lies(path) == as_it_lies(top / "original") == folder


def test_the_value_is_a_folder_of_bytes(store: Store, cache: StatCache, images: Path) -> None:
    ref = put_path(store, cache, images).ref
    value = store.get(ref)
    assert isinstance(value, Folder)
    assert value.entries.keys() == {"a.png", "b.png", "sub", "empty"}
    assert value.entries["b.png"] == b"b\r\n"
    assert value.entries["sub"].executable == {"run.sh"}
    assert store.put(value).digest == ref.digest


def test_equal_folders_have_equal_pointers_whenever_and_wherever(
    tmp_path: Path, store: Store, cache: StatCache, images: Path
) -> None:
    first = track(store, cache, images).pointer.read_bytes()
    images.rename(tmp_path / "moved")
    os.utime(tmp_path / "moved" / "a.png", (1, 1))
    second = track(open_store("memory:"), cache, tmp_path / "moved").pointer.read_bytes()
    assert first == second


def test_after_one_file_changed_only_that_and_the_trees_above_it_are_new(
    store: Store, cache: StatCache, images: Path
) -> None:
    first = track(store, cache, images)
    (images / "sub" / "run.sh").write_bytes(b"changed")
    second = track(store, cache, images)
    change = store.diff(first.put.ref, second.put.ref)
    assert [one.path for one in change.changes] == ["sub/run.sh"]
    assert second.put.ref.nbytes == first.put.ref.nbytes - len(b"#!/bin/sh\n") + len(b"changed")
    whole = open_store("memory:")
    put_path(whole, cache, images)
    assert whole.record(second.put.ref).nbytes == store.record(second.put.ref).nbytes
    assert store.fsck(full=True).clean


def test_a_tracked_value_survives_a_collection(store: Store, cache: StatCache, images: Path) -> None:
    ref = track(store, cache, images).put.ref
    for _ in range(3):
        store.gc(dry_run=False, grace_seconds=0)
    assert store.get(ref).entries["a.png"] == b"a"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda at: (at / "link").symlink_to("a.png"), "images/link is a symbolic link"),
        (lambda at: os.mkfifo(at / "pipe"), "images/pipe is a pipe, a socket or a device"),
        (lambda at: (at / ".git").mkdir(), "holds '.git': what git keeps is not for a store"),
        (lambda at: (at / "a.png.smalti").write_text(""), "images/a.png is tracked by itself"),
        (lambda at: Path(os.fsdecode(bytes(at) + b"/\xff")).write_text(""), r"called b'\\xff', which is not UTF-8"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name_and_no_pointer_is_left(
    store: Store, cache: StatCache, images: Path, make: object, sentence: str
) -> None:
    make(images)  # type: ignore[operator]
    with pytest.raises(Refused, match=sentence):
        track(store, cache, images)
    assert not pointer_path(images).exists()


def test_paths_that_overlap_are_refused(tmp_path: Path, store: Store, cache: StatCache, images: Path) -> None:
    track(store, cache, images)
    with pytest.raises(Refused, match="which is tracked as a whole; put that"):
        track(store, cache, images / "a.png")
    with pytest.raises(Refused, match="holds the store itself"):
        track(store, cache, tmp_path)


def test_nothing_there_is_said(store: Store, cache: StatCache, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing is not there; name a file or a folder"):
        track(store, cache, tmp_path / "nothing")


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="there is no file here that hides its size")
def test_a_file_that_holds_more_than_its_size_is_refused() -> None:
    file = WorkFile("/proc/self/status")
    with pytest.raises(Refused, match="was written to while it was read"):
        file.check_unchanged()


def test_a_file_that_is_written_to_while_it_is_read_is_refused(tmp_path: Path, store: Store, cache: StatCache) -> None:
    path = tmp_path / "growing"
    path.mkdir()
    for number in range(3):
        (path / str(number)).write_bytes(b"x")
    growing = (path / "0").open("ab", buffering=0)

    class Writer:
        """A store that somebody writes beside: file 0 grows as soon as it has been read."""

        def put_all(self, values: object) -> list[object]:
            for _ in values:  # type: ignore[attr-defined]
                growing.write(b"y")
            return []

    with growing, pytest.raises(Refused, match="growing/0 was written to while it was read"):
        put_path(Writer(), cache, path)  # type: ignore[arg-type]


def test_a_put_that_was_killed_goes_on_where_it_was(disk_path: Path) -> None:
    folder = disk_path / "many"
    folder.mkdir()
    for number in range(5000):
        (folder / str(number)).write_bytes(str(number).encode())
        os.utime(folder / str(number), (1, 1))
    program = f"""
import time
from pathlib import Path
from smalti import open_store
from smalti.tracking import StatCache, track
top = Path({str(disk_path)!r})
def stop(progress):
    print(progress.objects, flush=True)
    time.sleep(600)
track(open_store(top / "store"), StatCache(top), top / "many", stop)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        done = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
    assert 0 < done < 5000
    store = open_store(disk_path / "store")
    before = len(list((disk_path / "store" / "data").glob("*/*")))
    assert before >= done
    put = track(store, StatCache(disk_path), folder).put
    assert put.files == 5000
    assert len(list((disk_path / "store" / "data").glob("*/*"))) == 5001
    assert store.fsck().clean
