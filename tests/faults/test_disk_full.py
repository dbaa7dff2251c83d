"""A full disk: an error in one sentence, an intact store, and all works again once there is room."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from smalti import Store, open_store
from smalti.errors import Unavailable
from smalti.testing import form

KIB = 1024


def free_nbytes(place: Path) -> int:
    stat = os.statvfs(place)
    return stat.f_bavail * stat.f_frsize


def leave_free(place: Path, nbytes: int) -> Path:
    """Fill the disk but for ``nbytes``; return the file to remove to make room again."""
    ballast = place / "ballast"
    with ballast.open("wb") as file:
        file.write(bytes(max(0, free_nbytes(place) - nbytes)))
    return ballast


def test_a_put_at_any_stage_of_fullness_fails_whole_or_succeeds_whole(
    tight_disk: Path, value: Callable[[int], Any]
) -> None:
    store = open_store(tight_disk / "store")
    store.put(value(0), name="run/0")
    acknowledged = [0]
    messages: list[str] = []
    for number, room in enumerate(range(0, 200 * KIB, 4 * KIB), start=1):
        ballast = leave_free(tight_disk, room)
        try:
            store.put(value(number), name=f"run/{number}")
            acknowledged.append(number)
        except Unavailable as error:
            messages.append(str(error))
        check(store, acknowledged, value)
        ballast.unlink()
        store.put(value(number), name=f"run/{number}")
        acknowledged.append(number)
        if number % 10 == 0:
            check(open_store(tight_disk / "store"), acknowledged, value)
        store.forget(f"run/{number}")
        acknowledged = [0]
        store.gc(dry_run=False, grace_seconds=0)
        store.gc(dry_run=False, grace_seconds=0)
    assert all("No space left" in message or "disk is full" in message for message in messages), messages
    assert len(messages) > 10, "the disk was never full"
    assert len(messages) < number, "the disk was always full"
    print(f"{len(messages)} of {number} puts were refused")


def test_what_is_there_can_be_read_and_found_again_on_a_full_disk(
    tight_disk: Path, value: Callable[[int], Any]
) -> None:
    store = open_store(tight_disk / "store")
    ref = store.put(value(0), name="run/0")
    leave_free(tight_disk, 0)
    fresh = open_store(tight_disk / "store")
    assert form(fresh.get("run/0")) == form(value(0))
    assert fresh.fsck(full=True).clean
    assert store.put(value(0)).new_bytes == 0
    assert fresh.ref("run/0").digest == ref.digest


def test_room_is_made_by_collecting_on_a_full_disk(tight_disk: Path) -> None:
    store = open_store(tight_disk / "store")
    store.put(np.arange(400_000))
    kept = store.put(np.arange(9), name="kept")
    store.gc(dry_run=False, grace_seconds=0)
    leave_free(tight_disk, 0)
    store.gc(dry_run=False, grace_seconds=0)
    assert free_nbytes(tight_disk) > 3_000_000
    assert store.get("kept").size == 9
    assert store.put(np.arange(9)).digest == kept.digest


def check(store: Store, acknowledged: list[int], value: Callable[[int], Any]) -> None:
    report = store.fsck(full=True)
    assert report.clean, report.problems
    for number in acknowledged:
        assert form(store.get(f"run/{number}")) == form(value(number))
