"""Run by test_kill_s3: forks processes that put, collect or push until they are killed, and say what is acknowledged.

It forks before it has asked any server: what asks has threads, which do not survive a fork.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from typing import Any

import numpy as np
import pyarrow  # noqa: F401  # what a store imports late is here before the fork

import smalti.store.backends.s3.backend  # noqa: F401
from smalti import codecs, open_store  # noqa: F401

_STACK = np.random.default_rng(7).random((40, 2048))
_COUNTS = np.random.default_rng(7).poisson(2, (64, 64, 64)).astype(np.float32)


def value(n: int) -> dict[str, Any]:
    """Return a value that follows from a number: near-duplicates of its neighbours, what all share, what none does."""
    stack, counts = _STACK.copy(), _COUNTS.copy()
    stack[n % 40], counts[n % 64] = n, n
    return {"stack": stack, "counts": counts, "shared": np.arange(3000), "raw": b"%d" % n, "n": n}


def put(place: str, folder: str, begin: int) -> None:
    store = open_store(place)
    for n in itertools.count(begin):
        store.put(value(n), name="run")
        say(n)


def collect(place: str, folder: str, begin: int) -> None:
    """Without patience, beside values that nobody needs any more."""
    store = open_store(place)
    for n in itertools.count(begin):
        store.put(value(1_000_000 + os.getpid() * 1000 + n), name="passing")
        store.forget("passing")
        store.put(value(n), name="run")
        say(n)
        store.gc(dry_run=False, grace_seconds=0)


def push(place: str, folder: str, begin: int) -> None:
    store, target = open_store(folder), open_store(place)
    for n in itertools.count(begin):
        store.put(value(n), name="run")
        store.push(target)
        say(n)


def say(what: object) -> None:
    os.write(1, f"{what}\n".encode())


def main() -> None:
    for line in sys.stdin:
        act, place, folder, begin = json.loads(line)
        pid = os.fork()
        if not pid:
            try:
                {"put": put, "collect": collect, "push": push}[act](place, folder, begin)
            except BaseException as error:
                say(f"{type(error).__name__}: {error}")
            os._exit(1)
        say(pid)
        _, status = os.waitpid(pid, 0)
        say(f"ended {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
