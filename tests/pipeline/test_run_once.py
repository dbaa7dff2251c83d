"""``make run``: what fails is told, keeps nothing else back, and is tried again when its file is dropped again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from smalti import open_store

PROJECT = Path(__file__).parents[2]
CARD = """\
source: here
version: '1'
licence: CC0-1.0
physics: {object_pixel_size_m: {value: 1.0e-8}}
reading: {diffraction: {dc: centre}}
"""


def run(root: Path, file: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SMALTI_ROOT": str(root), "DAGSTER_HOME": str(root / ".dagster")}
    command = [sys.executable, "-m", "jobs.run_once", "--scan", str(file)]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_a_scan_that_fails_keeps_nothing_back_and_is_tried_again_when_it_is_dropped_again(tmp_path: Path) -> None:
    root, table = tmp_path / "root", tmp_path / "t.csv"
    raw = root / "data" / "raw"
    raw.mkdir(parents=True)
    (root / ".dagster").mkdir()
    (root / ".dagster" / "dagster.yaml").write_text((PROJECT / "deploy" / "local" / "dagster.yaml").read_text())
    random = np.random.default_rng(0)
    np.savez(
        raw / "bad.npz",
        diffraction=np.sqrt(random.poisson(900, (9, 16, 16))).astype("f4"),
        xcoords=np.tile([20.0, 24, 28], 3),
        ycoords=np.repeat([20.0, 24, 28], 3),
    )
    (raw / "bad.npz.card.yaml").write_text(CARD)
    (root / "outputs").mkdir()
    in_the_way = root / "outputs" / "ptychodus_products"
    in_the_way.write_text("a file where the folder of products should be")
    for path in raw.iterdir():
        os.utime(path, (0, 0))
    table.write_text("a,b\n1,x\n2,y\n")

    first = run(root, table)
    assert first.returncode == 1
    assert "ptychodus_products" in first.stderr.splitlines()[-1]
    assert "Traceback" not in first.stderr
    assert open_store(root / "store").get("table/t").num_rows == 2

    second = run(root, table)
    assert second.returncode == 0, second.stderr
    assert "nothing new has arrived" in second.stdout
    assert second.stderr == ""

    in_the_way.unlink()
    os.utime(raw / "bad.npz", (1, 1))
    third = run(root, table)
    assert third.returncode == 0, third.stderr
    assert (in_the_way / "bad.h5").is_file()
