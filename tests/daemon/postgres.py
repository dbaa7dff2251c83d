"""A Postgres server of its own on loopback, for the length of a test session."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 60
_QUICK = "-c fsync=off"  # what is killed in these tests is Dagster, not the server


@dataclass(frozen=True)
class Postgres:
    """A server that answers.

    Attributes:
        bin: the folder of its programs.
        folder: of its data and its socket.
        user: whom it runs as, where that is somebody else: it refuses to run as root.
    """

    bin: Path
    folder: Path
    port: int
    user: str | None

    def new_database(self) -> str:
        """Create an empty database; return its URL."""
        name = f"dagster_{uuid.uuid4().hex[:12]}"
        command = [self.bin / "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name]
        subprocess.run(command, check=True, timeout=_SECONDS, capture_output=True)
        # With the driver: SQLAlchemy 2.1 takes psycopg 3 otherwise, and dagster-postgres has psycopg2.
        return f"postgresql+psycopg2://postgres@127.0.0.1:{self.port}/{name}"


def programs() -> Path | None:
    """Return the folder of the server's programs, where this machine has them."""
    found = shutil.which("pg_ctl")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


@contextmanager
def running(programs: Path) -> Iterator[Postgres]:
    """Start a server with an empty folder and stop it in the end."""
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="smalti-pg-", ignore_cleanup_errors=True) as folder:
        if user:
            owner = pwd.getpwnam(user)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        server = Postgres(programs, Path(folder), _free_port(), user)
        data, options = f"{folder}/data", f"-p {server.port} -c listen_addresses=127.0.0.1 -k {folder} {_QUICK}"
        _as(server, "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-N")
        _as(server, "pg_ctl", "-D", data, "-o", options, "-l", f"{folder}/log", "-w", "start")
        try:
            yield server
        finally:
            _as(server, "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def _as(server: Postgres, program: str, *arguments: str) -> None:
    command = [str(server.bin / program), *arguments]
    environment: Mapping[str, str] = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    with (server.folder / "commands.log").open("ab") as log:
        subprocess.run(
            command, user=server.user, cwd="/", env=environment, stdout=log, stderr=log, timeout=_SECONDS, check=True
        )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
