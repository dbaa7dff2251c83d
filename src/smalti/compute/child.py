"""Run a library function in the main thread of a fresh process: the only place mlx is ever imported.

The parent writes one line of JSON on the child's stdin and keeps it open; the end of stdin tells the child
that the parent is gone. The child answers in lines of JSON: ``{"progress": ...}`` as often as it likes, then
one ``{"result": ...}`` or ``{"error": ...}``. The child's side is ``__main__.py``. It has all that the parent may do,
but for the credentials of private datasets: what is foreign is read in a confined one, see
:mod:`smalti.compute.fork_server`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any, cast

from smalti import errors
from smalti.errors import Refused, Unavailable

STDERR_LINES_KEPT = 4

# What reaches private datasets; no function that runs in a child fetches any.
SECRETS = ("DATASET_API_KEY", "DATASET_USERNAME", "HUGGINGFACE_TOKEN", "HF_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY")


class ChildKilled(Unavailable):
    """A signal ended the child: memory ran out, or a person did it. The same call may succeed later."""


_FUNCTION = re.compile(r"smalti(\.[A-Za-z_]\w*)+:[A-Za-z]\w*")


def run_child(
    function: str, request: Mapping[str, Any], on_progress: Callable[[dict[str, Any]], None] | None = None
) -> dict[str, Any]:
    """Return what ``function(request, report)`` returns in a fresh child process.

    The child dies with the call: on an exception here, Ctrl-C included, and when this process ends.

    Args:
        function: ``"smalti.package.module:name"`` of a function ``(request, report) -> dict``.
        request: JSON values.
        on_progress: is called here with every dictionary the function reports.

    Raises:
        Refused: the name is not a function of this library.
        SmaltiError: whichever the function raised, with its message.
        ChildKilled: a signal ended the child; says which, with its last lines on stderr.
        Unavailable: the child ended in any other way; says its status, with its last lines on stderr.
    """
    if not _FUNCTION.fullmatch(function):
        raise Refused(f"{function!r} is not a function of this library; write 'smalti.package.module:name'.")
    process = subprocess.Popen(
        [sys.executable, "-m", "smalti.compute", function],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={name: value for name, value in os.environ.items() if name not in SECRETS},
    )
    stdin, stdout, stderr = (cast(IO[str], s) for s in (process.stdin, process.stdout, process.stderr))
    last_lines: deque[str] = deque(maxlen=STDERR_LINES_KEPT)
    drain = threading.Thread(target=_drain, args=(stderr, last_lines), daemon=True)
    drain.start()
    try:
        answer = _converse(stdin, stdout, request, on_progress)
        if answer is None:  # it died; otherwise its answer stands, whatever its exit does
            process.wait()
    finally:
        process.kill()
        process.wait()
        drain.join(timeout=1)  # a grandchild may still hold the other end
        stdout.close()
        with suppress(BrokenPipeError):  # what is left of the request, when the child died before reading it
            stdin.close()
    if answer is None:
        ended = ChildKilled if process.returncode < 0 else Unavailable
        raise ended(_obituary(function, process.returncode, last_lines))
    if "error" in answer:
        raise getattr(errors, answer["error"])(answer["message"])
    result: dict[str, Any] = answer["result"]
    return result


def _converse(
    stdin: IO[str],
    stdout: IO[str],
    request: Mapping[str, Any],
    on_progress: Callable[[dict[str, Any]], None] | None,
) -> dict[str, Any] | None:
    """Ask, pass progress on, and return the child's last word; None when it died without one."""
    try:
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
    except BrokenPipeError:
        return None
    for line in stdout:
        if not line.endswith("\n"):  # killed while it was writing
            return None
        answer: dict[str, Any] = json.loads(line)
        if "progress" not in answer:
            return answer
        if on_progress is not None:
            on_progress(answer["progress"])
    return None


def _drain(stderr: IO[str], last_lines: deque[str]) -> None:
    with stderr:
        for line in stderr:
            last_lines.append(line)
            sys.stderr.write(line)


def _obituary(function: str, status: int, last_lines: deque[str]) -> str:
    how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    last = "".join(last_lines).strip() or "nothing"
    return f"the child process that ran {function} {how}; its last lines on stderr were: {last}"
