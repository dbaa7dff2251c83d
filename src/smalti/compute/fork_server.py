"""A fork server: one trusted process that has imported what readers need and forks a confined child for each task.

It has none of the environment of the process that starts it but what an interpreter needs, opens no foreign file,
and ends with that process. The side of the server and of its children is ``fork_server_main.py``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

from smalti.compute.limits import ChildLimits
from smalti.errors import Refused, Unavailable

MOST_ANSWER_NBYTES = 8 << 20
_SLACK_S = 30.0  # the server itself ends a child in time
_TRIES = 2
_FUNCTION = re.compile(r"smalti(\.[A-Za-z_]\w*)+:[A-Za-z]\w*")
_KEPT = re.compile(
    r"PATH|LANG|LC_\w+|TZ|PYTHON(HOME|UTF8|DONTWRITEBYTECODE)|(LD|DYLD|DYLD_FALLBACK)_LIBRARY_PATH|OPENBLAS_\w+"
    r"|HDF5_USE_FILE_LOCKING"
)
# One thread, so that forking is safe, and no reserved arenas: a limit on memory then measures what is in use.
_FRUGAL = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
End = Literal["answer", "memory", "time", "crash", "unconfined"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a child ended.

    Attributes:
        end: with an answer; of memory or time it may not take; in another way; or ``unconfined``, before it began:
            then its function did not run.
        status: its exit status; of a signal, the number below zero.
        answer: its bytes, as the child wrote them: nothing in them is to be trusted.
        alone: whether it cannot have started a process that goes on writing in its folder.
        cause: why it could not be confined.
    """

    end: End
    status: int
    answer: bytes = b""
    alone: bool = False
    cause: str = ""


class ForkServer:
    """Runs functions in confined children, one child for each call; starts with the first call, and again if it dies.

    For one thread. A context manager: leaving it ends the server.
    """

    def __init__(self, folder: Path, preload: str | None = None) -> None:
        """Name what it works with; nothing is started yet.

        Args:
            folder: an empty folder, or one to make, where the server works.
            preload: a module to import when it starts.
        """
        self._folder, self._preload = folder, preload
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(
        self,
        function: str,
        request: Mapping[str, Any],
        *,
        limits: ChildLimits,
        readable: Sequence[Path] = (),
        writable: Path,
        prepare: str | None = None,
    ) -> Outcome:
        """Return what came of ``function(request)`` in a child of its own.

        Args:
            function: ``"smalti.package.module:name"`` of a function of one mapping that returns one, both JSON.
            limits: what the child may take.
            readable: the files it may read beside the interpreter and its packages.
            writable: the one folder it may write in, and works in.
            prepare: a function that the server itself calls with the request before it forks, to import what the
                child will need; it must not open what is foreign.

        Raises:
            Refused: a name is not that of a function of this library.
            Unavailable: the server does not start, or died twice.
        """
        for name in (function, prepare):
            if name is not None and not _FUNCTION.fullmatch(name):
                raise Refused(f"{name!r} is not a function of this library; write 'smalti.package.module:name'.")
        task = {
            "function": function,
            "prepare": prepare,
            "request": request,
            "limits": asdict(limits),
            "readable": [str(path) for path in readable],
            "writable": str(writable),
        }
        line = json.dumps(task).encode() + b"\n"
        for _ in range(_TRIES):
            process = self._process or self.start()
            try:
                with _alarm(process, limits.wall_s + _SLACK_S):
                    outcome = _converse(process, line)
            except BaseException:  # Ctrl-C: what comes next on its pipe would answer another question
                self.close()
                raise
            if outcome is not None:
                return outcome
            self.close()
        raise Unavailable(f"the fork server ended without an answer; {self._last_words()}")

    def close(self) -> None:
        """End the server and the child it runs."""
        if self._process is None:
            return
        process, self._process = self._process, None
        stdin, stdout = _pipes(process)
        with suppress(BrokenPipeError):
            stdin.close()  # it ends its child and itself
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        process.kill()
        process.wait()
        stdout.close()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the server now, so that it is ready sooner; the first call does it otherwise."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._stderr.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "smalti.compute.fork_server_main", *filter(None, [self._preload])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=self._folder,
                env=plain_environment(os.environ),
            )
        return self._process

    @property
    def _stderr(self) -> Path:
        return self._folder / "stderr"

    def _last_words(self) -> str:
        words = ""
        with suppress(OSError):
            words = " ".join(self._stderr.read_text(errors="replace").splitlines()[-4:]).strip()
        return f"its last lines on stderr were: {words or 'nothing'}"


def plain_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what an interpreter needs of an environment, and nothing that could be a secret."""
    kept = {name: value for name, value in environment.items() if _KEPT.fullmatch(name)}
    if places := environment.get("PYTHONPATH"):
        kept["PYTHONPATH"] = os.pathsep.join(str(Path(place).absolute()) for place in places.split(os.pathsep))
    return kept | _FRUGAL


def _converse(process: subprocess.Popen[bytes], line: bytes) -> Outcome | None:
    """Give the server a task and return its answer; None when it is gone."""
    stdin, stdout = _pipes(process)
    try:
        stdin.write(line)
        stdin.flush()
    except BrokenPipeError:
        return None
    head = stdout.readline()
    if not head.endswith(b"\n"):
        return None
    said = json.loads(head)
    answer = stdout.read(said["nbytes"])
    if len(answer) != said["nbytes"]:
        return None
    return Outcome(said["end"], said["status"], answer, said["alone"], said["cause"])


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    return cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)


@contextmanager
def _alarm(process: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
    alarm = threading.Timer(seconds, process.kill)
    alarm.daemon = True
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()
