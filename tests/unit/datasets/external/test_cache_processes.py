"""The cache between processes: one fetches, the others wait; none evicts what another reads."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smalti.datasets.external import ExternalCache
from smalti.errors import Refused, Unavailable
from smalti.settings import Settings
from tests.unit.datasets.external.conftest import zipped

Get = Callable[..., Path]
SOURCE = Path(__file__).parents[4] / "src"

FETCH = """
import sys
from smalti.datasets.external import download_dataset
from smalti.datasets.fetch import Patience
from smalti.errors import SmaltiError
try:
    print(download_dataset(*sys.argv[1:3], patience=Patience(attempts=2, backoff_s=0)))
except SmaltiError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""
READ = """
import sys
from smalti.datasets.external import ExternalCache
with ExternalCache.of().in_use(sys.argv[1]) as folder:
    print(folder, flush=True)
    sys.stdin.read()
    print(sorted(path.name for path in folder.iterdir()))
"""


@pytest.fixture
def start(settings: Settings) -> Callable[..., subprocess.Popen[str]]:
    def start(program: str, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SOURCE),
            "SMALTI_ROOT": str(settings.root),
            "SMALTI_ALLOWED_ORIGINS": settings.allowed_origins,
            "SMALTI_CACHE_QUOTA": settings.cache_quota,
        }
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.Popen(command, env={**environment, **more.pop("env", {})}, text=True, **pipes, **more)

    return start


def test_two_processes_that_want_the_same_dataset_download_it_once(
    start: Callable[..., Any], server: Any, settings: Settings
) -> None:
    server.answer = lambda handler: (time.sleep(0.2), handler.give())
    both = [start(FETCH, f"{server.origin}/a.zip", "a") for _ in range(2)]
    answers = [process.communicate(timeout=60) for process in both]
    assert {out.strip() for out, _ in answers} == {str(settings.external / "a")}, answers
    assert len(server.asked) == 1


def test_what_another_process_reads_is_neither_evicted_nor_replaced(
    start: Callable[..., Any], get: Get, cache: ExternalCache
) -> None:
    get(name="a")
    reader = start(READ, "a")
    assert reader.stdout.readline().strip() == str(cache.folder / "a")
    cache.quota_nbytes = 10
    with pytest.raises(Refused, match=r"a \(4\.0KB\) is in use"):
        cache.make_room()
    with pytest.raises(Unavailable, match="is in use; what was fetched is kept"):
        get(name="a", force=True)
    out, _ = reader.communicate(timeout=60)
    assert out.strip() == "['more', 'table.csv']"
    cache.quota_nbytes = 1500
    cache.make_room()
    assert cache.find("a") is None


def test_a_reader_that_is_killed_holds_nothing(start: Callable[..., Any], get: Get, cache: ExternalCache) -> None:
    get(name="a")
    reader = start(READ, "a")
    reader.stdout.readline()
    reader.kill()
    reader.communicate()
    cache.quota_nbytes = 1500
    cache.make_room()
    assert cache.find("a") is None


def test_room_that_one_process_has_reserved_is_not_given_to_another(
    start: Callable[..., Any], get: Get, server: Any, settings: Settings
) -> None:
    server.content = os.urandom(600_000)
    begun: list[str] = []

    def answer(handler: Any) -> None:
        if handler.path == "/slow.bin":
            handler.head(200, Content_Length=600_000, ETag='"v1"')
            handler.wfile.write(server.content[:300_000])
            begun.append(handler.path)
            wait_until(lambda: len(begun) == 2)
            handler.wfile.write(server.content[300_000:])
        else:
            handler.give()

    server.answer = answer
    small = settings.model_copy(update={"cache_quota": "1MB"})
    slow = start(FETCH, f"{server.origin}/slow.bin", "slow", env={"SMALTI_CACHE_QUOTA": "1MB"})
    part = settings.external / ".cache" / "partial" / "slow" / "file" / "slow.bin.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 100_000)
    with pytest.raises(Refused, match=r"slow .* is being fetched"):
        get("/fast.bin", "fast", settings=small)
    begun.append("go on")
    out, err = slow.communicate(timeout=60)
    assert out.strip() == str(settings.external / "slow"), err


def test_a_killed_fetch_is_gone_on_with(
    start: Callable[..., Any], get: Get, server: Any, cache: ExternalCache, tree: Any
) -> None:
    server.content = zipped({"a.bin": os.urandom(500_000)})
    killed: list[bool] = []

    def stall(handler: Any) -> None:
        handler.head(200, Content_Length=len(server.content), ETag=server.etag)
        handler.wfile.write(server.content[:400_000])
        wait_until(lambda: killed)

    server.answer = stall
    process = start(FETCH, f"{server.origin}/data.zip", "custom")
    part = cache.place("partial", "custom") / "file" / "data.zip.part"
    wait_until(lambda: part.exists() and part.stat().st_size >= 200_000)
    process.kill()
    process.communicate()
    killed.append(True)
    assert cache.find("custom") is None
    server.answer = lambda handler: handler.give()
    server.asked.clear()
    assert len(tree(get())["a.bin"]) == 500_000
    assert int(server.asked[0]["range"].removeprefix("bytes=").removesuffix("-")) >= 100_000


def test_a_disk_that_takes_no_more_is_one_sentence_and_is_gone_on_with(
    start: Callable[..., Any], get: Get, server: Any, tree: Any, tmp_path: Path
) -> None:
    server.content = os.urandom(900_000)
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))  # noqa: E731
    process = start(FETCH, f"{server.origin}/a.bin", "custom", preexec_fn=limit)
    _, err = process.communicate(timeout=60)
    assert err.startswith("Unavailable: could not finish downloading a.bin: File too large"), err
    assert err.count("\n") == 1
    server.asked.clear()
    assert tree(get("/a.bin"))["a.bin"] == server.content
    assert "range" in server.asked[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user who may not write here")
def test_a_cache_that_one_may_only_read_is_read_and_not_written(
    get: Get, server: Any, settings: Settings, disk_path: Path, tree: Any
) -> None:
    root = disk_path / "root"
    settings = settings.model_copy(update={"root": root})
    get(settings=settings)
    for folder in (disk_path, root, *root.rglob("*")):
        folder.chmod(0o755 if folder.is_dir() else 0o644)
    (settings.external / "custom" / "table.csv").touch()  # so that it has to be read again
    server.asked.clear()
    os.seteuid(65534)
    try:
        assert "table.csv" in tree(get(settings=settings))
        with ExternalCache.of(settings).in_use("custom") as folder:
            assert (folder / "table.csv").read_bytes()
        with pytest.raises(Unavailable, match=r"could not finish fetching another .*Permission denied") as caught:
            get(settings=settings, name="another")
    finally:
        os.seteuid(0)
    assert "\n" not in str(caught.value)
    assert not server.asked


def wait_until(holds: Callable[[], Any]) -> None:
    """Wait for another process, not for ever."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "the other process has not come so far"
        time.sleep(0.01)
