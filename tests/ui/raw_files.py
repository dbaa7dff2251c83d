"""``python -m tests.ui.raw_files FOLDER``: the files that are dropped: two scans, one that is rejected, two tables."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import yaml

from smalti.simulation import card_fields, simulate_scan, simulate_star, write_raw_npz

POSITIONS_PER_SIDE = 7
WINDOW = 32
ROWS = 96
TEST_ROWS = 20


def write_scans(folder: Path) -> None:
    for simulated in (simulate_scan, simulate_star):
        name = {simulate_scan: "photographs", simulate_star: "star"}[simulated]
        scan = simulated(name, positions_per_side=POSITIONS_PER_SIDE, window=WINDOW)
        (folder / f"{name}.npz.card.yaml").write_text(yaml.safe_dump(card_fields(scan), allow_unicode=True))
        write_raw_npz(scan, folder / f"{name}.npz")


def write_rejected_scan(folder: Path) -> None:
    """Write a scan with ten patterns, nine positions, and a measured value that is no number."""
    diffraction = np.ones((10, WINDOW, WINDOW), np.float32)
    diffraction[3, 5, 5] = np.nan
    positions = np.arange(9.0)
    np.savez(folder / "misaligned.npz", diffraction=diffraction, xcoords=positions, ycoords=positions)


def write_tables(folder: Path) -> None:
    """Write a table in which weight and colour tell the fruit, and a test table beside it."""
    random = np.random.default_rng(1)
    lemon = random.random(ROWS) < 0.5
    grams = np.where(lemon, random.normal(90, 9, ROWS), random.normal(160, 12, ROWS)).round(1)
    colour = np.where(lemon ^ (random.random(ROWS) < 0.1), "yellow", "red")
    rows = [f"{i},{colour[i]},{grams[i]}" for i in range(ROWS)]
    labelled = [f"{row},{'lemon' if is_lemon else 'apple'}" for row, is_lemon in zip(rows, lemon, strict=True)]
    (folder / "fruit_test.csv").write_text("\n".join(["fruit_id,colour,grams", *rows[-TEST_ROWS:]]) + "\n")
    (folder / "fruit_train.csv").write_text("\n".join(["fruit_id,colour,grams,kind", *labelled[:-TEST_ROWS]]) + "\n")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    write_scans(target)
    write_rejected_scan(target)
    write_tables(target)
