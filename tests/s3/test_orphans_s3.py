"""What killed processes leave in a bucket goes with a collection, once it is old, and never under a put at work."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from smalti.errors import Unavailable
from smalti.store import Store
from tests.s3.conftest import store_at

LARGE = np.random.default_rng(0).integers(0, 256, (512, 4096), np.uint8)
DATE = re.compile(rb"<LastModified>[^<]*</LastModified>")


@pytest.fixture
def left_by_a_killed_put(store: Store, stored: dict, wire) -> set[str]:
    wire.harm("PUT", "metadata.json", before=wire.answer(403, "AccessDenied"))
    with pytest.raises(Unavailable):
        store.put(LARGE)
    return {key for key in stored if key.startswith("data/")}


@pytest.fixture
def a_day_later(wire) -> Callable[..., None]:
    """Let everything that is listed from now on, or only in some folder, look old."""
    return lambda folder="list-type": wire.harm("GET", folder, times=1e9, after=make_old)


def make_old(exchange: Any) -> None:
    exchange.body = DATE.sub(b"<LastModified>2020-01-01T00:00:00.000Z</LastModified>", exchange.body)


def test_keys_without_an_object_go_when_they_are_old(store, stored, left_by_a_killed_put, a_day_later) -> None:
    kept = store.put({"x": LARGE + 1}, name="kept")
    store.gc(dry_run=False, grace_seconds=0)
    assert left_by_a_killed_put
    assert left_by_a_killed_put <= set(stored)
    a_day_later()
    store.gc(dry_run=True, grace_seconds=0)
    assert left_by_a_killed_put <= set(stored)
    store.gc(dry_run=False, grace_seconds=0)
    assert not left_by_a_killed_put & set(stored)
    np.testing.assert_array_equal(store.get(kept)["x"], LARGE + 1)
    assert store.fsck().clean


def test_marks_of_processes_that_died_go_too(backend, store, wire, url, left_by_a_killed_put, a_day_later) -> None:
    bucket = backend.bucket
    ref = store.put(b"here")
    store.put(b"here")  # makes it young
    bucket.put(f"touched/{'0' * 64}", [b"1"])
    bucket.put(f"removing/{'0' * 64}", [b""])
    backend.sweep(0)
    marks = {found["path"] for folder in ("touched", "removing", "writing") for found in bucket.list(folder)}
    assert len(marks) == 4
    a_day_later()
    backend.sweep(0)
    marks = {found["path"] for folder in ("touched", "removing", "writing") for found in bucket.list(folder)}
    assert marks == {f"touched/{ref.digest.removeprefix('sha256:')}"}


def test_a_put_that_begins_while_its_remains_are_removed_waits(
    backend, wire, url, left_by_a_killed_put, a_day_later
) -> None:
    other = store_at(url, wire.endpoint)
    with ThreadPoolExecutor(1) as thread:
        puts = []

        def put_until_it_waits(_) -> None:
            wire.seen.clear()
            puts.append(thread.submit(other.put, LARGE))
            while not any("removing%2F" in exchange.path for exchange in wire.seen):
                time.sleep(0.01)
            time.sleep(0.3)  # one that does not wait is done by then

        a_day_later("%2Fdata%2F")
        deletion = wire.harm("DELETE", "data.npy", before=put_until_it_waits)
        backend.sweep(0)
        ref = puts[0].result(30)
    assert deletion.times == 0
    np.testing.assert_array_equal(other.get(ref), LARGE)
    assert other.fsck(full=True).clean


def test_a_put_whose_keys_are_taken_for_remains_writes_them_again(
    backend, wire, url, left_by_a_killed_put, a_day_later
) -> None:
    other = store_at(url, wire.endpoint)
    a_day_later("%2Fdata%2F")
    swept = wire.harm("PUT", "metadata.json", before=lambda _: backend.sweep(0))
    ref = other.put(LARGE)
    assert swept.times == 0
    assert len([e for e in wire.seen if e.method == "DELETE" and e.path.endswith("data.npy")]) == 1
    np.testing.assert_array_equal(other.get(ref), LARGE)
    assert other.fsck(full=True).clean


def test_a_put_that_was_begun_again_is_left_alone(backend, store, stored, wire, left_by_a_killed_put) -> None:
    """The first look finds old keys, the second finds them young."""

    wire.harm("GET", "list-type", after=make_old)
    backend.sweep(0)
    assert left_by_a_killed_put <= set(stored)
