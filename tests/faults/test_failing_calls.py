"""Every call that changes the disk fails in turn, or is the last thing a process does: the store stays whole."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import open_store
from smalti.testing import form

# Each group of calls with the error that a machine gives there; pwrite64 and ftruncate are SQLite's.
FAILURES = {
    "fsync,fdatasync": "EIO",
    "rename,renameat,renameat2": "ENOSPC",
    "link,linkat": "EPERM",
    "mkdir,mkdirat": "ENOSPC",
    "write": "ENOSPC",
    "pwrite64": "ENOSPC",
    "ftruncate": "EIO",
    "unlink,unlinkat": "EIO",
    "utimensat": "EPERM",
    "preadv,preadv2": "EIO",
    "openat": "EMFILE",
}
EVERY = int(os.environ.get("SMALTI_TEST_CALLS_EVERY", "8"))  # after the first ten, take every k-th call; 1 for all


@pytest.fixture
def begun(tmp_path: Path, value: Callable[[int], Any]) -> Path:
    """A store with acknowledged values, to be copied for each trial."""
    store = open_store(tmp_path / "begun")
    store.put(value(1), name="run/1")
    store.put(value(2), name="run/2")
    return tmp_path / "begun"


@pytest.mark.parametrize("calls", FAILURES)
@pytest.mark.parametrize("fault", ["error", "kill"])
def test_a_call_that_fails_leaves_the_store_whole(
    tmp_path: Path, begun: Path, value: Callable[[int], Any], under_strace: Callable[..., Any], calls: str, fault: str
) -> None:
    how = f"error={FAILURES[calls]}" if fault == "error" else "signal=SIGKILL"
    root = tmp_path / "store"

    def act(say: Callable[[str], None]) -> None:
        store = open_store(root)
        store.put(value(3), name="run/3")
        say("3")
        store.put(value(2), name="latest")  # all of it is there already
        say("2")

    injected = 0
    for when in itertools.chain(range(1, 11), itertools.count(11, EVERY)):
        shutil.copytree(begun, root)
        outcome = under_strace(act, ["-e", f"trace={calls}", "-e", f"inject={calls}:{how}:when={when}"])
        if not outcome.injected:
            assert (outcome.ended, outcome.said) == (0, ["3", "2"])
            break
        injected += 1
        what = f"{calls} {fault} number {when}: {outcome.said}"
        if fault == "kill":
            assert outcome.ended == -signal.SIGKILL, what
        elif outcome.ended:
            assert outcome.said[-1].startswith("Unavailable: could not "), what
        store = open_store(root)
        report = store.fsck(full=True)
        assert report.clean, (what, report.problems)
        for n in (1, 2, *(int(line) for line in outcome.said if line.isdigit())):
            assert form(store.get(f"run/{n}")) == form(value(n)), what
        assert form(store.get(store.put(value(3), name="run/3"))) == form(value(3)), what
        assert not list((root / "quarantine").glob("*")), f"{what}: a sound object was taken for a damaged one"
        shutil.rmtree(root)
    assert injected, "no such call was made: this proves nothing"
    print(f"{calls} {fault}: {injected} injected")
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.parametrize("calls", ["syncfs", "rename,renameat,renameat2", "write", "mkdir,mkdirat"])
@pytest.mark.parametrize("fault", ["error", "kill"])
def test_a_call_that_fails_while_many_values_are_put_leaves_the_store_whole(
    tmp_path: Path, begun: Path, under_strace: Callable[..., Any], calls: str, fault: str
) -> None:
    error = FAILURES.get(calls, "EIO")
    how = f"error={error}" if fault == "error" else "signal=SIGKILL"
    values = [np.arange(n, 100) for n in range(30)]
    injected = 0
    for when in itertools.chain(range(1, 4), itertools.count(4, 5 * EVERY)):
        root = tmp_path / f"{when}"
        shutil.copytree(begun, root)

        def act(say: Callable[[str], None], root: Path = root) -> None:
            open_store(root).put_all(values)
            say("all")

        outcome = under_strace(act, ["-e", f"trace={calls}", "-e", f"inject={calls}:{how}:when={when}"])
        if not outcome.injected:
            assert outcome.said == ["all"]
            break
        injected += 1
        assert outcome.said in ([], ["all"]) or outcome.said[0].startswith("Unavailable: could not "), outcome.said
        store = open_store(root)
        assert store.fsck(full=True).clean, (calls, fault, when)
        there = [ref.new_bytes == 0 for ref in store.put_all(values)]
        assert outcome.said != ["all"] or all(there)
    assert injected, "no such call was made: this proves nothing"


@pytest.mark.parametrize("error", ["EMFILE", "EACCES", "EIO"])
def test_a_read_that_the_machine_refuses_is_not_called_damage(
    begun: Path, value: Callable[[int], Any], under_strace: Callable[..., Any], error: str
) -> None:
    def act(say: Callable[[str], None]) -> None:
        store = open_store(begun)
        assert form(store.get("run/2")) == form(value(2))
        say("read")

    answers = set()
    for when in itertools.count(1):
        outcome = under_strace(act, ["-e", "trace=openat", "-e", f"inject=openat:error={error}:when={when}"])
        if not outcome.injected:
            break
        answers.add(outcome.said[0].split(" ")[0])
    assert answers <= {"read", "Unavailable:"}
    assert when > 10


@pytest.mark.parametrize("unreadable", ["names", "names/run", "names/run/1", "names/run/1/@000001.json", "pins"])
def test_a_collection_that_cannot_read_what_is_needed_removes_nothing(
    begun: Path, value: Callable[[int], Any], under_strace: Callable[..., Any], unreadable: str
) -> None:
    store = open_store(begun)
    store.pin(store.put(value(3)))

    def act(say: Callable[[str], None]) -> None:
        for _ in range(3):
            open_store(begun).gc(dry_run=False, grace_seconds=0)
            time.sleep(0.02)

    options = ["-P", str(begun / unreadable), "-e", "trace=openat", "-e", "inject=openat:error=EACCES"]
    outcome = under_strace(act, options)
    assert outcome.injected
    for n in (1, 2):
        assert form(store.get(f"run/{n}")) == form(value(n)), outcome.said
    assert form(store.get(store.pins()[0])) == form(value(3))
    assert outcome.said[-1].startswith("Unavailable:")
