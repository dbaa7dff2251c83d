"""The server's side of :class:`smalti.compute.fork_server.ForkServer`, and that of the children it forks.

The server reads tasks from stdin, one line of JSON each, and answers each with a line of JSON and the child's bytes.
A child writes on a pipe of its own: first ``B``, once it is confined, or ``U`` and why it could not be; then claims
(``C``, memory and CPU time as 64-bit numbers); and at the end one answer (``A``, its length as a 64-bit number, JSON).
It has no other way to anybody. What it writes after its answer, or beyond the length an answer may have, is never read.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import resource
import select
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from smalti import errors
from smalti.compute import confinement, system_calls
from smalti.compute.fork_server import MOST_ANSWER_NBYTES, End, Outcome
from smalti.compute.limits import ChildLimits, claim_through
from smalti.errors import SmaltiError

Function = Callable[[dict[str, Any]], dict[str, Any]]

_CLAIM, _ANSWER = struct.Struct("<cQQ"), struct.Struct("<cQ")
_GRANTED = b"."
_BEGUN, _UNCONFINED = b"B", b"U"
_OUT_OF_MEMORY = 77  # exit status of a child
_MOST_CAUSE_NBYTES = 500
_DESCRIPTORS = 1 << 12
_CHUNK_NBYTES = 1 << 16
_FIRST_VICTIM = "1000"  # of the kernel, when the machine runs out of memory


def main() -> None:
    """Serve until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the process that started this one
    # From here on file 1 is stderr, so that a stray print, or one from C, cannot break the protocol.
    channel = os.dup(1)
    os.dup2(2, 1)
    for module in sys.argv[1:]:
        importlib.import_module(module)
    for line in sys.stdin.buffer:
        task = json.loads(line)
        if task["prepare"]:
            _function(task["prepare"])(task["request"])
        outcome = _run(task, _function(task["function"]))
        nbytes, alone = len(outcome.answer), not system_calls.missing()
        head = {"end": outcome.end, "status": outcome.status, "cause": outcome.cause, "nbytes": nbytes, "alone": alone}
        _write(channel, json.dumps(head).encode() + b"\n" + outcome.answer)


def _run(task: dict[str, Any], function: Function) -> Outcome:
    """Fork a child for the task, wait for it, and make sure that it is gone."""
    limits = ChildLimits(**task["limits"])
    answers, answering = os.pipe()
    granted, granting = os.pipe()
    os.set_blocking(granting, False)  # nobody waits for a child that claims and does not listen
    confinement.prepare()
    gc.freeze()  # what is there is not looked at again, so it stays shared with the child
    server = os.getpid()
    pid = os.fork()
    if not pid:
        _child(task, function, limits, server, answering, granted)
    os.close(answering)
    os.close(granted)
    try:
        heard = _listen(pid, answers, granting, limits)
    finally:
        os.kill(pid, signal.SIGKILL)
        _, wait_status, usage = os.wait4(pid, 0)
        os.close(answers)
        os.close(granting)
    status = os.waitstatus_to_exitcode(wait_status)
    if not heard.begun:
        return Outcome("unconfined", status, cause=heard.cause or f"it ended with status {status}")
    if heard.answer is not None:
        return Outcome("answer", status, heard.answer)
    spent = not heard.in_time or usage.ru_utime + usage.ru_stime >= limits.cpu_s
    return Outcome(_end(status, spent), status)


def _end(status: int, spent: bool) -> End:
    if status == _OUT_OF_MEMORY:
        return "memory"
    return "time" if status == -signal.SIGXCPU or (status == -signal.SIGKILL and spent) else "crash"


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a child has said.

    Attributes:
        begun: whether it was confined and ran its function; else ``cause`` may say why not.
        answer: its answer; None where it ended without one or talked nonsense.
        in_time: whether it ended, one way or the other, before its time was up.
    """

    begun: bool
    answer: bytes | None = None
    in_time: bool = True
    cause: str = ""


def _listen(pid: int, answers: int, granting: int, limits: ChildLimits) -> _Heard:
    """Return what a child says, and give it what it claims meanwhile."""
    deadline = time.monotonic() + limits.wall_s
    heard, begun = b"", False
    waiting = select.poll()
    waiting.register(answers, select.POLLIN)
    waiting.register(0, 0)  # only its end: the process that started this one is gone
    while (left := deadline - time.monotonic()) > 0:
        events = dict(waiting.poll(left * 1000))
        if 0 in events:
            os.kill(pid, signal.SIGKILL)
            os._exit(1)
        if answers not in events:
            continue
        chunk = os.read(answers, _CHUNK_NBYTES)
        if not chunk:
            return _Heard(begun, cause="" if begun else heard.removeprefix(_UNCONFINED).decode(errors="replace"))
        heard += chunk
        if not begun:
            begun = heard.startswith(_BEGUN)
            heard = heard.removeprefix(_BEGUN)
        if not begun:
            continue
        if heard.startswith(b"C") and len(heard) >= _CLAIM.size:
            if len(heard) > _CLAIM.size:  # a child waits for what it has claimed
                return _Heard(begun)
            _, nbytes, cpu_s = _CLAIM.unpack(heard)
            heard = b""
            with suppress(OSError):  # it has ended meanwhile, or does not listen
                limits.grant(pid, nbytes, cpu_s)
                os.write(granting, _GRANTED)
        elif heard.startswith(b"A") and len(heard) >= _ANSWER.size:
            _, nbytes = _ANSWER.unpack_from(heard)
            if nbytes > MOST_ANSWER_NBYTES:
                return _Heard(begun)
            if len(heard) >= _ANSWER.size + nbytes:
                return _Heard(begun, heard[_ANSWER.size :][:nbytes])
        elif heard[:1] not in b"CA":
            return _Heard(begun)
    return _Heard(begun, in_time=False)


def _child(
    task: dict[str, Any], function: Function, limits: ChildLimits, server: int, answering: int, granted: int
) -> NoReturn:
    """Confine this process, call the function, and answer; nothing of the server is open here any more."""
    status = 1
    try:
        answering, granted = _alone(answering, granted)
        try:
            _confine(task, limits)
        except Exception as error:  # the machine's, or a mistake of ours: nothing foreign has been opened
            _write(answering, _UNCONFINED + f"{type(error).__name__}: {error}".encode()[:_MOST_CAUSE_NBYTES])
            os._exit(status)
        if os.getppid() != server:  # it died before this process was told to die with it
            os._exit(status)
        claim_through(_claiming(limits, answering, granted))
        _write(answering, _BEGUN)
        answer = json.dumps(_answer(function, task["request"]), allow_nan=False).encode()
        _write(answering, _ANSWER.pack(b"A", len(answer)) + answer)
        status = 0
    except MemoryError:
        status = _OUT_OF_MEMORY
    finally:
        os._exit(status)


def _confine(task: dict[str, Any], limits: ChildLimits) -> None:
    _become_first_victim()
    os.chdir(task["writable"])
    tempfile.tempdir = os.environ["TMPDIR"] = task["writable"]
    limits.enforce()
    confinement.confine(readable=task["readable"], writable=task["writable"])


def _alone(*kept: int) -> list[int]:
    """Close every file but those, which become 3 and up; 0 to 2 lead nowhere."""
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 3 + len(kept)) for descriptor in kept]
    null = os.open(os.devnull, os.O_RDWR)
    for place, descriptor in enumerate((null, null, null, *high)):
        os.dup2(descriptor, place)
    os.closerange(3 + len(kept), _DESCRIPTORS)
    return list(range(3, 3 + len(kept)))


def _become_first_victim() -> None:
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write(_FIRST_VICTIM)


def _claiming(limits: ChildLimits, answering: int, granted: int) -> Callable[[int, int], None]:
    """Return what asks the server for more memory and time, and waits until it is there."""
    if not hasattr(resource, "prlimit"):  # not on Linux: a process can only raise its own
        return limits.raise_own

    def claim(memory_nbytes: int, cpu_s: int) -> None:
        _write(answering, _CLAIM.pack(b"C", memory_nbytes, cpu_s))
        os.read(granted, 1)

    return claim


def _answer(function: Function, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"result": function(request)}
    except SmaltiError as error:
        ours = next(c for c in type(error).__mro__ if getattr(errors, c.__name__, None) is c)
        return {"error": ours.__name__, "message": str(error)}
    except MemoryError:
        raise
    except Exception as error:  # a mistake of ours that the file has found
        return {"failure": f"{type(error).__name__}: {error}"}


def _function(name: str) -> Function:
    module, _, function = name.partition(":")
    found: Function = getattr(importlib.import_module(module), function)
    return found


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    main()
