"""An act in a forked process, to be killed, traced or starved; what it acknowledged is a line each.

A fork starts in milliseconds with everything imported, so that tests can afford hundreds of them.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

Say = Callable[[str], None]
Act = Callable[[Say], None]

_PR_SET_PTRACER = 0x59616D61
_ANYBODY = ctypes.c_ulong(-1)


@dataclass(frozen=True)
class Outcome:
    """How a process ended.

    Attributes:
        said: the lines the act acknowledged, in order.
        ended: exit status; negative, the signal that killed it.
        trace: what strace wrote.
    """

    said: list[str]
    ended: int
    trace: str = ""

    @property
    def injected(self) -> int:
        return self.trace.count("(INJECTED)") + (self.ended == -signal.SIGKILL)


class ForkedProcess:
    """A fork of this process that acts once it is released."""

    def __init__(self, act: Act) -> None:
        self._ours, theirs = socket.socketpair()
        gate, self._gate = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _be_the_child(act, theirs, gate)
        theirs.close()
        os.close(gate)

    def release(self) -> None:
        os.write(self._gate, b"go")

    def wait_until_it_speaks(self, seconds: float = 60) -> None:
        assert self._speaks(seconds), f"nothing was acknowledged within {seconds} s"

    def _speaks(self, seconds: float) -> bool:
        waiting = select.poll()  # select knows no descriptors beyond 1023, and a process with many tests may have more
        waiting.register(self._ours, select.POLLIN)
        return bool(waiting.poll(1000 * seconds))

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def finish(self, seconds: float = 60) -> Outcome:
        """Wait for its end; whoever hangs is killed and fails the test."""
        said = b""
        deadline = time.monotonic() + seconds
        while self._speaks(max(0, deadline - time.monotonic())):
            some = self._ours.recv(65536)
            if not some:
                break
            said += some
        else:
            self.kill()
            os.waitpid(self.pid, 0)
            raise AssertionError(f"the process did not end within {seconds} s; it said {said!r}")
        self._ours.close()
        os.close(self._gate)
        _, status = os.waitpid(self.pid, 0)
        return Outcome(said.decode().splitlines(), os.waitstatus_to_exitcode(status))


def _be_the_child(act: Act, ours: socket.socket, gate: int) -> None:
    def say(text: str) -> None:
        ours.sendall(text.encode() + b"\n")  # sendto, which no test lets fail

    try:
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)
        os.read(gate, 2)
        act(say)
        os._exit(0)
    except BaseException as error:
        say(f"{type(error).__name__}: {error}")
        os._exit(1)
