"""A platform of its own for each test, on SQLite and on Postgres, and a daemon that ends with the test.

Postgres needs the server's programs, and dagster-postgres in a folder of its own, which ``make test-daemon`` makes and
names in ``SMALTI_TEST_POSTGRES``: the project itself does not depend on it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.daemon import Daemon
from tests.daemon.platform import Platform
from tests.daemon.postgres import Postgres, programs, running

_CLIENT = os.environ.get("SMALTI_TEST_POSTGRES")
if _CLIENT and _CLIENT not in sys.path:
    sys.path.append(_CLIENT)  # this process reads the same records


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A Postgres server on loopback."""
    if _CLIENT is None:
        pytest.skip("dagster-postgres is not here; `make test-daemon` installs it in a folder of its own")
    place = programs()
    if place is None:
        pytest.skip("there is no Postgres server; install postgresql (Debian), its programs are looked for in PATH")
    with running(place) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def platform(request: pytest.FixtureRequest, disk_path: Path) -> Platform:
    """A fresh root whose Dagster keeps its records in SQLite, then in Postgres."""
    url = request.getfixturevalue("postgres").new_database() if request.param == "postgres" else None
    return Platform(disk_path / "root", url)


@pytest.fixture
def daemon(platform: Platform) -> Iterator[Daemon]:
    """Its daemon, not yet started."""
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), _CLIENT]))
    made = Daemon(platform.home, {"SMALTI_ROOT": str(platform.root)}, python_path=path)
    try:
        yield made
    finally:
        made.stop()
