"""The order of system calls, read from a trace: what stands in for cutting the power.

R1  a file is synced after its last write, and the folder that holds it too, before it is published
R2  the folder published into is synced before anything is acknowledged
R3  nothing published is opened for writing
R4  the folder above a new folder is synced before anything is acknowledged
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import open_store

PUBLISHED = ("data", "names", "pins", "condemned", "manifests", "released", "checks", "store.json")
CALLS = "openat,write,pwrite64,fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,mkdir,mkdirat,sendto"
_LINE = re.compile(r"\d+ +(\w+)\((.*)\) += (-?\d+)(?:<(.*)>)?")
_DESCRIPTOR = re.compile(r"^\d+<([^>]*)>")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass
class Order:
    """What the trace of one store has shown so far."""

    root: str
    violations: list[str] = field(default_factory=list)
    published: int = 0
    unsynced: set[str] = field(default_factory=set)  # files written to since their last sync
    filled: set[str] = field(default_factory=set)  # folders in which files were created since their last sync
    changed: dict[str, str] = field(default_factory=dict)  # folder -> what was published there since its last sync

    def _is_published(self, path: str) -> bool:
        return f"{path}/".startswith(tuple(f"{self.root}/{folder}/" for folder in PUBLISHED))

    def opened(self, path: str, flags: str) -> None:
        if re.search("O_WRONLY|O_RDWR|O_TRUNC|O_CREAT", flags):
            if self._is_published(path):
                self.violations.append(f"R3: {path} is opened for writing in place")
            self.filled.add(_above(path))

    def written(self, path: str) -> None:
        self.unsynced.add(path)

    def synced(self, path: str) -> None:
        self.unsynced.discard(path)
        self.filled.discard(path)
        self.changed.pop(path, None)

    def all_synced(self) -> None:
        self.unsynced.clear()
        self.filled.clear()
        self.changed.clear()

    def made(self, path: str) -> None:
        if self._is_published(f"{path}/") or path == self.root:
            self.changed[_above(path)] = f"R4: the folder above the new {path} is not synced"

    def moved(self, source: str, target: str) -> None:
        if not self._is_published(target):
            return
        self.published += 1
        inside = [path for path in self.unsynced | self.filled if path == source or path.startswith(f"{source}/")]
        self.violations += [f"R1: {path} is published as {target} and not synced" for path in inside]
        self.changed[_above(target)] = f"R2: the folder of the new {target} is not synced"

    def acknowledged(self) -> None:
        self.violations += [f"{what} before it is acknowledged" for what in self.changed.values()]
        self.changed.clear()  # each is reported once


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def read_order(trace: str, root: Path) -> Order:
    """Follow a trace made with ``strace -f -y``; only calls that succeeded count."""
    order = Order(str(root))
    for line in _whole_lines(trace):
        match = _LINE.match(line)
        if not match or int(match[3]) < 0:
            continue
        call, arguments = match[1], match[2]
        descriptor = _DESCRIPTOR.match(arguments)
        texts = _TEXT.findall(arguments)
        if call == "openat":
            order.opened(match[4] or texts[0], arguments)
        elif call in ("write", "pwrite64") and descriptor:
            order.written(descriptor[1])
        elif call in ("fsync", "fdatasync") and descriptor:
            order.synced(descriptor[1])
        elif call == "syncfs":
            order.all_synced()
        elif call in ("mkdir", "mkdirat"):
            order.made(texts[0])
        elif call.startswith(("rename", "link")):
            order.moved(texts[0], texts[1])
        elif call == "sendto":
            order.acknowledged()
    return order


def _whole_lines(trace: str) -> Iterator[str]:
    """Join what strace wrote in two parts because another thread came between."""
    begun: dict[str, str] = {}
    for line in trace.splitlines():
        thread = line.split(" ", 1)[0]
        if line.endswith("<unfinished ...>"):
            begun[thread] = line.removesuffix("<unfinished ...>")
        elif resumed := re.match(r"\d+ +<\.\.\. \w+ resumed>(.*)", line):
            yield begun.pop(thread) + resumed[1]
        else:
            yield line


OPTIONS = ["-s", "4096", "-e", f"trace={CALLS}"]


def test_every_step_of_the_store_is_synced_before_it_is_acknowledged(
    tmp_path: Path, value: Callable[[int], Any], under_strace: Callable[..., Any]
) -> None:
    root = tmp_path / "store"

    def act(say: Callable[[str], None]) -> None:
        store = open_store(root)
        for n in (1, 2, 3):
            store.put(value(n), name=f"run/{n}")
            say("put")
            store.put(value(n), name="latest")
            say("put again")
        store.put({"x": np.arange(9), "y": value(2)})
        say("put a tree")
        store.put_all([np.arange(n) for n in range(5)])
        say("put a few at once")
        store.put_all([np.arange(n, 100) for n in range(50)])
        say("put many at once")
        store.put(np.random.default_rng(0).random((3000, 1024)))
        say("put what is written while it is hashed")
        store.put_rows(np.full((100, 1024), n) for n in range(3))
        say("put rows")
        store.add_manifest("run-2", inputs={"scan": "run/2"}, outputs={"tree": "latest"})
        say("written down")
        store.release("run-2")
        say("released")
        store.forget("run/1")
        store.pin("latest")
        say("pinned")
        store.gc(dry_run=False, grace_seconds=0)
        say("collected")
        store.put(value(1))
        say("put what was found and what was removed")

    outcome = under_strace(act, OPTIONS)
    assert outcome.ended == 0, outcome.said
    assert " syncfs(" in outcome.trace
    order = read_order(outcome.trace, root)
    assert order.published > 70, "the trace shows too little to prove anything"
    assert order.violations == []


def test_what_another_writer_left_unsynced_is_synced_before_a_hit_is_acknowledged(
    tmp_path: Path, value: Callable[[int], Any], under_strace: Callable[..., Any]
) -> None:
    """A writer dies, or its sync fails, after its rename; an equal value is put: is it on the disk then?"""
    root = tmp_path / "store"

    def act(say: Callable[[str], None]) -> None:
        open_store(root).put(np.arange(99), name="run/99")
        say("put")

    store = open_store(root)
    for n in range(30):
        store.put(value(n))  # its folders are there before
    left_open = checked = 0
    for fault in ("error=EIO", "signal=SIGKILL"):
        for when in range(1, 12):
            first = under_strace(act, [*OPTIONS, "-e", f"inject=fsync:{fault}:when={when}"])
            if first.said == ["put"]:
                break
            second = under_strace(act, OPTIONS)
            assert second.said == ["put"]
            left_open += bool(read_order(first.trace, root).changed)
            order = read_order(_without_ends(first.trace) + second.trace, root)
            checked += 1
            assert order.violations == [], (fault, when)
            store = open_store(root)
            store.forget("run/99")
            store._objects.remove({store.put(np.arange(99)).digest: time.time()})  # as before the next trial
    assert checked > 6
    assert left_open, "no writer left anything behind: this proves nothing"


def _without_ends(trace: str) -> str:
    return "".join(line + "\n" for line in trace.splitlines() if " sendto(" not in line)


def write(path: Path, content: bytes, *, sync: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, content)
    if sync:
        os.fsync(descriptor)
    os.close(descriptor)


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def careful(root: Path) -> None:
    write(root / "tmp/a", b"content", sync=True)
    sync_folder(root / "tmp")
    (root / "tmp/a").rename(root / "data/a")
    sync_folder(root / "data")


def without_syncing_the_file(root: Path) -> None:
    write(root / "tmp/a", b"content", sync=False)
    (root / "tmp/a").rename(root / "data/a")
    sync_folder(root / "data")


def writing_after_the_sync(root: Path) -> None:
    descriptor = os.open(root / "tmp/a", os.O_WRONLY | os.O_CREAT)
    os.fsync(descriptor)
    os.write(descriptor, b"content")
    os.close(descriptor)
    os.link(root / "tmp/a", root / "data/a")
    sync_folder(root / "data")


def without_syncing_the_folder(root: Path) -> None:
    write(root / "tmp/a", b"content", sync=True)
    (root / "tmp/a").rename(root / "data/a")


def in_place(root: Path) -> None:
    write(root / "data/a", b"content", sync=True)
    sync_folder(root / "data")


def into_a_new_folder(root: Path) -> None:
    write(root / "tmp/a", b"content", sync=True)
    (root / "data/new").mkdir()
    (root / "tmp/a").rename(root / "data/new/a")
    sync_folder(root / "data/new")


@pytest.mark.parametrize(
    ("writer", "rules"),
    [
        (careful, []),
        (without_syncing_the_file, ["R1"]),
        (writing_after_the_sync, ["R1"]),
        (without_syncing_the_folder, ["R2"]),
        (in_place, ["R3"]),
        (into_a_new_folder, ["R4"]),
    ],
)
def test_the_check_of_the_order_sees_wrong_writers(
    tmp_path: Path, under_strace: Callable[..., Any], writer: Callable[[Path], None], rules: list[str]
) -> None:
    for name in ("tmp", "data"):
        (tmp_path / "store" / name).mkdir(parents=True)

    def act(say: Callable[[str], None]) -> None:
        writer(tmp_path / "store")
        say("done")

    outcome = under_strace(act, OPTIONS)
    assert outcome.ended == 0, outcome.said
    found = read_order(outcome.trace, tmp_path / "store").violations
    assert [violation[:2] for violation in found] == rules
