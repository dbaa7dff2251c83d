"""Laws of repairs from outside: a full disk, files of another user, and a newer version's documents."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from smalti import Store, open_store
from smalti.store.format.sealed import seal, unseal

ROWS = np.random.default_rng(0).random((400, 2048))
REPAIR = """
import resource, signal, sys
from smalti import open_store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
for problem in open_store(sys.argv[1]).fsck(full=True, repair_from=open_store(sys.argv[2])).problems:
    print(problem.repaired, problem.what)
"""
CHECK_AS_ANOTHER = """
import os, sys
from smalti import open_store
open_store(sys.argv[1]).fsck(full=True)  # imports what it takes, which the other user may not read
os.setegid(65534), os.seteuid(65534)
for problem in open_store(sys.argv[1]).fsck(full=True).problems:
    print(problem.place)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(tmp_path / "store")
    store.put({"rows": ROWS, "few": np.arange(9)}, name="rows")
    store.put(np.arange(3000), name="more")
    return store


@pytest.fixture
def copy(store: Store) -> Store:
    copy = open_store(Path(store.place).with_name("copy"))
    copy.init()
    store.push(copy)
    return copy


def run(code: str, *arguments: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def damage(path: Path, position: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def data_file(store: Store, child: str) -> Path:
    path = store.file(store.record("rows").children[child])
    assert path is not None
    return path


@pytest.mark.parametrize("limit", [0, 100, 4096, 1_000_000])
def test_a_repair_on_a_full_disk_leaves_readable_what_was(store: Store, copy: Store, limit: int) -> None:
    damage(data_file(store, "rows"))
    rows = store.record("rows").children["rows"]
    (said,) = run(REPAIR, store.place, copy.place, str(limit))
    assert said.startswith("False")
    assert "It could not be repaired: could not finish" in said
    np.testing.assert_array_equal(store.open(rows)[:390], ROWS[:390])
    np.testing.assert_array_equal(store.get("more"), np.arange(3000))
    assert not list((Path(store.place) / "quarantine").glob("*"))
    assert store.fsck(full=True, repair_from=copy).clean
    np.testing.assert_array_equal(store.get(rows), ROWS)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user for a while")
def test_files_of_another_user_are_a_problem_each_and_all_else_is_checked(store: Store) -> None:
    for folder in (Path(store.place), *Path(store.place).parents):
        if folder.stat().st_uid == 0 and str(folder).startswith(str(Path(store.place).parents[2])):
            folder.chmod(0o755)
    private = data_file(store, "rows")
    private.chmod(0o600)
    name = Path(store.place) / "names" / "more" / "@000001.json"
    name.chmod(0o600)
    folder = Path(store.place) / "data" / store.resolve("more")[7:9] / store.resolve("more")[7:]
    damaged = folder / "data.npy"
    damage(damaged)
    places = run(CHECK_AS_ANOTHER, store.place)
    wanted = {store.record("rows").children["rows"], "names/more/@000001.json", store.resolve("more")}
    assert set(places) == wanted
    assert len(places) == len(wanted)


def test_what_a_newer_version_wrote_is_named_and_not_written_over(store: Store, copy: Store) -> None:
    store.add_manifest("run", inputs={"x": "more"})
    store.push(copy)
    address = store.resolve("more")
    record = Path(store.place) / "data" / address[7:9] / address[7:] / "metadata.json"
    manifest = Path(store.place) / "manifests" / "run.json"
    for path in (record, manifest):
        newer = seal(unseal(path.read_bytes(), "") | {"format": 99})
        path.unlink()
        path.write_bytes(newer)
    report = store.fsck(full=True, repair_from=copy)
    assert {problem.place: problem.repaired for problem in report.problems} == {
        address: False,
        "manifests/run.json": False,
    }
    assert all("99" in problem.what for problem in report.problems)
    assert b'"format":99' in record.read_bytes()


def test_a_version_of_a_name_that_is_missing_comes_back(store: Store, copy: Store) -> None:
    for number in range(3):
        store.put(np.arange(number), name="counted")
    store.push(copy)
    before = store.versions("counted")
    (Path(store.place) / "names" / "counted" / "@000002.json").unlink()
    (problem,) = store.fsck().problems
    assert problem.place == "names/counted/@000002.json"
    assert store.fsck(repair_from=copy).clean
    assert store.versions("counted") == before


def test_a_large_leaf_table_is_repaired(store: Store, copy: Store) -> None:
    address = store.record("rows").children["rows"]
    table = data_file(store, "rows").with_name("leaves.bin")
    damage(table, 100)
    (problem,) = store.fsck(full=True).problems
    assert problem.place == address
    assert store.fsck(full=True, repair_from=copy).clean
    assert store.fsck(full=True).problems == ()


def test_an_unreadable_folder_of_objects_does_not_end_the_check(store: Store) -> None:
    address = store.resolve("more")
    shard = Path(store.place) / "data" / address[7:9]
    shard.rename(shard.with_name("aside"))
    shard.symlink_to(shard.name)  # a circle: the machine refuses to list it
    places = {problem.place for problem in store.fsck(full=True).problems}
    assert f"data/{address[7:9]}/" in places
    shard.unlink()
    shard.with_name("aside").rename(shard)
    assert store.fsck(full=True).clean
