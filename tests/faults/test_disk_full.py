"""A full disk: an error in one sentence, an intact store, and all works again once there is room."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti import Store, open_store
from smalti.errors import Unavailable
from smalti.testing import form
from tests.store_reading import fill, use

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


@pytest.fixture(params=["tmpfs", "ext4 of blocks of 1 KiB", "ext4 of blocks of 4 KiB"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB; skipped where one may not be made or mounted."""
    place, image = tmp_path / "disk", tmp_path / "image"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    if request.param != "tmpfs":
        if not (make := shutil.which("mkfs.ext4")):
            pytest.skip("there is no mkfs.ext4; on Debian: apt-get install e2fsprogs")
        image.write_bytes(bytes(24 * KIB * KIB))
        block = "1024" if "1 KiB" in request.param else "4096"
        subprocess.run([make, "-q", "-m", "0", "-b", block, str(image)], check=True)
        command = ["mount", "-o", "loop", str(image), str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small file system may not be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill_up(place: Path) -> None:
    """Leave no byte free."""
    with (place / "ballast").open("wb", buffering=0) as file:
        for nbytes in (KIB * KIB, 4 * KIB, 512, 1):
            with suppress(OSError):
                while file.write(bytes(nbytes)) == nbytes:
                    pass


@pytest.mark.parametrize(
    ("state", "index"),
    [
        *((state, index) for state in ("full", "full and read-only") for index in ("there", "deleted", "damaged")),
        ("full", "open in a writer"),
    ],
)
def test_all_that_only_reads_works_on_a_full_disk(
    small_disk: Path, child: Callable[..., Any], state: str, index: str
) -> None:
    store = open_store(small_disk / "store")
    fill(store)
    use(store)
    if index != "open in a writer":
        del store
        gc.collect()
    path = small_disk / "store" / "index.sqlite"
    if index == "deleted":
        path.unlink()
    elif index == "damaged":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    fill_up(small_disk)
    if state == "full and read-only":
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    def read(say: Callable[[str], None]) -> None:
        for _ in range(2):
            use(open_store(small_disk / "store"))
        try:
            open_store(small_disk / "store").put(np.arange(100_000))
        except Unavailable as error:
            say(str(error))

    process = child(read)
    process.release()
    outcome = process.finish()
    assert outcome.ended == 0, outcome
    (refusal,) = outcome.said
    assert ("Read-only file system" if "read-only" in state else "No space left") in refusal
    if index == "open in a writer":
        use(store)


def check(store: Store, acknowledged: list[int], value: Callable[[int], Any]) -> None:
    report = store.fsck(full=True)
    assert report.clean, report.problems
    for number in acknowledged:
        assert form(store.get(f"run/{number}")) == form(value(number))
