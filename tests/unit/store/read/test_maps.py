"""What a process holds of a store's files: no descriptors, its own copies, no death by a file cut short."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from smalti import Store, Weights, open_store
from smalti.errors import Damaged

ROWS = np.random.default_rng(0).random((3000, 500))  # 12 MB: large enough to be mapped and read by several threads


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


def in_place(store: Store, ref: object, at: int, content: bytes) -> None:
    """Write over a part of a stored file, as a disk or a person might."""
    path = store.file(ref)  # type: ignore[arg-type]
    assert path is not None
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


@pytest.mark.parametrize(
    "value", [ROWS, ROWS[:50], np.arange(9), np.zeros((0, 3))], ids=["12 MB", "leaves", "few", "0"]
)
def test_a_copy_is_not_changed_by_what_becomes_of_the_file(store: Store, value: np.ndarray) -> None:
    ref = store.put({"x": value, "weights": Weights({"w": value})})
    copy = store.get(ref, copy=True)
    for path in (Path(store.place) / "data").rglob("data.*"):
        path.chmod(0o644)
        os.truncate(path, 0)
    np.testing.assert_array_equal(copy["x"], value)
    np.testing.assert_array_equal(copy["weights"].tensors["w"], value)


def test_what_was_verified_once_is_verified_again_when_it_is_read_again(store: Store) -> None:
    ref = store.put(ROWS)
    lazy = store.open(ref)
    np.testing.assert_array_equal(lazy[7:9], ROWS[7:9])
    in_place(store, ref, 4096 + 8 * 4000, b"changed")
    for read in (lambda: lazy[7:9], lambda: lazy[[8]], lambda: np.asarray(lazy), lambda: store.get(ref)):
        with pytest.raises(Damaged, match=r"data\.npy"):
            read()


CUT_SHORT = """
import os, sys
import numpy as np
from smalti import Weights, open_store
from smalti.errors import Damaged

rows = np.random.default_rng(0).random((3000, 500))
store = open_store(sys.argv[1])
whole = store.put(rows, name="x")
near = store.put(np.concatenate([rows, rows[:9]]), name="x")
raw, weights = store.put((rows + 1).tobytes()), store.put(Weights({"w": rows + 2, "v": rows[:9]}))
opened = {
    "rows": lambda lazy: lazy[2000:2900],
    "rows apart": lambda lazy: lazy[[1, 2999]],
    "take": lambda lazy: lazy.take(np.arange(3000)),
    "in turn": lambda lazy: [row[0] for row in lazy],
    "all": lambda lazy: np.asarray(lazy),
    "into": lambda lazy: lazy.read_into(0, np.empty_like(rows)),
}
acts = {f"{how} of {ref.digest}": (lambda act=act, lazy=store.open(ref): act(lazy)) for ref in (whole, near)
        for how, act in opened.items()}
readers = [store.reader(ref) for ref in (whole, near, raw, weights)]
acts |= {f"reader {n}": reader.verify_all for n, reader in enumerate(readers)}
for ref in (whole, near, raw, weights):
    acts[f"get {ref.digest}"] = lambda ref=ref: store.get(ref)
    acts[f"copy {ref.digest}"] = lambda ref=ref: store.get(ref, copy=True)
    acts[f"unverified {ref.digest}"] = lambda ref=ref: store.get(ref, verify=False)
files = [store.file(ref) for ref in (whole, raw, weights)]
assert store.file(near) is None
for path in files:
    path.chmod(0o644)
    os.truncate(path, 3 * 4096 + 100)
for name, act in acts.items():
    try:
        act()
    except Damaged:
        continue
    print("not damaged:", name)
assert len(store.fsck(full=True).problems) == 4
assert store.put(rows, name="x").digest == whole.digest
assert (store.get("x") == rows).all()
print(len(acts))
"""


def test_a_file_cut_short_between_opening_and_reading_is_damaged_and_ends_no_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CUT_SHORT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stdout) == (0, "28\n"), done.stderr[-2000:]


FEW_DESCRIPTORS = """
import os, resource, sys
import numpy as np
from smalti import open_store

resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
store = open_store(sys.argv[1])
tree = {f"a{n}": np.arange(n, n + 1000.0) for n in range(1200)}
ref = store.put(tree, name="tree")
before = len(os.listdir("/dev/fd"))
got, opened, copied = store.get("tree"), store.open("tree"), store.get("tree", copy=True)
whole = [store.get(address) for address in store.record(ref).children.values()]
lazies = [opened.children[name] for name in tree]
for n, (name, value) in enumerate(tree.items()):
    assert (got[name] == value).all() and (copied[name] == value).all() and (whole[n] == value).all()
    assert lazies[n][7] == value[7] and (lazies[n].take([3, 1]) == value[[3, 1]]).all()
assert store.fsck(full=True).clean
print(len(os.listdir("/dev/fd")) - before)
"""


def test_1200_arrays_are_held_at_once_where_a_process_may_open_256_files(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FEW_DESCRIPTORS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) <= 2
