"""A Directory beside datamate and plain h5py: extending an array row by row, and reading one."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

import h5py
import numpy as np

from benchmarks.line import Line
from benchmarks.runs.peer import ask

EXTEND_MS, READ_RATIO = 2.0, 1.5
_EXTENSIONS, _READS = 500, 300
_SHAPES = ((100, 100), (1000, 1000))  # 80 kB and 8 MB


def measure(peers: Path | None, rounds: int) -> list[Line]:
    """Return what extending and reading cost."""
    ours_ms, theirs_ms = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as place:
            ours_ms.append(extend_ms(Path(place), _EXTENSIONS))
        if peers:
            with tempfile.TemporaryDirectory() as place:
                theirs_ms.append(ask(peers, "datamate_extend", Path(place), _EXTENSIONS)["ms"])
    ours = median(ours_ms)
    lines = [
        Line(
            "extend an array by one row of 100 numbers (mean)", f"{EXTEND_MS:g} ms", f"{ours:.2f} ms", ours <= EXTEND_MS
        ),
        Line("the same with datamate", "", f"{median(theirs_ms):.2f} ms" if peers else "not measured: no --peers"),
    ]
    for shape in _SHAPES:
        ratio, ms, theirs = read(peers, shape, rounds)
        what = f"read an array of {8 * np.prod(shape) / 1e6:g} MB by attribute / plain h5py"
        lines.append(
            Line(what, f"{READ_RATIO:g}", f"{ratio:.2f} ({ms:.2f} ms; datamate {theirs})", ratio <= READ_RATIO)
        )
    return lines


def extend_ms(folder: Path, calls: int) -> float:
    """Return the milliseconds of one extension by a row, of the mean call, everything written in the end."""
    from smalti import Directory, set_root_dir

    set_root_dir(folder)
    directory, row = Directory("extended"), np.zeros((1, 100))
    directory.extend("rows", row)
    start = time.perf_counter()
    for _ in range(calls):
        directory.extend("rows", row)
    ms = 1e3 * (time.perf_counter() - start) / calls
    assert len(directory.rows) == calls + 1
    return ms


def read(peers: Path | None, shape: tuple[int, int], rounds: int) -> tuple[float, float, str]:
    """Return the ratio to h5py, our milliseconds, and those of datamate in words; in turns, of the median read."""
    from smalti import Directory, set_root_dir

    with tempfile.TemporaryDirectory() as place:
        set_root_dir(place)
        Directory("read").array = np.random.default_rng(0).random(shape)
        file, directory = Path(place) / "read" / "array.h5", Directory("read")
        ours, plain = [], []
        for _ in range(_READS * rounds // 5):
            start = time.perf_counter()
            directory.array[:]
            middle = time.perf_counter()
            with h5py.File(file) as opened:
                opened["data"][:]
            ours.append(middle - start)
            plain.append(time.perf_counter() - middle)
        theirs = f"{ask(peers, 'datamate_read', Path(place), _READS)['ms']:.2f} ms" if peers else "not measured"
        return median(ours) / median(plain), 1e3 * median(ours), theirs
