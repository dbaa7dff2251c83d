"""The web server over a root, and what it answers to GraphQL."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.daemon.daemon import PROJECT, Daemon

_START_s, _STOP_s, _ANSWER_s = 120.0, 30.0, 120.0
_LOADED = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"


@dataclass(frozen=True)
class Served:
    """A web server that answers and has loaded the definitions."""

    port: int

    def ask(self, query: str, **variables: Any) -> Any:
        """Return the data that the server answers to a query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/graphql", body, headers)
        with urllib.request.urlopen(request, timeout=_ANSWER_s) as response:
            answer = json.load(response)
        assert not answer.get("errors"), answer["errors"]
        return answer["data"]


@contextmanager
def serving(daemon: Daemon) -> Iterator[Served]:
    """Start the web server on the root of a daemon, and stop it in the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    where = ("-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port))
    with (daemon.home / "webserver.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster_webserver", *where],
            cwd=PROJECT,
            env=daemon.environment,
            stdout=log,
            stderr=log,
        )
    try:
        served = Served(port)
        end = time.monotonic() + _START_s
        while not _loaded(served):
            assert time.monotonic() < end, (daemon.home / "webserver.log").read_text()[-2000:]
            time.sleep(0.3)
        yield served
    finally:
        process.terminate()
        process.wait(_STOP_s)


def _loaded(served: Served) -> bool:
    try:
        return bool(served.ask(_LOADED)["repositoriesOrError"].get("nodes"))
    except (OSError, urllib.error.URLError):
        return False
