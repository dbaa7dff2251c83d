"""Views of stored values: whole, read-only, the same again and again, and never at the cost of a user's file."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from smalti import Store, open_store
from smalti.datasets.published import publish
from smalti.errors import Damaged, NotFound, Refused, Unavailable

CARD = {"source": "Kaggle <titanic>", "licence": "CC0", "quality": ["177 ages are missing", "né à Zürich"]}
STEPS = ["removed rows without a target", "split 80 to 20\nby passenger"]
SOURCE = Path(__file__).parents[3] / "src"

Publish = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMALTI_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def store(root: Path) -> Store:
    return open_store(root / "store")


@pytest.fixture
def view(store: Store, root: Path) -> Publish:
    """Publish a value in data/processed; by default as ``titanic``."""

    def view(value: Any, name: str = "titanic", **more: Any) -> Path:
        said = {"card": CARD, "steps": STEPS, "version": "1.0", **more}
        return publish(more.pop("store", store), store.put(value), root / "data" / "processed", name, **said)

    return view


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def looks(folder: Path) -> dict[str, tuple[int, int, int]]:
    statuses = {str(path): path.lstat() for path in (folder, *folder.rglob("*"))}
    return {path: (status.st_ino, status.st_mtime_ns, status.st_ctime_ns) for path, status in statuses.items()}


def test_a_table_is_a_file_that_other_tools_open_with_its_card_steps_and_version(view: Publish, store: Store) -> None:
    table = pa.table({"age": [22.0, None], "name": ["Braund", "Cumings"]})
    folder = view(table)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "card.yaml", "titanic.arrow", "view.json"]
    with pa.memory_map(str(folder / "titanic.arrow")) as file:
        assert pa.ipc.open_file(file).read_all().to_pydict() == table.to_pydict()
    assert yaml.safe_load((folder / "card.yaml").read_text("utf-8")) == CARD
    page = (folder / "README.md").read_text("utf-8")
    for said in ("Version: 1.0.", "1. removed rows without a target", "2. split 80 to 20 by passenger", "177 ages"):
        assert said in page
    about = json.loads((folder / "view.json").read_bytes())
    assert (about["digest"], about["version"], about["steps"]) == (store.put(table).digest, "1.0", STEPS)


def test_a_value_without_a_card_is_said_to_have_none(store: Store, root: Path) -> None:
    ref = store.put({"a": b"a"})
    folder = publish(store, ref, root / "data" / "processed", "bare", card={}, steps=[], version="not stated")
    assert "None: source and licence are not stated." in (folder / "README.md").read_text("utf-8")


def test_the_digests_are_those_of_the_files(view: Publish) -> None:
    folder = view({"x": np.arange(5000.0), "note": b"as measured"})
    files = json.loads((folder / "view.json").read_bytes())["files"]
    there = contents(folder)
    del there["view.json"]
    assert {name: about["sha256"] for name, about in files.items()} == {
        name: hashlib.sha256(content).hexdigest() for name, content in there.items()
    }


def test_a_tree_becomes_files_and_folders(view: Publish) -> None:
    folder = view({"x": np.arange(3), "inner": {"y": np.ones((2, 2))}})
    assert np.array_equal(np.load(folder / "x.npy"), np.arange(3))
    assert np.array_equal(np.load(folder / "inner" / "y.npy"), np.ones((2, 2)))


def test_every_file_is_read_only(view: Publish) -> None:
    folder = view({"x": np.arange(3), "big": np.arange(5000.0)})
    assert all(path.stat().st_mode & 0o222 == 0 for path in folder.rglob("*") if path.is_file())


def test_a_large_value_takes_its_room_once(view: Publish, store: Store) -> None:
    value = np.arange(100_000.0)
    folder = view(value, "numbers")
    assert (folder / "numbers.npy").samefile(store.file(store.put(value)))


def test_a_view_leaves_the_store_sound(view: Publish, store: Store) -> None:
    view({"x": np.arange(100_000.0)})
    view({"x": np.arange(100_001.0)})
    assert store.fsck(full=True).problems == ()


def test_a_store_elsewhere_is_copied_from(root: Path) -> None:
    memory = open_store("memory:")
    ref = memory.put({"x": np.arange(100_000.0)})
    folder = publish(memory, ref, root / "data" / "interim", "x", card=CARD, steps=[], version="2")
    assert np.array_equal(np.load(folder / "x.npy"), np.arange(100_000.0))
    assert publish(memory, ref, root / "data" / "interim", "x", card=CARD, steps=[], version="2") == folder


def test_the_same_again_changes_nothing(view: Publish) -> None:
    value = {"x": np.arange(100_000.0), "note": b"small"}
    before = looks(view(value))
    assert looks(view(value)) == before


def test_two_roots_get_the_same_bytes(tmp_path: Path) -> None:
    folders = []
    for where in ("memory:", tmp_path / "store"):
        store = open_store(where)
        ref = store.put({"x": np.arange(100_000.0), "note": b"small"})
        place = tmp_path / str(len(folders))
        folders.append(publish(store, ref, place, "x", card=CARD, steps=STEPS, version="1"))
    assert contents(folders[0]) == contents(folders[1])


@pytest.mark.parametrize("more", [{"version": "2"}, {"steps": []}, {"card": {"licence": "MIT"}}])
def test_other_words_are_another_view(view: Publish, more: dict[str, Any]) -> None:
    before = contents(view(b"x" * 5000))
    after = contents(view(b"x" * 5000, **more))
    assert before["titanic.bin"] == after["titanic.bin"]
    assert before["view.json"] != after["view.json"]


def test_an_older_view_is_replaced_whole(view: Publish) -> None:
    view({"x": np.arange(3), "gone": np.arange(4)})
    folder = view({"x": np.arange(9), "new": np.arange(5)}, version="2")
    assert sorted(contents(folder)) == ["README.md", "attrs.json", "card.yaml", "new.npy", "view.json", "x.npy"]
    assert len(np.load(folder / "x.npy")) == 9
    assert [path.name for path in folder.parent.iterdir() if not path.name.startswith(".publishing.lock")] == [
        "titanic"
    ], "nothing is left beside"


def test_there_is_a_view_at_every_moment(view: Publish) -> None:
    folder = view({"a": np.arange(10)})
    seen, stop = [], threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.append(folder.is_dir())

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for n in range(20):
            view({"a": np.full(10, n)}, version=str(n))
    finally:
        stop.set()
        looking.join()
    assert len(seen) > 20
    assert all(seen)


def test_a_user_s_file_in_a_view_is_named_and_kept(view: Publish) -> None:
    folder = view(b"one" * 2000)
    (folder / "notes").mkdir()
    (folder / "notes" / "mine.txt").write_text("mine")
    for value in (b"one" * 2000, b"two" * 2000):
        with pytest.raises(Refused, match=r"holds notes/mine\.txt, which no view has put there; move it away"):
            view(value)
    assert (folder / "notes" / "mine.txt").read_text() == "mine"
    assert (folder / "titanic.bin").read_bytes() == b"one" * 2000


@pytest.mark.parametrize("name", ["titanic.bin", "README.md", "card.yaml"])
def test_a_changed_file_in_a_view_is_named_and_kept(view: Publish, name: str) -> None:
    folder = view(b"one" * 2000)
    (folder / name).unlink()
    (folder / name).write_text("mine")
    with pytest.raises(Refused, match=rf"{name} was changed since it was published"):
        view(b"two" * 2000)
    assert (folder / name).read_text() == "mine"


def test_a_missing_file_comes_back(view: Publish) -> None:
    folder = view(b"one" * 2000)
    (folder / "titanic.bin").unlink()
    assert view(b"one" * 2000) == folder
    assert (folder / "titanic.bin").read_bytes() == b"one" * 2000


@pytest.mark.parametrize("content", [None, "{}", '{"format": 1}', "mine"])
def test_a_folder_that_is_no_view_is_never_replaced(view: Publish, root: Path, content: str | None) -> None:
    mine = root / "data" / "processed" / "titanic"
    mine.mkdir(parents=True)
    (mine / ("mine.csv" if content is None else "view.json")).write_text(content or "1,2")
    with pytest.raises(Refused, match="is there and is no view of a stored value"):
        view(b"one")
    assert contents(mine)


def test_an_empty_folder_is_no_hindrance(view: Publish, root: Path) -> None:
    (root / "data" / "processed" / "titanic").mkdir(parents=True)
    assert (view(b"one") / "titanic.bin").read_bytes() == b"one"


@pytest.mark.parametrize("name", ["view.json", "README.md", "card.yaml"])
def test_a_child_with_the_name_of_a_file_of_the_view_is_refused(view: Publish, root: Path, name: str) -> None:
    with pytest.raises(Refused, match="has the name of a file of the view"):
        view({name: {"x": b"1"}})
    assert not (root / "data" / "processed" / "titanic").exists()


def test_raw_data_and_the_store_are_never_published_into(store: Store, root: Path) -> None:
    raw = root / "data" / "raw"
    raw.mkdir(parents=True)
    (raw / "a.csv").write_text("1,2")
    ref = store.put(b"x" * 5000)
    (root / "link").symlink_to(raw)
    before = looks(raw)
    for place in (raw, raw / "below", root / "link", root / "store", root / "data" / "processed" / ".." / "raw"):
        with pytest.raises(Refused, match="is never written to by a view"):
            publish(store, ref, place, "x", card=CARD, steps=[], version="1")
    publish(store, ref, root / "data" / "processed", "x", card=CARD, steps=[], version="1")
    assert looks(raw) == before


def test_damaged_bytes_are_not_published(view: Publish, store: Store, root: Path) -> None:
    ref = store.put(np.arange(100_000.0))
    path = store.file(ref)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(Damaged):
        publish(store, ref, root / "data" / "processed", "x", card=CARD, steps=[], version="1")
    assert not (root / "data" / "processed" / "x").exists()


def test_what_yaml_cannot_hold_is_refused(view: Publish) -> None:
    with pytest.raises(Refused, match="the card of titanic holds what YAML cannot"):
        view(b"x", card={"licence": object()})


def test_what_is_not_in_the_store_is_not_found(store: Store, root: Path) -> None:
    with pytest.raises(NotFound):
        publish(store, "nothing", root / "data" / "interim", "x", card=CARD, steps=[], version="1")


def test_a_place_that_cannot_be_written_to_is_one_sentence(store: Store, root: Path) -> None:
    (root / "data").write_text("a file")
    with pytest.raises(Unavailable, match=r"could not finish publishing x in .*: \w+") as caught:
        publish(store, store.put(b"x"), root / "data" / "interim", "x", card=CARD, steps=[], version="1")
    assert "\n" not in str(caught.value)


def test_two_processes_that_publish_at_once_leave_one_whole_view(store: Store, root: Path) -> None:
    program = """
import sys
from smalti import open_store
from smalti.datasets.published import publish
store = open_store(sys.argv[1])
for version in range(10):
    publish(store, sys.argv[3], sys.argv[2], "x", card={}, steps=[], version=f"{sys.argv[3]} {version}")
""".replace("sys.argv[2],", "__import__('pathlib').Path(sys.argv[2]),")
    for name in ("one", "two"):
        store.put({name: np.arange(1000)}, name)
    place = root / "data" / "interim"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    both = [
        subprocess.Popen([sys.executable, "-c", program, root / "store", place, name], env=environment)
        for name in ("one", "two")
    ]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    about = json.loads((place / "x" / "view.json").read_bytes())
    last = about["version"].split()[0]
    assert set(about["files"]) == {"README.md", "card.yaml", "attrs.json", f"{last}.npy"}
    assert set(contents(place / "x")) == {*about["files"], "view.json"}
