"""Ctrl-C while an array is read or extended ends that, and neither the process nor a row is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from smalti.directory.hdf5.arrays import ArrayFile
from smalti.directory.hdf5.interrupts import Uninterrupted

_EXTENDING = """
import os, signal, sys, threading, time
from pathlib import Path
from smalti.directory.hdf5.arrays import ArrayFile, extend_array, write_array
path, ended = Path(sys.argv[1]), threading.Event()
extend_array(path, [0])

def interrupt():
    for _ in range(80):
        time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
    ended.set()

interrupts = threading.Thread(target=interrupt)
interrupts.start()
row = 0
while not ended.is_set():
    row += 1
    try:
        extend_array(path, [row])
        os.write(1, f"{row}\\n".encode())
        if row % 2:
            write_array(path.with_name("y.h5"), [row] * 1000)
        ArrayFile(path)[-1]
    except KeyboardInterrupt:
        pass
interrupts.join()
"""


def test_a_process_survives_interrupts_and_loses_no_row(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    done = subprocess.run([sys.executable, "-c", _EXTENDING, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    rows = ArrayFile(path)[:].tolist()
    assert rows == sorted(set(rows))
    assert set(map(int, done.stdout.split())) <= set(rows)


def test_an_interrupt_is_raised_when_the_work_is_done() -> None:
    before, done = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with Uninterrupted():
            with Uninterrupted():
                signal.raise_signal(signal.SIGINT)
                done.append("within")
            done.append("outside")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["within", "outside"]
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_of_the_work_is_told_where_there_was_no_interrupt() -> None:
    with pytest.raises(ValueError, match="work"), Uninterrupted():
        raise ValueError("work")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_in_other_threads_handlers_are_left_alone() -> None:
    seen = []

    def work() -> None:
        with Uninterrupted():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
