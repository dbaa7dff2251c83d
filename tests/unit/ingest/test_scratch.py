"""Laws of a sandbox's folder: private, removed in the end, and whoever died is cleaned up after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from smalti.errors import Unavailable
from smalti.ingest.scratch import folder_for_large_files, remove_abandoned, scratch_folder

DAYS_S = 2 * 24 * 3600
HOLDER = """
import sys, time
from pathlib import Path
from smalti.ingest.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


def made_older(folder: Path) -> Path:
    then = time.time() - DAYS_S
    os.utime(folder, (then, then))
    return folder


def test_it_is_private_and_gone_in_the_end(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "new" / "parent") as folder:
        assert folder.stat().st_mode & 0o077 == 0
        assert folder.parent == tmp_path / "new" / "parent"
        (folder / "something").mkdir()
    assert list((tmp_path / "new" / "parent").iterdir()) == []


def test_an_old_one_is_removed_once_its_process_is_dead(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    folder = made_older(Path(process.stdout.readline().strip()))
    remove_abandoned(tmp_path)
    assert folder.is_dir()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with scratch_folder(tmp_path):
        assert not folder.exists()


def test_only_what_is_old_ours_and_a_folder_is_removed(tmp_path: Path) -> None:
    young, old = tmp_path / "smalti-sandbox-young", tmp_path / "smalti-sandbox-old"
    other, target = tmp_path / "another", tmp_path / "target"
    for folder in (young, old, other, target):
        folder.mkdir()
        (folder / "file").touch()
    link = tmp_path / "smalti-sandbox-link"
    link.symlink_to(target)
    for folder in (old, other, target):
        made_older(folder)
    then = time.time() - DAYS_S
    os.utime(link, (then, then), follow_symlinks=False)
    remove_abandoned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {young.name, other.name, link.name, target.name}
    assert (target / "file").exists()


def test_where_there_can_be_none_the_machine_is_told_apart_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(Unavailable, match="a folder to read foreign files in could not be made"),
        scratch_folder(tmp_path / "file"),
    ):
        pass


def test_what_tmpdir_names_goes_before_what_is_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert folder_for_large_files() == tmp_path
    monkeypatch.delenv("TMPDIR")
    assert folder_for_large_files() in (Path("/var/tmp"), Path("/tmp"))
