"""A scan larger than its solver's memory: made block by block, solved from the store, its peak memory measured.

``python -m benchmarks.ptychography.large`` makes 20 000 patterns of 128 x 128 in a temporary store and prints what one
epoch took, as JSON.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti import Store, Tree, open_store
from smalti.codecs.scan import ScanMetadata
from smalti.simulation.optics import probe_of

STEP_px = 9.0
JITTER_px = 3.0
BLOCK_PATTERNS = 64
PHOTONS_PER_PATTERN = 1e5
SETTINGS = {"epochs": 1, "batch": 64}


@dataclass(frozen=True, slots=True)
class EpochCost:
    """The cost of one epoch.

    Attributes:
        peak_nbytes: the most memory that the process held, interpreter and libraries included.
        cpu_s: of the whole run: reading, one epoch, and the R-factor.
        patterns_per_s: of the epoch, by the clock.
    """

    patterns: int
    window: int
    scan_nbytes: int
    peak_nbytes: int
    cpu_s: float
    patterns_per_s: float
    r_factor: float


def measure(patterns: int = 20_000, window: int = 128, folder: Path | None = None) -> EpochCost:
    """Return the cost of one epoch over a new scan, in a process of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        digest = put_scan(open_store(place), patterns, window)
        command = [sys.executable, "-m", "benchmarks.ptychography.large", place, digest]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return EpochCost(patterns, window, patterns * window**2 * 4, **json.loads(told))


def put_scan(store: Store, patterns: int, window: int) -> str:
    """Store a scan of a random texture and return its digest; no more than a block of it is ever in memory."""
    side = math.ceil(math.sqrt(patterns))
    rng = np.random.default_rng(0)
    raster = np.stack(np.divmod(np.arange(patterns), side), axis=1) * STEP_px
    corner = np.rint(raster + rng.uniform(0, JITTER_px, raster.shape)).astype(np.int64)
    probe = probe_of(window) * np.float32(math.sqrt(PHOTONS_PER_PATTERN))
    rows = store.put_rows(_patterns(_texture(int(corner.max()) + window, rng), probe, corner))
    centre = corner + (window - 1) / 2
    children = {
        "diffraction": rows,
        "xcoords": np.ascontiguousarray(centre[:, 1]),
        "ycoords": np.ascontiguousarray(centre[:, 0]),
        "probeGuess": probe[None],
        "scan_index": np.arange(patterns),
    }
    return store.put(Tree(children, ScanMetadata(name="large").model_dump(exclude_none=True), "scan")).digest


def _texture(side: int, rng: np.random.Generator) -> NDArray[np.complex64]:
    grain = np.kron(rng.uniform(-0.5, 0.5, (side // 4 + 1, side // 4 + 1)), np.ones((4, 4)))[:side, :side]
    return np.asarray(np.exp(1j * grain), dtype=np.complex64)


def _patterns(
    truth: NDArray[np.complex64], probe: NDArray[np.complex64], corner: NDArray[np.int64]
) -> Iterator[NDArray[np.float32]]:
    """Yield (B, H, W) amplitudes of whole counts, DC centred."""
    every = np.lib.stride_tricks.sliding_window_view(truth, probe.shape)
    for start in range(0, len(corner), BLOCK_PATTERNS):
        some = corner[start : start + BLOCK_PATTERNS]
        wave = np.fft.fft2(every[some[:, 0], some[:, 1]] * probe, norm="ortho")
        counts = np.rint(np.square(np.abs(np.fft.fftshift(wave, axes=(-2, -1)))))
        yield np.sqrt(counts).astype(np.float32)


def _solve(place: str, digest: str) -> dict[str, Any]:
    from smalti.compute import prepare_blas

    prepare_blas()
    from smalti.ptycho.stored import solve_stored

    told: list[dict[str, Any]] = []
    answer = solve_stored({"store": place, "scan": digest, "settings": SETTINGS}, told.append)
    cpu_s = process_time()
    # not ru_maxrss: that of a process that was started by a large one begins there
    peak_kB = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak_kB is not None
    return {
        "peak_nbytes": int(peak_kB[1]) * 1024,
        "cpu_s": cpu_s,
        "patterns_per_s": told[-1]["patterns_per_s"],
        "r_factor": open_store(place).get(answer["digest"]).metrics["r_factor"],
    }


if __name__ == "__main__":
    print(json.dumps(_solve(*sys.argv[1:]) if len(sys.argv) > 2 else asdict(measure())))
