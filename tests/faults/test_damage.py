"""Hundreds of damages of every kind in every kind of file: each is found, named and repaired; nothing else is."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import Store, Weights, open_store
from smalti.store.cache import Cache
from smalti.testing import DAMAGES, FolderBytes, form

DAMAGES_IN_ALL = int(os.environ.get("SMALTI_TEST_DAMAGES", "400"))
KINDS = [*sorted(DAMAGES), "delete", "swap"]
FILES = {
    "metadata.json", "leaves.bin", "recipe.json", "delta.bin", "data.npy", "data.bin", "data.safetensors", "name",
}  # fmt: skip


def parts() -> dict[str, Any]:
    """Values that make every kind of file: few leaves and many, whole and a near-duplicate."""
    rng = np.random.default_rng(0)
    stack = rng.random((70, 2048))
    changed = np.concatenate([stack[:30], rng.random((2, 2048)), stack[30:]])
    changed[60] = 1
    return {
        "small": np.arange(9),
        "stack": stack,
        "changed": changed,
        "weights": Weights({"w": rng.random((30, 40), np.float32), "b": np.arange(5)}),
        "raw": rng.bytes(100_000),
        "tree": {"raw": b"child", "n": 1},
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(tmp_path / "store")
    for name, value in parts().items():
        store.put(value, name=f"kept/{name}")
        store.put(value, name=f"also/{name}")
    return store


def kind_of(key: str) -> str:
    return key.rsplit("/", 1)[-1] if key.startswith("data/") else "name"


def place_of(key: str) -> str:
    return f"sha256:{key.split('/')[2]}" if key.startswith("data/") else key


def damage(stored: FolderBytes, key: str, kind: str, rng: random.Random) -> dict[str, bytes]:
    """Damage one place; return what was there before, key -> bytes, or nothing where nothing has changed."""
    before = {key: stored[key]}
    if kind == "delete":
        del stored[key]
    elif kind == "swap":
        alike = [k for k in stored if kind_of(k) == kind_of(key) and k != key]
        other = rng.choice(alike or [k for k in stored if place_of(k) != key and k.startswith("data/")])
        if stored[other] == stored[key]:
            return {}
        before[other] = stored[other]
        stored[key], stored[other] = before[other], before[key]
    else:
        changed = DAMAGES[kind](before[key], rng)
        if changed == before[key]:
            return {}
        stored[key] = changed
    return before


def test_every_damage_is_found_and_named_and_nothing_else_is(store: Store) -> None:
    stored = FolderBytes(Path(store.place))
    rng = random.Random(0)
    by_kind: dict[str, list[str]] = {}
    for key in stored:
        by_kind.setdefault(kind_of(key), []).append(key)
    assert by_kind.keys() == FILES
    assert store.fsck(full=True).clean
    stacks = {store.resolve(f"kept/{name}") for name in ("stack", "changed")}
    done: Counter[tuple[str, str]] = Counter()
    missed, false, broke_off = [], [], []
    while done.total() < DAMAGES_IN_ALL:
        kind = KINDS[done.total() % len(KINDS)]
        files = sorted(FILES - {"name"} if kind == "delete" else FILES)  # nothing says that there was a last name
        key = rng.choice(by_kind[files[done.total() // len(KINDS) % len(files)]])
        if not (before := damage(stored, key, kind, rng)):
            continue
        wanted = {place_of(k) for k in before}
        try:
            found = {problem.place for problem in store.fsck(full=True).problems}
        except Exception as error:  # a check never breaks off, whatever it meets
            found = set()
            broke_off.append((kind, key, f"{type(error).__name__}: {error}"))
        if not wanted <= found:
            missed.append((kind, key, sorted(before)))
        if not found - wanted <= (stacks if wanted & stacks else set()):  # one takes its leaves from the other
            false.append((kind, key, found - wanted))
        for k, content in before.items():
            stored[k] = content
        done[kind, kind_of(key)] += 1
    assert store.fsck(full=True).clean
    print(f"{done.total()} damages, {len(missed)} missed, {len(false)} false alarms; {len(done)} combinations")
    assert (broke_off[:5], missed[:5], false[:5]) == ([], [], [])


def test_a_damaged_object_is_never_spread_by_a_put(store: Store) -> None:
    """What is put is there and readable afterwards, whatever was damaged before, in its own file or a source's."""
    stored = FolderBytes(Path(store.place))
    rng = random.Random(1)
    values = parts()
    for trial in range(DAMAGES_IN_ALL // 20):
        kind = KINDS[trial % len(KINDS)]
        key = rng.choice([k for k in stored if k.startswith("data/")])
        if not damage(stored, key, kind, rng):
            continue
        for name in rng.sample(sorted(values), len(values)):
            ref = store.put(values[name])
            assert form(store.get(ref)) == form(values[name]), (kind, key, name)
        report = store.fsck(full=True)
        assert report.clean, (kind, key, report.problems)


def test_a_put_does_not_rely_on_a_damaged_source(tmp_path: Path) -> None:
    """One leaf of many is damaged in the object that a near-duplicate takes its leaves from."""
    rng = np.random.default_rng(0)
    first = rng.random((400, 2048))
    second = np.concatenate([first, rng.random((3, 2048))])
    for row in range(5):
        store = open_store(tmp_path / f"{row}")
        path = store.file(store.put(first))
        ref = store.put(second)
        assert path is not None
        assert store.file(ref) is None
        stored = FolderBytes(path.parent)
        content = bytearray(stored["data.npy"])
        content[content.find(first[row * 50].tobytes()) + 9] ^= 1
        stored["data.npy"] = bytes(content)
        assert store.put(second).digest == ref.digest
        np.testing.assert_array_equal(store.get(ref), second)


@pytest.mark.parametrize("kind", ["flip", "cut", "zero", "empty"])
@pytest.mark.parametrize("file", ["index.sqlite", "index.sqlite-journal"])
def test_a_damaged_index_loses_nothing(tmp_path: Path, child: Callable[..., Any], file: str, kind: str) -> None:
    """The journal beside it is what a process leaves that is killed while it writes to the index."""
    values = parts()

    def put_all(root: Path) -> None:
        store = open_store(root)
        for name, value in values.items():
            store.put(value, name=name)
        with Cache(root / "index.sqlite").transaction() as db:
            db.execute("PRAGMA cache_size = 1")  # so that some of it is written before the end
            db.executemany("INSERT INTO hook VALUES (?, ?)", ((n, n) for n in range(9000)))
            os.kill(os.getpid(), signal.SIGKILL)

    for seed in range(3):
        root = tmp_path / f"{seed}"
        process = child(lambda say, root=root: put_all(root))
        process.release()
        process.finish()
        path = root / file
        assert path.stat().st_size, "it was not killed while it wrote"
        path.write_bytes(DAMAGES[kind](path.read_bytes(), random.Random(seed)))
        store = open_store(root)
        for name, value in values.items():
            assert form(store.get(name)) == form(value)
            assert form(store.get(store.put(value, name="again"))) == form(value)
        assert store.fsck(full=True).clean
        store.rebuild_index()
        store.gc(dry_run=False, grace_seconds=0)
        assert store.fsck(full=True).clean


def test_a_version_taken_out_of_a_name_is_found(store: Store) -> None:
    for n in range(4):
        store.put(np.arange(n), name="training")
    del FolderBytes(Path(store.place))["names/training/@000002.json"]
    (problem,) = store.fsck(full=True).problems
    assert "names/training" in problem.place


@pytest.mark.parametrize("stray", ["folder", "file", "link", "record"])
def test_what_does_not_belong_among_the_objects_is_found_and_named(store: Store, stray: str) -> None:
    digits = store.resolve("kept/small").removeprefix("sha256:")
    shard = Path(store.place) / "data" / digits[:2]
    path = shard / (digits[:2] + "0" * 62)
    if stray == "folder":
        path.mkdir()
    elif stray == "file":
        path.write_bytes(b"")
    elif stray == "link":
        path.symlink_to(shard / digits)
    else:
        path = shard / digits
        (path / "metadata.json").rename(path / "kept.json")
        (path / "metadata.json").mkdir()
    places = [problem.place for problem in store.fsck(full=True).problems]
    assert [path.name in place for place in places] == [True]
