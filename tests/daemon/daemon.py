"""A real Dagster daemon on a root of its own, started and killed as machines and people do."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

PROJECT = Path(__file__).parents[2]
DEFINITIONS = PROJECT / "tests" / "daemon" / "quick_definitions.py"
_END_s = 60.0


class Daemon:
    """The daemon, its code server and the workers of its runs: every process that has this ``DAGSTER_HOME``."""

    def __init__(
        self, home: Path, environment: Mapping[str, str], definitions: Path = DEFINITIONS, python_path: str = ""
    ) -> None:
        self.home, self.definitions = home, definitions
        path = os.pathsep.join(filter(None, [str(PROJECT), str(PROJECT / "src"), python_path]))
        ours = {"DAGSTER_HOME": str(home), "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
        self.environment = {**os.environ, **environment, **ours}
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with its log appended to ``daemon.log``."""
        assert not self.lives
        workspace = self.home / "workspace.yaml"
        workspace.write_text(
            f"load_from:\n  - python_file:\n      relative_path: {self.definitions}\n"
            f"      working_directory: {PROJECT}\n      location_name: smalti\n"
        )
        with (self.home / "daemon.log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace), "--log-format", "rich"],
                cwd=PROJECT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def lives(self) -> bool:
        """Whether the daemon itself runs."""
        return self._daemon is not None and self._daemon.poll() is None

    @property
    def log(self) -> str:
        """What it has written so far."""
        path = self.home / "daemon.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self) -> None:
        """End it as a service manager does: asked first, and killed with all that is left of it if it does not go."""
        if self._daemon and self.lives:
            self._daemon.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._daemon.wait(_END_s)
        self.kill_everything()

    def kill_everything(self) -> str:
        """Kill every process at once, as when the power fails."""
        while found := self.processes():
            for name in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none starts another
                for process in found:
                    with suppress(ProcessLookupError):
                        os.kill(process, name)
            if self._daemon:
                self._daemon.wait()
            time.sleep(0.02)
        return "everything"

    def kill_daemon(self) -> str:
        """Kill the daemon alone: its code server and its runs go on without it, as long as they like."""
        assert self._daemon
        with suppress(ProcessLookupError):
            os.kill(self._daemon.pid, signal.SIGKILL)
        self._daemon.wait()
        return "the daemon alone"

    def kill_one(self, rng: random.Random) -> str:
        """Kill a process that is not the daemon, as when memory runs out: a run's worker if there is one."""
        assert self._daemon
        others = [process for process in self.processes() if process != self._daemon.pid]
        workers = [process for process in others if _is_worker(process)]
        if not workers:
            return "nothing, for there was no run"
        process = rng.choice(workers)
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        return f"the worker {process}"

    def processes(self) -> list[int]:
        """Return the ids of all its processes that live."""
        wanted = f"DAGSTER_HOME={self.home}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal() and int(folder.name) != os.getpid():
                with suppress(OSError):
                    dead = (folder / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
                    if not dead and wanted in (folder / "environ").read_bytes().split(b"\0"):
                        found.append(int(folder.name))
        return found


def _is_worker(process: int) -> bool:
    """Tell whether a process executes a run: a child that a code server spawned, or one that was started for it."""
    with suppress(OSError):
        words = Path(f"/proc/{process}/cmdline").read_bytes()
        return b"multiprocessing.spawn" in words or b"execute_run" in words
    return False


def eventually(holds: Callable[[], bool], seconds: float, every: float = 1.0) -> bool:
    """Wait until something holds; tell whether it did within so many seconds."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True
