"""A root whose datasets come from a server on this machine."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smalti.datasets.external import ExternalCache, download_dataset
from smalti.datasets.fetch import Patience
from smalti.settings import Settings
from tests.unit.datasets.loopback import Server, two_servers

FILES = {"table.csv": b"a,b\n1,2\n" * 500, "more/notes.txt": b"as measured"}


def zipped(files: dict[str, bytes]) -> bytes:
    """Return a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def running() -> Iterator[tuple[Server, Server]]:
    with two_servers() as both:
        yield both


@pytest.fixture
def server(running: tuple[Server, Server]) -> Server:
    """A server that gives a zip of two files, whatever is asked for."""
    running[0].behave()
    running[0].content = zipped(FILES)
    return running[0]


@pytest.fixture
def other_server(running: tuple[Server, Server]) -> Server:
    running[1].behave()
    return running[1]


@pytest.fixture
def settings(server: Server, tmp_path: Path) -> Settings:
    return Settings(
        root=tmp_path, allowed_origins=server.origin, kaggle_config_dir=tmp_path / "kaggle", cache_quota="10MB"
    )


@pytest.fixture
def cache(settings: Settings) -> ExternalCache:
    return ExternalCache.of(settings)


@pytest.fixture
def get(server: Server, settings: Settings) -> Callable[..., Path]:
    """Download a dataset; by default the zip, as ``custom``."""

    def get(path: str = "/data.zip", name: str = "custom", **more: Any) -> Path:
        wanted = {"settings": settings, "patience": Patience(idle_s=5, total_s=20, attempts=2, backoff_s=0), **more}
        return download_dataset(f"{server.origin}{path}", name, **wanted)

    return get


@pytest.fixture
def tree() -> Callable[[Path], dict[str, bytes]]:
    """Tell the files below a folder, with their content; what is hidden is left out."""

    def tree(folder: Path) -> dict[str, bytes]:
        found = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
        shown = {name: path for name, path in found.items() if not any(part[0] == "." for part in name.parts)}
        return {name.as_posix(): path.read_bytes() for name, path in shown.items()}

    return tree
