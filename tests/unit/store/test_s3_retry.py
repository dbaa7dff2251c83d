"""The budget of a request to a bucket: how often, how long, after which waits, and for which answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.store.backends.s3.etag import Parts
from smalti.store.backends.s3.retry import Retry, is_transient


class Clock:
    """Time that passes only while somebody waits, or as told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def longest(low: float, high: float) -> float:
    return high


def test_waits_double_up_to_a_bound() -> None:
    clock = Clock()
    retry = Retry(8, 60.0, 0.1, 1.0, clock, clock.sleep, longest)
    assert list(retry.attempts()) == list(range(8))
    assert clock.waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0])


def test_no_try_is_begun_after_the_budget() -> None:
    clock = Clock()
    begun = []
    for _ in Retry(100, 60.0, 0.1, 5.0, clock, clock.sleep, longest).attempts():
        begun.append(clock.now)
        clock.now += 25.0  # what an answer takes
    assert len(begun) == 3
    assert all(at - 100.0 < 60.0 for at in begun)


@given(st.integers(1, 10), st.floats(0, 1))
def test_a_wait_is_drawn_between_nothing_and_its_bound(tries: int, share: float) -> None:
    clock = Clock()
    retry = Retry(tries, 1e9, 0.1, 5.0, clock, clock.sleep, lambda low, high: low + share * (high - low))
    assert len(list(retry.attempts())) == tries
    assert all(0 <= wait <= 5.0 for wait in clock.waits)


@pytest.mark.parametrize(
    ("message", "again"),
    [
        ("HTTP error: request or response body error", True),
        ("HTTP error: error sending request", True),
        ("status code: 503 Service Unavailable: <Error><Code>SlowDown</Code></Error>", True),
        ("status code: 429 Too Many Requests", True),
        ("status code: 409 Conflict: <Error><Code>OperationAborted</Code></Error>", True),
        ("status code: 400 Bad Request: <Error><Code>XAmzContentSHA256Mismatch</Code></Error>", True),
        ("status code: 400 Bad Request: <html>", True),
        ("status code: 404 Not Found: <Error><Code>NoSuchUpload</Code></Error>", True),
        ("status code: 501 Not Implemented", False),
        ("status code: 403 Forbidden: <Error><Code>AccessDenied</Code></Error>", False),
        ("status code: 400 Bad Request: <Error><Code>InvalidArgument</Code></Error>", False),
        ("status code: 404 Not Found: <Error><Code>NoSuchBucket</Code></Error>", False),
        ("status code: 301 Moved", False),
    ],
)
def test_what_may_be_answered_otherwise_is_asked_again(message: str, again: bool) -> None:
    assert is_transient(Exception(message)) is again


@given(st.lists(st.binary(max_size=50), max_size=8), st.integers(1, 20))
def test_the_etag_of_parts_depends_on_the_bytes_and_not_on_the_pieces(pieces: list[bytes], part_nbytes: int) -> None:
    parts, whole = Parts(part_nbytes), Parts(part_nbytes)
    assert b"".join(parts.cut(pieces)) == b"".join(whole.cut([b"".join(pieces)]))
    assert parts.etag() == whole.etag()
    assert parts.are_all
    assert len(parts.digests()) == max(1, -(-parts.nbytes // part_nbytes))
