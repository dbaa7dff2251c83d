"""Mutation fuzzing of the readers: ``python -m tests.fuzz [MUTANTS] [SEED]``; ``make fuzz`` makes 10,000.

Sound files of four forms are damaged at random and validated in the real sandbox. The process that asks must outlive
every one of them, and get a result for each.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import h5py
import numpy as np
import pyarrow
from pyarrow import csv, parquet

from smalti.ingest.sandbox import Sandbox
from tests.sandboxed.validating import Answer, answer
from tests.unit.formats.hostile.making import npz, sound

BATCH = 250
ENDS = {
    "file.too_much_memory": "ended its reader by memory",
    "file.too_slow": "ended its reader by time",
    "file.crashed_the_reader": "ended its reader by a crash",
}
Mutation = Callable[[bytearray, np.random.Generator], None]


def hdf5() -> bytes:
    """The sound scan as HDF5, with a compressed stack, a link and attributes."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for key, array in sound().items():
            file.create_dataset(key, data=array, compression="gzip" if key == "diffraction" else None)
        file["patterns"] = h5py.SoftLink("/diffraction")
        file.attrs["title"] = "a scan"
    return buffer.getvalue()


def table(write: Callable[[pyarrow.Table, io.BytesIO], object]) -> bytes:
    """A small table of numbers and text, with nulls."""
    words = [None if i % 7 == 0 else f"word {i % 5}" for i in range(60)]
    buffer = io.BytesIO()
    write(pyarrow.table({"number": range(60), "share": [i / 7 for i in range(60)], "word": words}), buffer)
    return buffer.getvalue()


def flip(data: bytearray, rng: np.random.Generator) -> None:
    """Change single bits."""
    for at in rng.integers(len(data), size=rng.integers(1, 9)):
        data[at] ^= 1 << int(rng.integers(8))


def overwrite(data: bytearray, rng: np.random.Generator) -> None:
    """Put a number that sizes and offsets fear over four or eight bytes."""
    number = [0, 1, 0x7F, 0xFF, 1 << 31, (1 << 63) - 1, (1 << 64) - 1, len(data)][rng.integers(8)]
    size = [1, 2, 4, 8][rng.integers(4)]
    at = int(rng.integers(len(data)))
    data[at : at + size] = (number & ((1 << 8 * size) - 1)).to_bytes(size, "little")


def cut(data: bytearray, rng: np.random.Generator) -> None:
    """End the file early."""
    del data[int(rng.integers(len(data))) :]


def remove(data: bytearray, rng: np.random.Generator) -> None:
    """Leave a piece out."""
    at = int(rng.integers(len(data)))
    del data[at : at + int(rng.integers(1, 200))]


def repeat(data: bytearray, rng: np.random.Generator) -> None:
    """Put a piece in twice."""
    at, length = int(rng.integers(len(data))), int(rng.integers(1, 200))
    data[at:at] = data[at : at + length]


def noise(data: bytearray, rng: np.random.Generator) -> None:
    """Put noise over a piece."""
    at, length = int(rng.integers(len(data))), int(rng.integers(1, 64))
    data[at : at + length] = rng.bytes(length)


GOOD: dict[str, bytes] = {
    "scan.npz": npz(),
    "scan.h5": hdf5(),
    "table.csv": table(csv.write_csv),
    "table.parquet": table(parquet.write_table),
}
MUTATIONS: tuple[Mutation, ...] = (flip, flip, overwrite, overwrite, cut, remove, repeat, noise)


def mutant(data: bytes, rng: np.random.Generator) -> bytes:
    """Return the file with one to three damages."""
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        if damaged:
            MUTATIONS[rng.integers(len(MUTATIONS))](damaged, rng)
    return bytes(damaged)


def outcome(answer: Answer) -> str:
    """Return what came of a mutant, in a word; what no answer may be is told apart."""
    found = answer.document
    if found["accepted"] != answer.has_value or "failed: " in (found["reason"] or ""):
        return "BAD ANSWER"
    for violation in found["violations"]:
        if violation["code"] in ENDS and violation["place"] == "the file":
            return ENDS[violation["code"]]
    return "accepted" if found["accepted"] else "refused"


def main(count: int, seed: int) -> int:
    """Validate ``count`` mutants, print what came of them, and return the exit code."""
    rng, begin = np.random.default_rng(seed), time.monotonic()
    counts: dict[str, Counter[str]] = {name: Counter() for name in GOOD}
    slowest = 0.0
    with ExitStack() as stack:
        workers = [stack.enter_context(Sandbox()) for _ in range(os.cpu_count() or 1)]
        pool = stack.enter_context(ThreadPoolExecutor(len(workers)))
        with tempfile.TemporaryDirectory() as folder:  # the first file of a form waits for what reads it
            for name, data in GOOD.items():
                (sound_file := Path(folder) / name).write_bytes(data)
                assert all(answer(worker, sound_file).has_value for worker in workers), name
        for first in range(0, count, BATCH):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            paths = []
            for number in range(first, min(first + BATCH, count)):
                name = list(GOOD)[number % len(GOOD)]
                paths.append(Path(folder) / f"{number}-{name}")
                paths[-1].write_bytes(mutant(GOOD[name], rng))
            shares = [paths[start :: len(workers)] for start in range(len(workers))]
            answers = pool.map(
                lambda pair: [answer(pair[0], path) for path in pair[1]], zip(workers, shares, strict=True)
            )
            for path, found in zip(chain(*shares), chain(*answers), strict=True):
                counts[path.name.partition("-")[2]][what := outcome(found)] += 1
                slowest = max(slowest, found.seconds)
                if what not in ("accepted", "refused"):
                    kept = Path(tempfile.gettempdir()) / f"smalti-fuzz-{seed}-{path.name}"
                    kept.write_bytes(path.read_bytes())
                    print(f"{kept}: {what}: {found.document['reason']}")
    for name, outcomes in counts.items():
        print(f"{name:<14} {', '.join(f'{what} {number}' for what, number in sorted(outcomes.items()))}")
    took = time.monotonic() - begin
    print(f"{count} mutants, seed {seed}, {took:.0f} s, the slowest {slowest:.2f} s; the process that asked is alive.")
    return int(any(outcomes["BAD ANSWER"] for outcomes in counts.values()))


if __name__ == "__main__":
    arguments = [int(word) for word in sys.argv[1:]]
    sys.exit(main(*(arguments + [10_000, 1][len(arguments) :])))
