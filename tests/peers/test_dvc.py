"""Repositories that the real DVC made are imported bit by bit, in every layout it writes."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smalti import Store, open_store
from smalti.tracking import StatCache, checkout
from smalti.tracking.dvc import ImportReport, import_dvc

FILES = {"a.png": b"a\r\nb", "sub/b.png": b"\0\r\n", "sub/deeper/é c": b"", "sub/again": b"a\r\nb"}
Run = Callable[..., Any]


@pytest.fixture(scope="session")
def dvc_command() -> Path:
    """The real ``dvc``."""
    python = os.environ.get("SMALTI_TEST_PEERS")
    if not python:
        pytest.skip("the peers are not installed here; make test-peers installs them and runs these tests")
    command = Path(python).absolute().with_name("dvc")
    if not command.is_file():
        pytest.skip(f"there is no {command}; make test-peers installs it")
    return command


@pytest.fixture
def theirs(tmp_path: Path, dvc_command: Path) -> Run:
    """Run ``dvc`` or ``git`` in a repository of both, ``tmp_path/theirs``."""
    root = tmp_path / "theirs"
    root.mkdir()
    names = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    nowhere = {name: str(tmp_path / name) for name in ("HOME", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR")}
    site = {"DVC_SITE_CACHE_DIR": str(tmp_path / "site"), "DVC_NO_ANALYTICS": "1"}
    environment = {**os.environ, **dict.fromkeys(names, "n"), **nowhere, **site}

    def run(command: str, *arguments: str) -> None:
        program = str(dvc_command) if command == "dvc" else command
        done = subprocess.run(
            [program, *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    run("git", "init", "-q")
    run("dvc", "init", "-q")
    return run


@pytest.fixture
def root(tmp_path: Path, theirs: Run) -> Path:
    """The repository of ``theirs``, with a folder and a file that DVC tracks, pushed to a remote, and committed."""
    root = tmp_path / "theirs"
    for name, content in FILES.items():
        (root / "data/images" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "data/images" / name).write_bytes(content)
    (root / "notes.txt").write_bytes(b"first\r\n")
    theirs("dvc", "remote", "add", "-d", "storage", str(tmp_path / "remote"))
    theirs("dvc", "add", "-q", "data/images", "notes.txt")
    theirs("dvc", "push", "-q")
    theirs("git", "add", ".")
    theirs("git", "commit", "-qm", "first")
    return root


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")


@pytest.fixture
def bring(tmp_path: Path, store: Store) -> Callable[..., ImportReport]:
    """Import the repository into ``ours``, and check out what was imported."""

    def run(**more: Any) -> ImportReport:
        cache = StatCache(tmp_path)
        report = import_dvc(store, cache, tmp_path / "theirs", tmp_path / "ours", **more)
        for one in report.imported:
            checkout(store, cache, tmp_path / "ours" / one.path)
        return report

    return run


def lying_in(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_files_and_folders_come_back(tmp_path: Path, root: Path, bring: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in (root / ".dvc").rglob("*")}
    report = bring()
    assert [one.path for one in report.imported] == ["data/images", "notes.txt"]
    assert report.skipped == ()
    assert lying_in(tmp_path / "ours" / "data" / "images") == FILES
    assert (tmp_path / "ours" / "notes.txt").read_bytes() == b"first\r\n"
    assert {path: path.stat().st_mtime_ns for path in (root / ".dvc").rglob("*")} == before


def test_a_repository_of_dvc_2_is_imported(tmp_path: Path, root: Path, theirs: Run, bring: Run) -> None:
    """DVC 3 goes on in the old layout where a ``.dvc`` file has no ``hash`` field, as DVC 2 wrote it."""
    legacy = hashlib.md5(b"old\n").hexdigest()
    (root / "old.txt.dvc").write_text(f"outs:\n- md5: {legacy}\n  size: 5\n  path: old.txt\n")
    (root / "old.txt").write_bytes(b"old\r\n")
    theirs("dvc", "commit", "-f", "-q", "old.txt.dvc")
    bring()
    assert (tmp_path / "ours" / "old.txt").read_bytes() == b"old\r\n"


def test_the_outputs_of_dvc_repro_come_back(tmp_path: Path, root: Path, theirs: Run, bring: Run) -> None:
    (root / "work").mkdir()
    (root / "dvc.yaml").write_text(
        """
stages:
  train:
    foreach: [1, 2]
    do:
      wdir: work
      cmd: mkdir -p model${item} && echo ${item} > model${item}/weights && echo ${item} > log${item}
      deps:
      - ../notes.txt
      outs:
      - model${item}
      metrics:
      - log${item}:
          cache: false
"""
    )
    theirs("dvc", "repro", "-q")
    report = bring()
    assert {"work/model1", "work/model2"} < {one.path for one in report.imported}
    assert {one.path for one in report.skipped} == {"work/log1", "work/log2"}
    assert (tmp_path / "ours" / "work" / "model2" / "weights").read_bytes() == b"2\n"


def test_the_second_version_and_the_first_come_back(tmp_path: Path, root: Path, theirs: Run, bring: Run) -> None:
    (root / "data/images/a.png").write_bytes(b"second")
    theirs("dvc", "add", "-q", "data/images")
    theirs("git", "commit", "-aqm", "second")
    first = {one.path: one.digest for one in bring(revision="HEAD~1").imported}
    assert lying_in(tmp_path / "ours" / "data" / "images") == FILES
    second = {one.path: one.digest for one in bring().imported}
    assert lying_in(tmp_path / "ours" / "data" / "images") == FILES | {"a.png": b"second"}
    assert {path for path in first if first[path] != second[path]} == {"data/images"}


def test_what_the_cache_lacks_is_where_we_say_in_the_remote(
    tmp_path: Path, root: Path, theirs: Run, bring: Run
) -> None:
    for place in sorted((root / ".dvc" / "cache").rglob("*"), reverse=True):
        place.rmdir() if place.is_dir() else place.unlink()
    report = bring()
    assert report.imported == ()
    places = [place for one in report.skipped for place in one.missing.values()]
    assert len(places) == 2
    assert all(Path(place).is_file() for place in places)
    theirs("dvc", "fetch", "-q")
    assert [one.path for one in bring().imported] == ["data/images", "notes.txt"]


@pytest.mark.parametrize("kind", ["hardlink", "symlink", "copy"])
def test_a_cache_elsewhere_and_linked_is_read(tmp_path: Path, root: Path, theirs: Run, bring: Run, kind: str) -> None:
    theirs("dvc", "cache", "dir", "--local", str(tmp_path / "cache of all"))
    theirs("dvc", "config", "cache.type", kind)
    (root / "more").write_bytes(b"more")
    theirs("dvc", "add", "-q", "more")
    theirs("dvc", "fetch", "-q", "data/images.dvc", "notes.txt.dvc")
    assert [one.path for one in bring().imported] == ["data/images", "more", "notes.txt"]
