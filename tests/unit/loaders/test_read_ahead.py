"""Laws of reading ahead: results come in order, whoever reads them, and nothing waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti.loaders.read_ahead import THREAD_NAME, ReadAhead


@contextmanager
def closing(reads: ReadAhead[int, int]) -> Iterator[ReadAhead[int, int]]:
    try:
        yield reads
    finally:
        reads.close()


def name_of_thread() -> str:
    return threading.current_thread().name


@given(
    count=st.integers(0, 40),
    workers=st.integers(0, 4),
    most=st.integers(1, 6),
    sizes=st.dictionaries(st.integers(0, 40), st.integers(0, 4), max_size=3),
)
@settings(max_examples=40, deadline=None)
def test_results_come_in_the_order_of_the_jobs_and_never_more_than_there_is_room_for_are_under_way(
    count: int, workers: int, most: int, sizes: dict[int, int]
) -> None:
    begun: list[int] = []
    lock = threading.Lock()

    def read(job: int) -> int:
        with lock:
            begun.append(job)
        return job * job

    with closing(ReadAhead(read, iter(range(count)), workers, lambda under_way: under_way < most)) as reads:
        found = []
        for number, result in enumerate(reads):
            found.append(result)
            assert max(begun) < number + 1 + most
            if number in sizes:
                reads.resize(sizes[number], lambda under_way: under_way < most)
    assert found == [job * job for job in range(count)]
    assert sorted(begun) == list(range(count)), "each job is read once"


def test_who_takes_the_results_reads_others_instead_of_waiting() -> None:
    others_read = threading.Event()
    readers: dict[int, str] = {}

    def read(job: int) -> int:
        readers[job] = name_of_thread()
        if job == 0:
            assert others_read.wait(10), "somebody has to read the others while this one takes long"
        elif job == 3:
            others_read.set()
        return job

    with closing(ReadAhead(read, iter(range(4)), 1, lambda under_way: True)) as reads:
        reads.fill()
        while 0 not in readers:
            time.sleep(0.001)
        assert list(reads) == [0, 1, 2, 3]
    assert readers[0].startswith(THREAD_NAME)
    assert {readers[job] for job in (1, 2, 3)} == {name_of_thread()}


def test_an_error_met_early_is_raised_where_its_result_is_due() -> None:
    def read(job: int) -> int:
        if job == 2:
            raise ValueError("two")
        time.sleep(0.002)
        return job

    with closing(ReadAhead(read, iter(range(9)), 2, lambda under_way: under_way < 6)) as reads:
        assert [next(reads), next(reads)] == [0, 1]
        with pytest.raises(ValueError, match="two"):
            next(reads)


def test_an_interruption_while_the_consumer_reads_is_not_put_off() -> None:
    consumer = name_of_thread()
    slow = threading.Event()

    def read(job: int) -> int:
        if name_of_thread() == consumer:
            raise KeyboardInterrupt
        slow.wait(10)
        return job

    reads = ReadAhead(read, iter(range(5)), 1, lambda under_way: under_way < 4)
    reads.fill()
    time.sleep(0.01)
    with pytest.raises(KeyboardInterrupt):
        next(reads)
    slow.set()
    reads.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(THREAD_NAME)]


def test_closing_from_another_thread_ends_a_wait() -> None:
    begun, slow = threading.Event(), threading.Event()

    def read(job: int) -> int:
        begun.set()
        slow.wait(10)
        return job

    def close() -> None:
        assert begun.wait(10)
        threading.Timer(0.02, slow.set).start()
        reads.close()

    reads = ReadAhead(read, iter(range(50)), 2, lambda under_way: under_way < 8)
    closer = threading.Thread(target=close)
    closer.start()
    assert len(list(reads)) <= 4, "what was being read, at most; not what waited"
    closer.join(10)
    assert not closer.is_alive()
