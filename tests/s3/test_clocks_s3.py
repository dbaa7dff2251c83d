"""Clocks of writers and collections may be wrong: what a put found is not removed, only the server's time counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest

from smalti.store import Store
from smalti.store.backends.s3.backend import S3Backend
from smalti.store.backends.s3.bucket import Bucket
from smalti.store.backends.s3.leases import Leases, latest

VALUE = np.arange(5)
WRONG_BY_SECONDS = pytest.mark.parametrize("wrong_by", [300, 86_400, -300, -86_400])
# A real server refuses what was signed by a clock that is wrong by a quarter of an hour; a mock does not look.
SKEWS = pytest.mark.parametrize("server", ["moto"], indirect=True)
ADDRESS = "sha256:" + "0" * 64

Skew = Callable[[float], AbstractContextManager[None]]


@pytest.fixture
def bucket(wire, url: str) -> Bucket:
    return Bucket(url, wire.endpoint)


@pytest.fixture
def skew(monkeypatch: pytest.MonkeyPatch) -> Skew:
    """Let this machine's clock be wrong for a while."""
    right, right_ns = time.time, time.time_ns

    @contextmanager
    def skewed(seconds: float) -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: right() + seconds)
            patch.setattr(time, "time_ns", lambda: right_ns() + int(seconds * 1e9))
            yield

    return skewed


class Monotonic:
    """A clock that is put forward."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@SKEWS
@pytest.mark.parametrize(
    ("whose", "wrong_by"), [("writer", -300), ("writer", 86_400), ("collection", 300), ("collection", -86_400)]
)
def test_what_a_put_found_after_it_was_condemned_is_not_removed(
    store: Store, skew: Skew, whose: str, wrong_by: float
) -> None:
    writer, collection = (wrong_by, 0.0) if whose == "writer" else (0.0, wrong_by)
    with skew(writer):
        ref = store.put(VALUE)
    with skew(collection):
        assert [item.state for item in store.gc(dry_run=False, grace_seconds=0).unneeded] == ["condemned"]
    with skew(writer):
        assert store.put(VALUE).new_bytes == 0
    with skew(collection):
        assert [item.state for item in store.gc(dry_run=False, grace_seconds=0).unneeded] == ["condemned"]
        np.testing.assert_array_equal(store.get(ref), VALUE)


@SKEWS
@pytest.mark.parametrize("wrong_by", [300, 86_400])
def test_what_is_younger_than_the_grace_period_is_young_whatever_a_clock_says(
    store: Store, skew: Skew, wrong_by: float
) -> None:
    store.put(VALUE)
    for _ in range(2):
        with skew(wrong_by):
            report = store.gc(dry_run=False, grace_seconds=60)
        assert [item.state for item in report.unneeded] == ["young"]


@SKEWS
@WRONG_BY_SECONDS
def test_a_put_that_begins_while_a_removal_is_at_work_waits_for_it(
    backend: S3Backend, store: Store, wire, skew: Skew, wrong_by: float
) -> None:
    ref = store.put(VALUE)
    removing, looked = threading.Event(), threading.Event()

    def stop_before_removing(_) -> None:
        removing.set()
        looked.wait(20)
        time.sleep(0.3)  # a put that does not wait is done by then

    wire.harm("DELETE", "metadata.json", before=stop_before_removing)
    with ThreadPoolExecutor(2) as pool:
        removal = pool.submit(backend.remove, {ref.digest: backend.clock()})
        assert removing.wait(20)
        wire.harm("GET", "removing%2F", after=lambda _: looked.set())
        with skew(wrong_by):
            put = pool.submit(store.put, VALUE)
            assert removal.result(30)
            assert put.result(30).new_bytes > 0
    np.testing.assert_array_equal(store.get(ref), VALUE)


def test_the_time_of_a_collection_is_between_what_was_found_before_and_after(backend: S3Backend, store: Store) -> None:
    ref = store.put(VALUE)
    store.put(VALUE)
    before = backend.lease(ref.digest, renew=False)
    now = backend.clock()
    store.put(VALUE)
    assert before <= now < backend.lease(ref.digest, renew=False)


def test_a_second_of_the_server_counts_to_its_end() -> None:
    assert latest(12.0) == 13.0
    assert latest(12.345) == 13.0


def test_the_mark_of_a_removal_that_died_holds_until_the_server_has_counted_its_seconds(bucket: Bucket) -> None:
    monotonic = Monotonic()
    marks = Leases(bucket, monotonic)
    with marks.removal(ADDRESS) as lease:
        assert lease
        bucket.put(f"removing/{'0' * 64}", [b"of one that died"])
        assert marks.is_being_removed(ADDRESS)
        monotonic.now += 170
        assert lease.is_held()
        monotonic.now += 20
        assert not lease.is_held()
        assert marks.is_being_removed(ADDRESS)
        monotonic.now += 115
        assert not marks.is_being_removed(ADDRESS)
    assert bucket.head(f"removing/{'0' * 64}")  # it may be another's by now


def test_of_two_who_take_a_dead_removal_over_one_does(bucket: Bucket, wire) -> None:
    monotonic = Monotonic()
    one, other = Leases(bucket, monotonic), Leases(bucket, monotonic)
    bucket.put(f"removing/{'0' * 64}", [b"of one that died"])
    one.clock.now(), other.clock.now()
    monotonic.now += 400
    taken = []

    def be_quicker(_) -> None:
        removal = other.removal(ADDRESS)
        taken.append((removal, removal.__enter__()))

    wire.harm("GET", "/removing/")  # the look of the creation that finds a mark
    wire.harm("GET", "/removing/", after=be_quicker)
    with one.removal(ADDRESS) as lease:
        assert lease is None
    assert taken[0][1]
    taken[0][0].__exit__(None, None, None)
    assert not bucket.head(f"removing/{'0' * 64}")
