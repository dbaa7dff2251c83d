"""What killed processes leave in a bucket goes with a collection, once it is old, and never under a put at work."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from smalti.codecs import CODECS
from smalti.errors import Unavailable
from smalti.store import Store
from smalti.store.backends.s3.backend import S3Objects, open_s3

LARGE = np.random.default_rng(0).integers(0, 256, (512, 4096), np.uint8)
DATE = re.compile(rb"<LastModified>[^<]*</LastModified>")


@pytest.fixture
def store(endpoint: str, url: str) -> Store:
    return Store(*open_s3(url, endpoint), CODECS)


@pytest.fixture
def objects(store: Store) -> S3Objects:
    return store._objects


@pytest.fixture
def left_by_a_killed_put(store: Store, stored: dict, wire) -> set[str]:
    wire.harm("PUT", "metadata.json", before=wire.answer(403, "AccessDenied"))
    with pytest.raises(Unavailable):
        store.put(LARGE)
    return {key for key in stored if key.startswith("data/")}


@pytest.fixture
def a_day_later(wire) -> Callable[[], None]:
    """Let everything that is listed from now on look old."""
    return lambda: wire.harm("GET", "list-type", times=1e9, after=make_old)


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


def test_marks_of_processes_that_died_go_too(objects, store, wire, url, left_by_a_killed_put, a_day_later) -> None:
    bucket = objects._bucket
    ref = store.put(b"here")
    store.put(b"here")  # makes it young
    bucket.put(f"touched/{'0' * 64}", [b"1"])
    bucket.put(f"removing/{'0' * 64}", [b""])
    objects.sweep(0)
    marks = {found["path"] for folder in ("touched", "removing", "writing") for found in bucket.list(folder)}
    assert len(marks) == 4
    a_day_later()
    objects.sweep(0)
    marks = {found["path"] for folder in ("touched", "removing", "writing") for found in bucket.list(folder)}
    assert marks == {f"touched/{ref.digest.removeprefix('sha256:')}"}


def test_a_put_that_begins_while_its_remains_are_removed_loses_nothing(
    objects, store, stored, wire, url, left_by_a_killed_put, a_day_later
) -> None:
    """It writes everything just before the sweep removes what it takes for remains, and looks at it only afterwards."""
    other = Store(*open_s3(url, wire.target), CODECS)
    with ThreadPoolExecutor(1) as thread:
        puts = []

        def put_until_it_waits(_) -> None:
            puts.append(thread.submit(other.put, LARGE))
            while not any(key.endswith("metadata.json") for key in stored):
                time.sleep(0.01)

        a_day_later()
        deletion = wire.harm("DELETE", "data.npy", before=put_until_it_waits)
        objects.sweep(0)
        ref = puts[0].result(30)
    assert deletion.times == 0
    np.testing.assert_array_equal(other.get(ref), LARGE)
    assert other.fsck().clean


def test_a_put_that_was_begun_again_is_left_alone(objects, store, stored, wire, left_by_a_killed_put) -> None:
    """The first look finds old keys, the second finds them young."""

    wire.harm("GET", "list-type", after=make_old)
    objects.sweep(0)
    assert left_by_a_killed_put <= set(stored)
