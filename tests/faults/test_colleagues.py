"""Two users of one group share a store below a setgid folder with the umask 002: each goes on where the other was."""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import Store, open_store
from smalti.errors import Damaged, Unavailable
from smalti.testing import DAMAGES, FolderBytes, form

ANNE, BERT, STRANGER, GROUP, ELSEWHERE = 61001, 61002, 61003, 62000, 62001

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become two other users")


def import_everything(store: Store, value: Callable[[int], Any]) -> None:
    """Use all of a store, because what is imported when first used another user may not be able to read."""
    for n in (1, 2, 1):
        store.put(value(n), name="warm")
    store.add_manifest("warm", inputs={"x": "warm"}, views=["all"])
    store.update_manifest("warm", tags={"a": "b"})
    assert form(store.get("warm")) == form(store.get("warm", copy=True)) == form(value(1))
    assert len(store.runs_of("warm")) == 1
    store.put_rows([np.zeros((300, 300))] * 3)
    store.put_all([np.arange(n) for n in range(50)])
    FolderBytes(Path(store.place))[next(key for key in FolderBytes(Path(store.place)) if key.endswith("npy"))] = b""
    assert not store.fsck(full=True).clean
    store.put(value(1))
    store.gc(dry_run=False, grace_seconds=0)
    store.rebuild_views()


@pytest.fixture
def shared(disk_path: Path) -> Path:
    """A folder of the group's, in which whatever is made is the group's too."""
    disk_path.chmod(0o755)
    folder = disk_path / "shared"
    folder.mkdir()
    os.chown(folder, 0, GROUP)
    folder.chmod(0o2775)
    return folder / "store"


@pytest.fixture
def as_user(tmp_path: Path, child: Callable[..., Any], value: Callable[[int], Any]) -> Callable[..., list[str]]:
    """Do something in a process of a user, and return what it said; what failed there fails here."""
    import_everything(open_store(tmp_path / "warm"), value)

    def run(user: int, act: Callable[..., None], group: int = GROUP, umask: int = 0o002) -> list[str]:
        def become_and_act(say: Callable[[str], None]) -> None:
            os.umask(umask)
            os.setgroups([])
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)
            act(say)

        process = child(become_and_act)
        process.release()
        outcome = process.finish()
        assert outcome.ended == 0, outcome.said
        said: list[str] = outcome.said
        return said

    return run


def test_each_puts_reads_names_and_pins_in_what_the_other_has_begun(
    shared: Path, as_user: Callable[..., list[str]], value: Callable[[int], Any]
) -> None:
    def begin(say: Callable[[str], None]) -> None:
        store = open_store(shared)
        store.put(value(1), name="run/1")
        store.add_manifest("anne", inputs={"x": "run/1"}, views=["all", "by_project/star"])

    def go_on(say: Callable[[str], None]) -> None:
        store = open_store(shared)
        assert form(store.get("run/1")) == form(value(1))
        assert store.put(value(1), name="same").new_bytes == 0
        say(str(store.put(value(2), name="run/1").new_bytes))
        store.put_all([np.arange(n) for n in range(50)])
        store.put_rows([np.zeros((300, 300))] * 3)
        store.pin("same")
        assert [use.run for use in store.runs_of(store.versions("run/1")[0].address)] == ["anne"]
        store.update_manifest("anne", outputs={"y": "run/1"}, tags={"by": "bert"}, views=["by_type/test"])
        store.add_manifest("bert", outputs={"y": "same"}, views=["all"])

    as_user(ANNE, begin)
    (new_bytes,) = as_user(BERT, go_on)
    assert int(new_bytes) < sum(array.nbytes for array in value(2).values() if isinstance(array, np.ndarray)) // 2

    def look(say: Callable[[str], None]) -> None:
        store = open_store(shared)
        assert form(store.get("run/1")) == form(value(2))
        assert store.manifest("anne").tags == {"by": "bert"}
        assert store.put(value(2)).new_bytes == 0
        store.unpin("same")
        store.forget("same")
        store.release("bert")
        assert store.fsck(full=True).clean
        assert (store.rebuild_views().made, store.rebuild_views().removed) == (0, 0)

    as_user(ANNE, look)


def test_what_one_has_put_the_other_collects_and_repairs(
    shared: Path, as_user: Callable[..., list[str]], value: Callable[[int], Any]
) -> None:
    def fill(say: Callable[[str], None]) -> None:
        store = open_store(shared)
        for n in range(3):
            store.put(value(n), name=f"run/{n}")
        store.put(np.arange(5000), name="lost")
        store.forget("lost")
        store.gc(dry_run=False, grace_seconds=0)

    def collect(say: Callable[[str], None]) -> None:
        report = open_store(shared).gc(dry_run=False, grace_seconds=0)
        say(str([item.state for item in report.unneeded]))

    def repair(say: Callable[[str], None]) -> None:
        store = open_store(shared)
        for n in range(3):
            store.put(value(n), name=f"run/{n}")
        report = store.fsck(full=True)
        assert report.clean, report.problems

    as_user(ANNE, fill)
    assert as_user(BERT, collect) == ["['removed']"]
    stored = FolderBytes(shared)
    for user, kind in ((BERT, "flip"), (ANNE, "cut"), (BERT, "empty")):
        for key in [key for key in stored if key.startswith("data/")]:
            owner = (shared / key).stat()
            stored[key] = DAMAGES[kind](stored[key], random.Random(key))
            os.chown(shared / key, owner.st_uid, owner.st_gid)
        as_user(user, repair)
    as_user(ANNE, fill)


def test_the_other_works_beside_one_who_puts(
    shared: Path, child: Callable[..., Any], as_user: Callable[..., list[str]], value: Callable[[int], Any]
) -> None:
    def begin(say: Callable[[str], None]) -> None:
        open_store(shared).init()

    as_user(ANNE, begin)

    def putting(user: int) -> Callable[..., None]:
        def put(say: Callable[[str], None]) -> None:
            os.umask(0o002)
            os.setgroups([])
            os.setresgid(GROUP, GROUP, GROUP)
            os.setresuid(user, user, user)
            store = open_store(shared)
            for n in range(6):
                store.put(value(n), name=f"all/{n}")
                store.put(value(10 * user + n), name=f"{user}/{n}")

        return put

    processes = [child(putting(user)) for user in (ANNE, BERT, ANNE, BERT)]
    for process in processes:
        process.release()
    outcomes = [process.finish() for process in processes]
    assert [outcome.ended for outcome in outcomes] == [0] * 4, [outcome.said for outcome in outcomes]
    store = open_store(shared)
    assert store.fsck(full=True).clean
    for n in range(6):
        assert form(store.get(f"all/{n}")) == form(value(n))


def test_files_stay_read_only_and_the_group_s(shared: Path, as_user: Callable[..., list[str]]) -> None:
    def fill(say: Callable[[str], None]) -> None:
        store = open_store(shared)
        store.put({"x": np.random.default_rng(0).random((70, 2048)), "n": 1}, name="x")
        store.add_manifest("run", inputs={"x": "x"})

    as_user(ANNE, fill)
    for path in shared.rglob("*"):
        status = path.lstat()
        assert status.st_gid == GROUP, path
        mode = stat.S_IMODE(status.st_mode)
        if path.is_dir():
            assert mode == 0o2775, (path, oct(mode))
        elif not path.name.startswith("index.sqlite"):
            assert mode == 0o444, (path, oct(mode))


def test_who_is_not_of_the_group_reads_and_is_told_why_no_more(
    shared: Path, as_user: Callable[..., list[str]], value: Callable[[int], Any]
) -> None:
    def fill(say: Callable[[str], None]) -> None:
        open_store(shared).put(value(1), name="x")

    def read(say: Callable[[str], None]) -> None:
        store: Store = open_store(shared)
        assert form(store.get("x")) == form(value(1))
        assert store.fsck(full=True).clean
        assert not store.gc().unneeded
        for act in (lambda: store.put(value(2)), lambda: store.put(value(1)), lambda: store.pin("x")):
            try:
                act()
            except Unavailable as error:
                say(str(error))

    as_user(ANNE, fill)
    said = as_user(STRANGER, read, group=ELSEWHERE)
    assert [sentence.split(":")[0].split(" ")[:3] for sentence in said] == [["could", "not", "finish"]] * 3
    assert all("not permitted" in sentence or "Permission denied" in sentence for sentence in said), said


def test_what_one_keeps_to_himself_is_unavailable_to_the_other_and_not_called_damaged(
    shared: Path, as_user: Callable[..., list[str]]
) -> None:
    def fill(say: Callable[[str], None]) -> None:
        open_store(shared).put(np.arange(5000), name="x")

    def read(say: Callable[[str], None]) -> None:
        store: Store = open_store(shared)
        try:
            store.get("x")
        except (Unavailable, Damaged) as error:
            say(type(error).__name__)

    as_user(ANNE, fill, umask=0o002)
    for path in (shared / "data").rglob("data.npy"):
        path.chmod(0o400)
    assert as_user(BERT, read) == ["Unavailable"]
