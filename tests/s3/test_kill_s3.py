"""kill -9 at any moment of a put, a collection, a push: nothing acknowledged is lost, the bucket stays clean."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from smalti import open_store
from smalti.testing import form

KILLS = int(os.environ.get("SMALTI_TEST_KILLS_S3", "6"))  # in all, over the three acts
_LONGEST_S = 1.6  # a few puts
_KILLABLE = Path(__file__).with_name("killable.py")


@pytest.fixture(scope="module")
def killable() -> ModuleType:
    spec = importlib.util.spec_from_file_location("killable", _KILLABLE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def forks(server, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """A process that forks those to be killed."""
    monkeypatch.setenv("SMALTI_S3_ENDPOINT", server.endpoint)
    command = [sys.executable, str(_KILLABLE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin
        process.stdin.close()


@pytest.mark.parametrize("act", ["put", "collect", "push"])
def test_a_process_killed_at_any_moment_loses_nothing_it_acknowledged(
    forks, killable: ModuleType, url: str, tmp_path: Path, act: str
) -> None:
    rng = random.Random(act)
    acknowledged: list[int] = []
    for _ in range(KILLS // 3):
        begin = acknowledged[-1] if acknowledged else 0  # what was acknowledged last is put again
        forks.stdin.write(json.dumps([act, url, str(tmp_path), begin]) + "\n")
        forks.stdin.flush()
        pid = int(forks.stdout.readline())
        time.sleep(rng.uniform(0, _LONGEST_S))
        os.kill(pid, signal.SIGKILL)
        said = list(iter(lambda: forks.stdout.readline().strip(), f"ended {-signal.SIGKILL}"))
        assert all(line.isdigit() for line in said), said
        acknowledged += map(int, said)
        report = open_store(url).fsck()
        assert report.clean, report.problems
    store = open_store(url)
    versions = {store.get(version.address)["n"]: version.address for version in store.versions("run")}
    for n in acknowledged:
        assert form(store.get(versions[n])) == form(killable.value(n))
    print(f"{act}: {KILLS // 3} kills, {len(acknowledged)} acknowledged, 0 lost")
    assert acknowledged
