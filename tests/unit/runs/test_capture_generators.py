"""Laws of captured generators and async functions: one run from the first value to the last, all else unchanged."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

from smalti.runs import FlexibleDataStore, RunManifest, capture_flexible_data


def only(store: FlexibleDataStore) -> RunManifest:
    """Return the one run that there is."""
    (run,) = store.list_runs()
    return run


def spoiling(generator: Iterator[Any]) -> Iterator[Any]:
    """Change every array that comes; hand on what the generator returns."""
    iterator = iter(generator)
    ended = None

    def values() -> Iterator[Any]:
        nonlocal ended
        ended = yield from iterator

    for value in values():
        if isinstance(value, np.ndarray):
            value[:] = -1
        yield value
    return ended


def test_what_a_generator_yields_is_kept_as_it_was_and_it_returns_what_it_returns(store: FlexibleDataStore) -> None:
    @capture_flexible_data(store=store)
    def batches(count: int) -> Iterator[Any]:
        for number in range(count):
            yield np.full(2, number)
            yield number
        return b"end"

    def consume() -> Iterator[None]:
        ended = yield from spoiling(batches(3))
        assert ended == b"end"

    assert not store.store.exists()
    assert len(list(consume())) == 6
    run = only(store)
    assert run.status == "finished"
    assert run.metrics == {"yielded": 6}
    assert sorted(run.outputs) == ["result", "yielded", "yielded_0000", "yielded_0002", "yielded_0004"]
    assert store.retrieve_data(run.outputs["yielded_0004"]).tolist() == [2, 2]
    assert store.retrieve_data(run.outputs["yielded"]) == [0, 1, 2]


def test_sending_throwing_and_closing_reach_the_generator(store: FlexibleDataStore) -> None:
    heard: list[Any] = []

    @capture_flexible_data(store=store)
    def listen() -> Iterator[str]:
        try:
            while True:
                try:
                    heard.append((yield "more"))
                except KeyError as error:
                    heard.append(error)
        finally:
            heard.append("closed")

    generator = listen()
    assert next(generator) == "more"
    error = KeyError("x")
    assert generator.send(1) == generator.throw(error) == "more"  # type: ignore[attr-defined]
    generator.close()  # type: ignore[attr-defined]
    assert heard == [1, error, "closed"]
    run = only(store)
    assert (run.status, run.error) == ("stopped", "nobody took more than the 3 values that it yielded")


def test_a_generator_that_fails_and_its_parts(store: FlexibleDataStore) -> None:
    part = capture_flexible_data(store=store)(lambda: 1)

    @capture_flexible_data(store=store)
    def work() -> Iterator[int]:
        yield part()
        raise OSError("gone")

    generator = work()
    assert next(generator) == part() == 1  # that one is called by the consumer: no part of the generator's run
    with pytest.raises(OSError, match="gone"):
        next(generator)
    runs = store.list_runs()
    (whole,) = (run for run in runs if run.run_id.startswith("work"))
    assert (whole.status, whole.error) == ("failed", "OSError: gone")
    assert sorted(run.parent for run in runs) == ["", "", whole.run_id]


def test_async_functions_are_runs_and_tasks_keep_their_parents(store: FlexibleDataStore) -> None:
    @capture_flexible_data(store=store)
    async def part(name: str) -> bytes:
        await asyncio.sleep(0)
        return name.encode()

    @capture_flexible_data(store=store)
    async def whole(name: str) -> None:
        await asyncio.gather(part(name), asyncio.create_task(part(name)))
        await asyncio.to_thread(lambda: asyncio.run(part(name)))

    async def both() -> None:
        await asyncio.gather(whole("a"), whole("b"))

    asyncio.run(both())
    runs = store.list_runs()
    names = {run.run_id: run.parameters["name"] for run in runs if run.run_id.startswith("whole")}
    parts = [run for run in runs if run.run_id.startswith("part")]
    assert sorted(names[run.parent] for run in parts) == ["a", "a", "a", "b", "b", "b"]
    assert all(names[run.parent] == run.parameters["name"] for run in parts)
    assert {run.status for run in runs} == {"finished"}


def test_an_async_call_that_fails_or_is_cancelled_says_so(store: FlexibleDataStore) -> None:
    @capture_flexible_data(store=store)
    async def fail() -> None:
        raise ValueError("no")

    @capture_flexible_data(store=store)
    async def wait() -> None:
        await asyncio.sleep(60)

    async def cancel() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()

    with pytest.raises(ValueError, match="no"):
        asyncio.run(fail())
    asyncio.run(cancel())
    assert sorted((run.run_id[:4], run.status) for run in store.list_runs()) == [
        ("fail", "failed"),
        ("wait", "stopped"),
    ]


def test_async_generators_are_runs(store: FlexibleDataStore) -> None:
    heard: list[Any] = []

    @capture_flexible_data(store=store)
    async def rows(count: int) -> AsyncIterator[Any]:
        for number in range(count):
            try:
                heard.append((yield np.arange(number)))
            except KeyError as error:
                heard.append(error)

    async def consume() -> list[int]:
        return [len(row) async for row in rows(3)]

    async def leave() -> None:
        generator: Any = rows(9)
        assert len(await anext(generator)) == 0
        assert len(await generator.asend("x")) == 1
        assert len(await generator.athrow(KeyError("y"))) == 2
        await generator.aclose()

    assert asyncio.run(consume()) == [0, 1, 2]
    asyncio.run(leave())
    assert str(heard) == "[None, None, None, 'x', KeyError('y')]"
    runs = sorted(store.list_runs(), key=lambda run: run.status)
    assert [run.status for run in runs] == ["finished", "stopped"]
    assert sorted(runs[0].outputs) == ["yielded_0000", "yielded_0001", "yielded_0002"]


def test_a_process_that_is_killed_in_a_call_leaves_a_run_that_is_seen_to_be_lost(store: FlexibleDataStore) -> None:
    program = """
import os, sys
from smalti.runs import capture_flexible_data
@capture_flexible_data(root=sys.argv[1], storage_modes="flat")
def die(data): os.kill(os.getpid(), 9)
die(b"data")
"""
    done = subprocess.run([sys.executable, "-c", program, store.store.place], capture_output=True, check=False)
    assert done.returncode == -9, done.stderr
    run = only(store)
    assert (run.status, run.is_lost, run.storage_locations) == ("running", True, [f"runs/all/{run.run_id}"])
    assert store.find_runs_by_data(b"data") == [run.run_id]
    assert os.path.exists(f"{store.store.place}/runs/all/{run.run_id}/inputs/data.bin")  # noqa: PTH110
    assert store.store.fsck().clean
