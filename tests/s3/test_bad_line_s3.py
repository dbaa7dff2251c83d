"""A line that harms a fifth of all requests: no wrong byte, nothing acknowledged lost, hardly an operation fails."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import open_store
from smalti.errors import Damaged, SmaltiError
from smalti.store import Store
from smalti.store.backends.s3.backend import S3Backend
from smalti.store.backends.s3.bucket import Bucket
from smalti.testing import form
from tests.s3.conftest import store_at, store_over
from tests.s3.wire import Exchange, Fault, Wire, with_a_bit_flipped

OPERATIONS = int(os.environ.get("SMALTI_TEST_BAD_LINE", "1000" if os.environ.get("SMALTI_TEST_S3") == "1" else "240"))
SEED = int(os.environ.get("SMALTI_TEST_SEED", "0"))
THREADS = 6
HARMED_SHARE = 0.2
MOST_FAILED_SHARE = 0.02
ANSWER_SECONDS = 1.5
STACK = np.random.default_rng(SEED).random((160, 2048))  # 2.5 MiB, of which a near-duplicate changes a row


@dataclass(frozen=True)
class Kind:
    """A kind of fault: what happens before the server is asked, and to its reply."""

    before: Callable[[Exchange, random.Random], None] = lambda exchange, rng: None
    after: Callable[[Exchange, random.Random], None] = lambda exchange, rng: None


def answered(status: int, code: str) -> Kind:
    return Kind(lambda exchange, rng: Wire.answer(status, code)(exchange))


def changed(**attributes: Any) -> Callable[[Exchange, random.Random], None]:
    return lambda exchange, rng: [setattr(exchange, name, value) for name, value in attributes.items()] and None


def flip_out(exchange: Exchange, rng: random.Random) -> None:
    exchange.sent = with_a_bit_flipped(exchange.sent, rng.randrange(len(exchange.sent) or 1), rng.randrange(8))


def flip_in(exchange: Exchange, rng: random.Random) -> None:
    exchange.body = with_a_bit_flipped(exchange.body, rng.randrange(len(exchange.body) or 1), rng.randrange(8))


def not_there_yet(exchange: Exchange, rng: random.Random) -> None:
    """Answer as a server that does not know a key yet."""
    if exchange.method in {"GET", "HEAD"} and "list-type" not in exchange.path:
        Wire.answer(404, "NoSuchKey")(exchange)


def hang(exchange: Exchange, rng: random.Random) -> None:
    exchange.asks = rng.choice([0, 1])
    time.sleep(2 * ANSWER_SECONDS)


KINDS = {
    "503": answered(503, "SlowDown"),
    "429": answered(429, "TooManyRequests"),
    "500": answered(500, "InternalError"),
    "409": answered(409, "OperationAborted"),
    "reset before": Kind(changed(asks=0, reset=True)),
    "reset after": Kind(after=changed(reset=True)),
    "lost reply": Kind(after=changed(status=0)),
    "duplicate": Kind(changed(asks=2)),
    "flipped out": Kind(flip_out),
    "flipped in": Kind(after=flip_in),
    "cut": Kind(lambda exchange, rng: setattr(exchange, "short" if exchange.sent else "cut", True)),
    "stale 404": Kind(after=not_there_yet),
    "hang": Kind(hang),
}


class BadLine:
    """Chooses the harm; the same request of the same key, the n-th time, suffers the same in every run of a seed."""

    def __init__(self, wire: Wire, url: str) -> None:
        self.harms: Counter[str] = Counter()
        self.requests = 0
        self._below = url.removeprefix("s3:/").rsplit("/", 2)[0]
        self._times: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._chosen: dict[int, tuple[Kind, random.Random]] = {}
        wire.faults.append(Fault(self._choose, self._before, self._after, times=float("inf")))

    def _choose(self, exchange: Exchange) -> bool:
        with self._lock:
            what = f"{exchange.method} {exchange.path.split('/store', 1)[-1].split('uploadId')[0]}"
            self._times[what] += 1
            self.requests += 1
            rng = random.Random(f"{SEED} {what} {self._times[what]}")
            if rng.random() >= HARMED_SHARE:
                return False
            name = rng.choice(sorted(KINDS))
            self.harms[name] += 1
            self._chosen[id(exchange)] = KINDS[name], rng
            return True

    def _before(self, exchange: Exchange) -> None:
        kind, rng = self._chosen[id(exchange)]
        kind.before(exchange, rng)

    def _after(self, exchange: Exchange) -> None:
        kind, rng = self._chosen.pop(id(exchange))
        kind.after(exchange, rng)


@dataclass
class Worker:
    """One thread's operations, and what they should find."""

    number: int
    store: Store
    local: Store
    kept: list[tuple[str, Any]] = field(default_factory=list)
    named: dict[str, tuple[str, Any] | None] = field(default_factory=dict)
    failures: list[tuple[str, SmaltiError]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    def work(self, operations: int) -> None:
        rng = random.Random(f"{SEED} {self.number}")
        acts = [self.put, self.put, self.put_named, self.get, self.get_named, self.slice, self.names, self.push]
        acts += [self.pull, self.verify]
        for n in range(operations):
            act = rng.choice(acts) if self.kept and self.named else (self.put if n % 2 else self.put_named)
            self.done[act.__name__] += 1
            try:
                act(rng)
            except SmaltiError as error:
                self.failures.append((act.__name__, error))

    def value(self, rng: random.Random) -> Any:
        numbers = np.random.default_rng(rng.randrange(2**32))
        kind = rng.choices(["small", "near", "counts", "bytes", "tree", "large"], [6, 3, 2, 3, 3, 0.4])[0]
        if kind == "near":
            stack = STACK.copy()
            stack[rng.randrange(160)] = numbers.random(2048)
            return stack
        if kind == "large":
            return numbers.integers(0, 256, (9, 1024, 1024), np.uint8)
        if kind == "counts":
            return numbers.poisson(1, (40, 64, 64)).astype(np.uint16)
        if kind == "bytes":
            return numbers.bytes(rng.choice([0, 10, 5000, 100_000]))
        small = numbers.random(rng.choice([1, 200, 8000]))
        return {"a": small, "n": rng.randrange(100), "shared": np.arange(3000)} if kind == "tree" else small

    def put(self, rng: random.Random) -> None:
        value = self.value(rng)
        self.kept.append((self.store.put(value).digest, value))

    def put_named(self, rng: random.Random) -> None:
        name, value = f"thread-{self.number}/{rng.randrange(3)}", self.value(rng)
        self.named[name] = None  # until it is acknowledged it may stand for either
        self.named[name] = self.store.put(value, name=name).digest, value

    def get(self, rng: random.Random) -> None:
        digest, value = rng.choice(self.kept)
        self.compare(digest, self.store.get(digest), value)

    def get_named(self, rng: random.Random) -> None:
        name, given = rng.choice(sorted(self.named.items()))
        found = self.store.get(name)
        if given:
            self.compare(name, found, given[1])

    def slice(self, rng: random.Random) -> None:
        arrays = [(digest, value) for digest, value in self.kept if isinstance(value, np.ndarray)]
        digest, value = rng.choice(arrays or [(self.store.put(STACK).digest, STACK)])
        at = rng.randrange(len(value))
        self.compare(f"{digest}[{at}:]", np.asarray(self.store.open(digest)[at : at + 3]), value[at : at + 3])

    def names(self, rng: random.Random) -> None:
        found = {version.name: version.address for version in self.store.names()}
        for name, given in self.named.items():
            if given and found.get(name) != given[0]:
                self.wrong.append(f"{name} is {found.get(name)}, not {given[0]}")

    def push(self, rng: random.Random) -> None:
        value = self.value(rng)
        digest = self.local.put(value).digest
        self.local.push(self.store, [digest])
        self.kept.append((digest, value))

    def pull(self, rng: random.Random) -> None:
        digest, value = rng.choice(self.kept)
        self.local.pull(self.store, [digest])
        self.compare(digest, self.local.get(digest), value)
        self.local._objects.verify(digest)

    def verify(self, rng: random.Random) -> None:
        self.store._objects.verify(rng.choice(self.kept)[0])

    def compare(self, what: str, found: Any, value: Any) -> None:
        if form(found) != form(value):
            self.wrong.append(what)


def test_a_bad_line_gives_no_wrong_byte_loses_nothing_and_hardly_fails(
    server, wire: Wire, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store_at(url, server.endpoint).init()
    line = BadLine(wire, url)
    workers = []
    for number in range(THREADS):
        bucket = Bucket(url, wire.endpoint, answer_seconds=ANSWER_SECONDS)
        workers.append(Worker(number, store_over(S3Backend(bucket)), open_store(tmp_path / f"{number}")))
    begun = time.monotonic()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda worker: worker.work(OPERATIONS // THREADS), workers))

    failures = [failure for worker in workers for failure in worker.failures]
    done = sum((worker.done for worker in workers), Counter[str]())
    with capsys.disabled():
        print(
            f"\n{done.total()} operations, {line.requests} requests, {sum(line.harms.values())} harmed "
            f"{dict(sorted(line.harms.items()))}, {len(failures)} failed, {time.monotonic() - begun:.0f} s"
        )
        for act, error in failures:
            print(f"  {act}: {type(error).__name__}: {error}")
    assert line.harms.keys() == KINDS.keys()
    assert not [worker.wrong for worker in workers if worker.wrong]
    assert not [failure for failure in failures if isinstance(failure[1], Damaged)]

    clean = store_at(url, server.endpoint)
    for worker in workers:
        for digest, value in worker.kept:
            assert form(clean.get(digest)) == form(value)
        for name, given in worker.named.items():
            assert given is None or form(clean.get(name)) == form(given[1])
    report = clean.fsck(full=True)
    assert report.clean, report.problems
    assert len(failures) < MOST_FAILED_SHARE * done.total()
