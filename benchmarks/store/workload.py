"""What is stored: four float32 arrays in three versions, each made from the one before, and a table with its edits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

VERSIONS = ("first", "changed", "inserted")
INSERTED_ROWS = 3
INSERTED_TABLE_ROWS = 1000
_SEED = 20240917

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Scale:
    """How much is stored; the defaults are the 4 x 128 MiB of the published figures.

    Attributes:
        frames: shape of one diffraction stack: 512 rows of 256 KiB.
        weights: shape of one weight matrix: 8192 rows of 16 KiB.
        odd_nbytes: size of each array of odd rows.
        raw_nbytes: size of a raw file.
        small_puts: how many arrays of 4,000 bytes are put one by one.
        put_together: how many in one call.
        names: how many names a store holds when one is looked up.
        sparse_nbytes: size of the array that is a hole in a file.
        gc_objects: objects among which garbage is collected.
        large_nbytes: size of the array of the memory measure.
    """

    frames: tuple[int, int, int] = (512, 256, 256)
    weights: tuple[int, int] = (8192, 4096)
    table_rows: int = 2_000_000
    odd_nbytes: int = 128 * 1024**2
    raw_nbytes: int = 512 * 1024**2
    small_puts: int = 100
    put_together: int = 1000
    names: int = 3000
    sparse_nbytes: int = 64 * 1024**3
    gc_objects: int = 20_000
    large_nbytes: int = 2 * 1024**3

    @property
    def nbytes(self) -> int:
        """Bytes of one version of the four arrays."""
        return 2 * 4 * (int(np.prod(self.frames)) + int(np.prod(self.weights)))


def files(folder: Path, version: str) -> dict[str, Path]:
    """Name -> ``.npy`` file of the four arrays of a version."""
    names = ("diffraction-0", "diffraction-1", "weights-0", "weights-1")
    return {name: folder / version / f"{name}.npy" for name in names}


def write_versions(folder: Path, scale: Scale) -> None:
    """Write every version: the first, 1 % of its rows changed, then 3 rows inserted in the middle of each array."""
    for version in VERSIONS:
        (folder / version).mkdir(parents=True)
    for number, name in enumerate(files(folder, "first")):
        random = np.random.default_rng([_SEED, number])
        shape = scale.frames if name.startswith("diffraction") else scale.weights
        array = _rows(random, shape)
        np.save(files(folder, "first")[name], array)
        scattered = random.permutation(len(array))[: max(1, len(array) // 100)]
        array[scattered] = _rows(random, (len(scattered), *shape[1:]))
        np.save(files(folder, "changed")[name], array)
        middle = np.full(INSERTED_ROWS, len(array) // 2)
        np.save(files(folder, "inserted")[name], np.insert(array, middle, _rows(random, (3, *shape[1:])), axis=0))


def _rows(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Rows of a diffraction stack (N, H, W), square roots of Poisson counts, or of a weight matrix (N, W)."""
    if len(shape) == 2:
        return random.standard_normal(shape, np.float32) * np.float32(0.02)
    _, height, width = shape
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    mean_counts = 400 * np.exp(-9 * np.hypot(y, x)) + 0.05
    rows = np.empty(shape, np.float32)
    for row in rows:  # one frame at a time keeps the integer counts small
        row[:] = np.sqrt(random.poisson(mean_counts * random.uniform(0.7, 1.3)))
    return rows


def table(rows: int) -> pd.DataFrame:
    """A table of six columns as a beamline logs them: counter, time, two positions, counts and a label."""
    import pandas as pd

    random = np.random.default_rng([_SEED, rows])
    return pd.DataFrame(
        {
            "frame": np.arange(rows),
            "time": pd.Timestamp("2024-09-17") + pd.to_timedelta(np.cumsum(random.integers(900, 1100, rows)), "us"),
            "x_m": np.cumsum(random.normal(0, 1e-8, rows)),
            "y_m": np.cumsum(random.normal(0, 1e-8, rows)),
            "counts": random.poisson(1000, rows).astype(np.int32),
            "state": random.choice(["exposed", "moving", "paused"], rows, p=[0.9, 0.08, 0.02]),
        }
    )


def table_edits(first: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Name of the edit -> the edited table; every edit starts from the first table."""
    import pandas as pd

    rows = len(first)
    random = np.random.default_rng([_SEED, rows, 1])
    scattered = random.permutation(rows)[: rows // 100]
    changed = first.copy()
    changed.loc[scattered, "counts"] += 1
    middle, few = rows // 2, min(INSERTED_TABLE_ROWS, rows // 100)
    return {
        "again": first,
        "1 % of one column's values changed, scattered": changed,
        "1 % of rows appended": pd.concat([first, table(rows // 100)], ignore_index=True),
        f"{few} rows inserted": pd.concat([first[:middle], table(few), first[middle:]], ignore_index=True),
        f"{few} rows deleted": pd.concat([first[:middle], first[middle + few :]], ignore_index=True),
    }
