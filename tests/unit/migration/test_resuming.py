"""Laws of migrations that are interrupted or done again: nothing twice, nothing lost, the source as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from smalti import Store
from smalti.migration.sources.folder import FolderSource
from smalti.store import Progress

_MIGRATE = """
import os, signal, sys, threading
from pathlib import Path
from smalti import open_store
from smalti.migration import migrate
from smalti.tracking import StatCache

files, seconds = int(sys.argv[4]), float(sys.argv[5])

def kill(progress=None):
    if progress is None or progress.objects == files:
        os.kill(os.getpid(), signal.SIGKILL)

if seconds:
    threading.Timer(seconds, kill).start()
migrate(open_store(sys.argv[1]), StatCache(Path(sys.argv[2])), sys.argv[3], progress=kill)
"""


@pytest.fixture
def settled() -> Callable[[Path], None]:
    """Make files look as if they had been left alone for a while."""

    def settled(folder: Path) -> None:
        until = time.time() + 10
        for path in folder.rglob("*"):
            os.utime(path, (1.7e9, 1.7e9))
        # the time of the last change of an inode cannot be set; the cache waits two seconds for it
        while time.time() < until and max(p.stat().st_ctime for p in folder.rglob("*")) + 2.1 > time.time():
            time.sleep(0.05)

    return settled


@pytest.fixture(params=["v1_run", "datamate_tree", "mlruns"])
def any_source(request: pytest.FixtureRequest) -> Path:
    """A source of each layout that is a folder."""
    folder: Path = request.getfixturevalue(request.param)
    return folder


def test_a_second_migration_adds_nothing(bring, store: Store, any_source: Path) -> None:
    first = bring(any_source)
    known = {manifest.run: manifest for manifest in store.manifests()}
    names = list(store.names())
    second = bring(any_source)
    assert first.new_bytes > 0
    assert second.new_bytes == 0
    assert [one.values for one in second.brought] == [one.values for one in first.brought]
    assert {manifest.run: manifest for manifest in store.manifests()} == known
    assert list(store.names()) == names


def test_nothing_in_the_source_is_touched(bring, any_source: Path, looked_at) -> None:
    before = looked_at(any_source)
    for folder in (any_source, *(path for path in any_source.rglob("*") if path.is_dir())):
        folder.chmod(0o555)
    try:
        assert not bring(any_source).failed
    finally:
        for folder in (any_source, *(path for path in any_source.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
    assert looked_at(any_source) == before


def test_all_that_was_brought_is_kept_when_garbage_is_collected(bring, store: Store, any_source: Path) -> None:
    report = bring(any_source)
    for _ in range(2):
        store.gc(dry_run=False, grace_seconds=0)
    for one in report.brought:
        for address in one.values.values():
            store.get(address)
    assert store.fsck(full=True).clean


def test_killed_at_any_moment_the_next_migration_goes_on_and_ends_the_same(
    bring, store: Store, cache, tmp_path: Path, v1, looked_at
) -> None:
    rng = np.random.default_rng(1)
    for run in range(6):
        for name in ("x", "y"):
            v1.data("7", f"run{run}", "inputs", name, rng.random(2000), "20250301_120000")
    before = looked_at(v1.root)
    command = [sys.executable, "-c", _MIGRATE, store.place, str(tmp_path / "root"), str(v1.root)]
    for seconds in rng.uniform(0.01, 0.1, 2):  # in the middle of something
        subprocess.run([*command, "0", str(seconds)], check=False)
        assert not store.exists() or store.fsck().clean
    for files in (1, 4, 7):  # between a file and the next, or the manifest
        assert subprocess.run([*command, str(files), "0"], check=False).returncode == -signal.SIGKILL
        assert store.fsck().clean
    assert len(list(store.manifests())) == 3
    report = bring(v1.root)
    assert not report.failed
    assert len(list(store.manifests())) == 6
    assert report.new_bytes < 8 * 16_000, "what was brought before is not brought again"
    assert store.fsck(full=True).clean
    assert looked_at(v1.root) == before


def test_files_that_were_brought_are_not_read_again_until_they_change(
    bring, store: Store, v1, v1_run: Path, settled, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(v1_run)
    bring(v1_run)
    opened: list[str] = []
    local = FolderSource.local

    def counting(self: FolderSource, path: str):
        opened.append(path.rsplit("/", 1)[-1])
        return local(self, path)

    monkeypatch.setattr(FolderSource, "local", counting)
    bring(v1_run)
    described = {name for name in opened if name == "manifest.json" or name.endswith("_metadata.json")}
    assert set(opened) == described, "only what describes the run"
    (path,) = v1_run.rglob("result_*.npy")
    np.save(path, np.zeros(3))
    bring(v1_run)
    assert path.name in opened


def test_what_the_store_lost_is_brought_again(bring, store: Store, v1_run: Path, settled) -> None:
    settled(v1_run)
    bring(v1_run)
    address = store.manifest("run_a").outputs["result"]
    store.release("run_a")
    for _ in range(2):
        store.gc(dry_run=False, grace_seconds=0)
    report = bring(v1_run)
    assert "released" in report.brought[0].remarks[0], "what somebody let go is not forced back"
    assert not report.failed
    again = bring(v1_run, prefix="again-")
    assert again.new_bytes > 0
    assert store.get(address) is not None


def test_progress_counts_every_file_once_and_ends_at_the_end(bring, mlruns: Path) -> None:
    seen: list[Progress] = []
    bring(mlruns, progress=seen.append)
    assert (seen[-1].objects, seen[-1].nbytes) == (seen[-1].of_objects, seen[-1].of_nbytes)
    assert [progress.objects for progress in seen] == list(range(1, len(seen) + 1))


def test_a_run_of_that_name_that_came_from_elsewhere_is_not_mixed_up(bring, store: Store, v1_run: Path) -> None:
    store.add_manifest("run_a", notes={"mine": True})
    (failed,) = bring(v1_run).failed
    assert "give what is migrated other names by --prefix" in failed.why
    assert store.manifest("run_a").notes == {"mine": True}


def test_what_was_said_of_a_migrated_run_since_stays(bring, store: Store, v1_run: Path) -> None:
    bring(v1_run)
    store.update_manifest("run_a", tags={"best": "yes"})
    assert not bring(v1_run).failed
    assert store.manifest("run_a").tags == {"best": "yes"}
