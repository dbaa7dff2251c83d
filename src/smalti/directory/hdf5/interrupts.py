"""Signals wait while HDF5 works: an exception in what it calls leaves a file half closed, and the process crashes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)  # whose handlers may raise


class Uninterrupted:
    """A ``with`` block in which no signal handler of Python's runs; those that were due run at its end.

    Handlers run in the main thread only, so in other threads there is nothing to do.
    """

    def __enter__(self) -> None:
        self._handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._replaced: list[int] = []
        self._due: list[tuple[int, FrameType | None]] = []
        if threading.current_thread() is not threading.main_thread():
            return
        try:
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    self._replaced.append(number)
                    signal.signal(number, self._keep)
        except BaseException:  # of a handler that is not replaced yet
            self._restore()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._restore()
        for number, frame in self._due:
            self._handlers[number](number, frame)

    def _keep(self, number: int, frame: FrameType | None) -> None:
        self._due.append((number, frame))

    def _restore(self) -> None:
        try:
            while self._replaced:
                signal.signal(self._replaced[-1], self._handlers[self._replaced[-1]])
                self._replaced.pop()
        finally:
            if self._replaced:  # a handler that was restored raised
                self._restore()
