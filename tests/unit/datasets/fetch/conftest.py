"""Downloads from a real server on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smalti.datasets.fetch import Downloaded, Patience, download
from tests.unit.datasets.loopback import Server, two_servers


@pytest.fixture
def patience() -> Patience:
    """Give what tries again at once, and still bears a slow machine."""
    return Patience(idle_s=5, total_s=20, attempts=3, backoff_s=0)


@pytest.fixture(scope="session")
def running() -> Iterator[tuple[Server, Server]]:
    with two_servers() as both:
        yield both


@pytest.fixture
def server(running: tuple[Server, Server]) -> Server:
    running[0].behave()
    return running[0]


@pytest.fixture
def other_server(running: tuple[Server, Server]) -> Server:
    running[1].behave()
    return running[1]


@pytest.fixture
def fetch(server: Server, tmp_path: Path, patience: Patience) -> Callable[..., Downloaded]:
    def fetch(path: str = "/a.npz", **settings: Any) -> Downloaded:
        wanted = {"allow": [server.origin], "patience": patience, **settings}
        return download(f"{server.origin}{path}", tmp_path / "a.npz", **wanted)

    return fetch


@pytest.fixture
def left(tmp_path: Path) -> Callable[[], list[str]]:
    """Tell what lies in the folder of the target."""
    return lambda: sorted(path.name for path in tmp_path.iterdir())
