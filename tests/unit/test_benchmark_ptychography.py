"""The ptychography benchmark measures independently of the solver, and its page says what falls short."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.line import Line
from benchmarks.page import markdown
from benchmarks.ptychography import evaluation
from benchmarks.ptychography.__main__ import page_of
from benchmarks.ptychography.cases import Workplace
from benchmarks.ptychography.rpie import rpie
from benchmarks.ptychography.running import run
from smalti import Reconstruction, Scan, open_store
from smalti.errors import Unavailable
from smalti.simulation import simulate_star


@pytest.fixture(scope="module")
def scan() -> Scan:
    return simulate_star("judged", positions_per_side=23, window=64, photons_per_pattern=1e8)


@pytest.fixture(scope="module")
def perfect(scan: Scan) -> Reconstruction:
    """The truth on a canvas with another origin, on a phase ramp and with a complex scale."""
    top, left = 7, 3
    ramp = np.exp(0.02j * np.arange(scan.object_guess.shape[1]))
    return Reconstruction(
        object=(0.5j * scan.object_guess * ramp)[top:, left:].astype(np.complex64),
        probe=2 * scan.probe_guess,
        xcoords=scan.xcoords - left,
        ycoords=scan.ycoords - top,
        origin_x=left,
        origin_y=top,
        loss=np.zeros(0),
        metrics={},
        config={},
    )


def test_the_truth_on_a_ramp_and_scaled_is_perfect(scan: Scan, perfect: Reconstruction) -> None:
    figures = evaluation.against_truth(perfect, scan)
    assert figures["phase_psnr_dB"] > 60
    assert figures["amplitude_psnr_dB"] > 60
    assert evaluation.in_words(figures).startswith("phase ")


def test_a_flat_object_is_poor(scan: Scan, perfect: Reconstruction) -> None:
    flat = replace(perfect, object=np.ones_like(perfect.object))
    assert evaluation.against_truth(flat, scan)["phase_psnr_dB"] < 10


def test_another_convention_of_where_a_window_is_costs_nothing(scan: Scan, perfect: Reconstruction) -> None:
    few = slice(0, 529, 40)
    some = replace(scan, diffraction=scan.diffraction[few])
    right = replace(perfect, object=np.pad(scan.object_guess, 2), probe=scan.probe_guess)
    right = replace(right, xcoords=scan.xcoords[few] + 2, ycoords=scan.ycoords[few] + 2)
    moved = replace(right, xcoords=right.xcoords + 0.5, ycoords=right.ycoords - 1)
    assert evaluation.r_factor(right, some) < 0.02
    assert evaluation.r_factor(moved, some) == pytest.approx(evaluation.r_factor(right, some), rel=1e-3)


def test_the_yardstick_reconstructs() -> None:
    scan = simulate_star("small", positions_per_side=8, window=32)
    made = rpie(scan.diffraction, scan.probe_guess[0], scan.xcoords, scan.ycoords, scan.object_guess.shape, epochs=8)
    again = rpie(scan.diffraction, scan.probe_guess[0], scan.xcoords, scan.ycoords, scan.object_guess.shape, epochs=8)
    assert np.array_equal(made.object, again.object)
    assert len(made.epoch_cpu_s) == 8
    found = Reconstruction(
        made.object, made.probe[None], scan.xcoords, scan.ycoords, 0.0, 0.0, np.zeros(0), metrics={}, config={}
    )
    flat = replace(found, object=np.ones_like(made.object), probe=scan.probe_guess)
    assert evaluation.r_factor(found, scan) < evaluation.r_factor(flat, scan) / 2


def test_a_process_is_charged_for_what_it_took() -> None:
    work = "import sys; a = bytearray(200_000_000); [i * i for i in range(3_000_000)]; print('done')"
    cost, printed = run([sys.executable, "-c", work])
    assert printed == "done\n"
    assert 0.05 < cost.cpu_s < 5
    assert cost.peak_nbytes > 200e6


def test_a_process_that_fails_has_no_cost() -> None:
    with pytest.raises(Unavailable, match="ended with status 3"):
        run([sys.executable, "-c", "raise SystemExit(3)"])


def test_the_page_says_what_was_reached_what_falls_short_and_what_is_missing(tmp_path: Path) -> None:
    lines = [Line("one", "9 dB", "10 dB", True), Line("two", "9 dB", "8 dB", False), Line("peer", "", "7 dB")]
    results = {"known": {"machine": "a machine", "load": 1.5, "lines": [line.__dict__ for line in lines]}}
    page = markdown(page_of(tmp_path, tmp_path), results)
    assert "| one | 9 dB | 10 dB | reached |" in page
    assert "| two | 9 dB | 8 dB | **falls short** |" in page
    assert "| peer |  | 7 dB |  |" in page
    assert "- `known`: a machine; 1.5 to 1.5 processes" in page
    assert "Not measured: defocused," in page


def test_no_metric_of_the_benchmark_imports_mlx() -> None:
    program = "import sys, benchmarks.ptychography.__main__; print('mlx.core' in sys.modules)"
    _, printed = run([sys.executable, "-c", program])
    assert printed == "False\n"


def test_a_case_comes_back_from_its_process_with_its_cost_and_its_picture(tmp_path: Path) -> None:
    at = Workplace(tmp_path / "store", tmp_path, tmp_path / "pictures", peers=None, rounds=1)
    open_store(at.store).put(simulate_star("known", positions_per_side=5, window=32), "known")
    cost, made, told = at.ours("known", "known")
    assert cost.cpu_s > 0
    assert made.object.ndim == 2
    assert made.loss[-1] < made.loss[0]
    assert told == {}
    assert (tmp_path / "pictures" / "known.png").read_bytes().startswith(b"\x89PNG")
