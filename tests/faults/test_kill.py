"""kill -9 at any moment of a put, a collection, a push: nothing acknowledged is lost, the store stays clean."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import open_store
from smalti.testing import form

KILLS = int(os.environ.get("SMALTI_TEST_KILLS", "60"))  # in all, over the acts
_KILLS_PER_STORE = 5  # each kill is followed by a full check, which grows with the store


def put(root: Path, value: Callable[[int], Any], begin: int, say: Callable[[str], None]) -> None:
    store = open_store(root / "store")
    for n in itertools.count(begin):
        store.put(value(n), name=f"run/{n}")
        say(f"{n}")


def put_many(root: Path, value: Callable[[int], Any], begin: int, say: Callable[[str], None]) -> None:
    store = open_store(root / "store")
    for n in itertools.count(begin):
        ref, *_ = store.put_all([value(n), *(np.arange(n, n + i) for i in range(20))])
        store.put(ref, name=f"run/{n}")
        say(f"{n}")


def collect(root: Path, value: Callable[[int], Any], begin: int, say: Callable[[str], None]) -> None:
    """Without patience, beside values nobody needs any more, some of which named ones take leaves from."""
    store = open_store(root / "store")
    for n in itertools.count(begin):
        store.put(value(10_000 + n))
        store.put(value(n), name=f"run/{n}")
        say(f"{n}")
        store.gc(dry_run=False, grace_seconds=0)


def push(root: Path, value: Callable[[int], Any], begin: int, say: Callable[[str], None]) -> None:
    store, target = open_store(root / "store"), open_store(root / "target")
    target.init()
    for n in itertools.count(begin):
        ref = store.put(value(n), name=f"run/{n}")
        store.add_manifest(f"run-{n}", outputs={"value": ref})
        store.push(target)
        say(f"{n}")


@pytest.mark.parametrize("act", [put, put_many, collect, push])
def test_a_process_killed_at_any_moment_loses_nothing_it_acknowledged(
    tmp_path: Path, value: Callable[[int], Any], child: Callable[..., Any], act: Callable[..., None]
) -> None:
    rng = random.Random(act.__name__)
    killed = acknowledged_in_all = 0
    window_s = 0.05  # follows the machine, so that kills fall into the first acts and between them
    for batch in range(max(1, KILLS // 4 // _KILLS_PER_STORE)):
        root = tmp_path / f"{batch}"
        acknowledged: list[int] = []
        for _ in range(_KILLS_PER_STORE):
            begin = acknowledged[-1] if acknowledged else 0  # what was acknowledged last is put again
            process = child(lambda say, root=root, begin=begin: act(root, value, begin, say))
            process.release()
            time.sleep(rng.uniform(0, window_s))
            process.kill()
            outcome = process.finish()
            assert outcome.ended == -signal.SIGKILL, outcome
            window_s *= 0.9 if outcome.said else 1.5
            killed += 1
            acknowledged += [int(line) for line in outcome.said]
            for place in ("store", "target") if act is push else ("store",):
                store = open_store(root / place)
                store.init()  # it may have been killed before, or in the middle of that
                assert store.fsck(full=True).clean
        last = open_store(root / ("target" if act is push else "store"))
        for n in acknowledged:
            assert form(last.get(f"run/{n}")) == form(value(n))
            assert act is not push or last.manifest(f"run-{n}").outputs["value"] == last.resolve(f"run/{n}")
        acknowledged_in_all += len(acknowledged)
    assert acknowledged_in_all > killed // 4, "few acts came to their end before the kill"
    print(f"{act.__name__}: {killed} kills, {acknowledged_in_all} acknowledged, 0 lost")


def test_what_killed_writers_left_does_not_stay(tmp_path: Path, child: Callable[..., Any]) -> None:
    def write(say: Callable[[str], None]) -> None:
        store = open_store(tmp_path)
        for n in itertools.count():
            store.put(np.full(200_000, n))
            say("one")

    for delay in (0.01, 0.02, 0.03, 0.04):
        process = child(write)
        process.release()
        time.sleep(delay)
        process.kill()
        process.finish()
    staged = tmp_path / "tmp"
    for path in staged.iterdir():
        os.utime(path, (0, 0))
    open_store(tmp_path).gc(dry_run=False)
    assert not list(staged.iterdir())
