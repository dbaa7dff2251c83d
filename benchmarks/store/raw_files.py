"""Files as bytes: of unknown content, and an NPZ whose arrays are stored as well."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.line import Line, Section, at_least, at_most
from benchmarks.store.measure import allocated_nbytes, in_fresh_process, timed, warm_memory
from benchmarks.store.setup import Setup, in_turns, removed_after, where
from smalti import open_store

_ROW_NBYTES = 65536


def measure(setup: Setup) -> list[Line | Section]:
    """Return the speed of bytes beside arrays, and what an NPZ and its arrays take together."""
    nbytes = setup.scale.raw_nbytes
    with setup.in_memory() as folder:
        table = f"A raw file {where(folder)}, {nbytes / 2**20:g} MiB"
        unknown = in_fresh_process(None, of_unknown_content, folder, nbytes, setup.rounds)
        npz = in_fresh_process(None, of_npz, folder, nbytes, setup.rounds)
    speeds = {way: median(nbytes / 1e9 / s for s in seconds) for way, seconds in unknown.items()}
    ratio = median(array / content for array, content in zip(unknown["array"], unknown["bytes"], strict=True))
    sizes, npz_s = npz
    npz_ratio = median(arrays / file for arrays, file in zip(npz_s["arrays"], npz_s["file"], strict=True))
    note = f"({speeds['bytes']:.2f} of {speeds['array']:.2f} GB/s)"
    what = "bytes of unknown content, speed relative to the same bytes as an array"
    beside = "NPZ, not compressed, put as bytes: speed relative to its arrays"
    return [
        at_least(0.5, what, ratio, "{:.2f} ×", note=note, before="0.1 to 0.2 ×", table=table),
        at_least(0.9, beside, npz_ratio, "{:.2f} ×", before="0.17 ×", table=table),
        *(
            at_most(1.02, f"disk for {order}, relative to the file", share, "{:.3f} ×", before="2.0 ×", table=table)
            for order, share in sizes.items()
        ),
    ]


def of_unknown_content(folder: Path, nbytes: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of putting bytes into an empty store, as an array and as they are."""
    content = np.random.default_rng(0).bytes(nbytes)
    array = np.frombuffer(content, np.uint8).reshape(-1, min(_ROW_NBYTES, nbytes))
    return in_turns({way: partial(_put_s, folder / way, value) for way, value in _ways(array, content)}, rounds)


def _ways(array: Any, content: bytes) -> list[tuple[str, Any]]:
    return [("array", array), ("bytes", content)]


def _put_s(folder: Path, value: Any) -> float:
    warm_memory(value.nbytes if isinstance(value, np.ndarray) else len(value))
    with removed_after(folder):
        store = open_store(folder)
        cost, ref = timed(lambda: store.put(value))
        if isinstance(value, bytes) and bytes(store.get(ref)) != value:
            raise RuntimeError("other bytes came back than were put")
    return cost.wall_s


def of_npz(folder: Path, nbytes: int, rounds: int) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Return the disk that a file and its arrays take relative to the file, by their order, and the seconds of a put.

    The file is a scan as beamlines save it: patterns (N, 256, 256), positions (N, 2) and a probe (256, 256).
    """
    arrays, content = npz_of(nbytes)
    sizes = {}
    for name, values in (
        ("the NPZ, then its arrays", (content, arrays)),
        ("its arrays, then the NPZ", (arrays, content)),
    ):
        with removed_after(folder / "both"):
            store = open_store(folder / "both")
            refs = [store.put(value) for value in values]
            sizes[name] = allocated_nbytes(folder / "both") / len(content)
            if any(isinstance(v, bytes) and bytes(store.get(r)) != v for v, r in zip(values, refs, strict=True)):
                raise RuntimeError("another file came back than was put")
    actions = {"arrays": partial(_all_s, folder / "arrays", arrays), "file": partial(_all_s, folder / "file", content)}
    return sizes, in_turns(actions, rounds)


def _all_s(folder: Path, value: Any) -> float:
    with removed_after(folder):
        return timed(lambda: open_store(folder).put(value))[0].wall_s


def npz_of(nbytes: int) -> tuple[dict[str, np.ndarray], bytes]:
    """Return the arrays of a scan and the file that ``numpy.savez`` makes of them, of about ``nbytes``."""
    random = np.random.default_rng(0)
    patterns = max(1, nbytes // (2 * 256 * 256))
    arrays = {
        "diffraction": random.integers(0, 4096, (patterns, 256, 256), np.uint16),
        "positions": random.random((patterns, 2)),
        "probe": random.random((256, 256)) + 1j * random.random((256, 256)),
    }
    file = io.BytesIO()
    np.savez(file, **arrays)
    return arrays, file.getvalue()
