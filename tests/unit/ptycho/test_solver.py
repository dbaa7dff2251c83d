"""Laws of the solver: it finds the truth, the same bits each time, and never looks at it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from smalti import open_store
from smalti.compute import run_child
from smalti.datasets import simulators
from smalti.errors import Refused
from smalti.ptycho import metrics
from smalti.ptycho.geometry import place
from smalti.ptycho.solver import SolverSettings, solve

SHORT = SolverSettings(epochs=20, batch=8)


@pytest.fixture(scope="module")
def scan():
    return simulators.simulate_scan("solved", positions_per_side=8, window=32)


@pytest.fixture(scope="module")
def solved(scan):
    return solve(scan, SHORT)


def test_a_known_object_is_found(solved) -> None:
    assert solved.metrics["phase_psnr_dB"] > 36
    assert solved.metrics["phase_ssim"] > 0.99
    assert solved.metrics["amplitude_psnr_dB"] > 32
    assert solved.metrics["r_factor"] < 0.07
    assert solved.loss[-1] < 0.02 * solved.loss[0]


def test_the_outcome_has_the_promised_shapes_types_and_scale(scan, solved) -> None:
    assert (solved.object.dtype, solved.probe.dtype, solved.loss.dtype) == ("c8", "c8", "f8")
    assert solved.object.shape == place(scan.xcoords, scan.ycoords, (32, 32), SHORT.padding).canvas.shape
    assert solved.probe.shape == (1, 32, 32)
    assert solved.loss.shape == (20,)
    assert solved.xcoords + solved.origin_x == pytest.approx(scan.xcoords, abs=1e-9)
    assert solved.ycoords + solved.origin_y == pytest.approx(scan.ycoords, abs=1e-9)
    photons = (scan.diffraction.astype(np.float64) ** 2).sum(axis=(1, 2)).mean()
    assert (np.abs(solved.probe) ** 2).sum() == pytest.approx(photons, rel=0.2)


def test_the_outcome_says_what_it_was_made_with(solved) -> None:
    assert solved.config["settings"]["epochs"] == 20
    assert solved.config["start"] == "flat"
    assert {"mlx", "python", "blas"} <= set(solved.config["environment"])


def test_two_runs_give_the_same_bits(scan, solved) -> None:
    again = solve(scan, SHORT)
    assert again.object.tobytes() == solved.object.tobytes()
    assert again.probe.tobytes() == solved.probe.tobytes()
    assert again.loss.tobytes() == solved.loss.tobytes()


def test_the_truth_is_compared_with_and_never_used(scan, solved) -> None:
    blind = solve(replace(scan, object_guess=None), SHORT)
    assert blind.object.tobytes() == solved.object.tobytes()
    assert set(blind.metrics) == {"r_factor"}


def test_another_seed_takes_another_way(scan, solved) -> None:
    other = solve(scan, replace(SHORT, seed=1))
    assert other.object.tobytes() != solved.object.tobytes()


def test_a_start_object_is_started_from(scan) -> None:
    fixed_probe = replace(SHORT, refine_probe=False)
    flat = solve(scan, fixed_probe)
    resumed = solve(scan, replace(fixed_probe, epochs=1, object_rate=1e-3), start_object=flat.object)
    assert resumed.loss[0] < 0.1 * flat.loss[0]
    assert resumed.config["start"] == "given"


def test_a_wrong_defocus_heals_in_the_pupil_and_not_without(scan) -> None:
    frequency = np.fft.fftfreq(32)
    radius = np.hypot(frequency[:, None], frequency) / simulators.PUPIL_RADIUS
    defocus_rad = 0.15 * math.pi * simulators.PUPIL_RADIUS * simulators.PROBE_RADIUS * 32
    wrong = np.fft.ifft2(np.fft.fft2(scan.probe_guess) * np.exp(1j * defocus_rad * radius**2))
    guessed = replace(scan, probe_guess=wrong.astype(np.complex64))
    healed, fixed = (solve(guessed, replace(SHORT, epochs=40, refine_probe=r)) for r in (True, False))
    assert healed.metrics["phase_psnr_dB"] > fixed.metrics["phase_psnr_dB"] + 6
    assert healed.metrics["r_factor"] < fixed.metrics["r_factor"]


def test_a_probe_that_is_not_refined_stays_as_it_was(scan) -> None:
    from smalti.ptycho.probe import initial_probe

    kept = solve(scan, replace(SHORT, epochs=2, refine_probe=False))
    assert np.allclose(kept.probe, initial_probe(scan), atol=1e-3 * np.abs(kept.probe).max())


def test_incoherent_modes_add_in_intensity(scan) -> None:
    first = scan.probe_guess[0]
    second = 0.5 * np.roll(first, 5, axis=1)
    ones = [replace(scan, probe_guess=mode[None]) for mode in (first, second)]
    intensity = sum(
        amplitude**2
        for one in ones
        for _, amplitude in metrics._amplitudes(
            scan.object_guess, one.probe_guess, scan.xcoords[:32], scan.ycoords[:32]
        )
    )
    mixed = replace(
        scan,
        diffraction=np.sqrt(intensity).astype(np.float32),
        xcoords=scan.xcoords[:32],
        ycoords=scan.ycoords[:32],
        probe_guess=np.stack([first, second]),
    )
    both = solve(mixed, replace(SHORT, epochs=30))
    alone = solve(replace(mixed, probe_guess=first[None]), replace(SHORT, epochs=30))
    assert both.probe.shape == (2, 32, 32)
    assert both.metrics["r_factor"] < 0.5 * alone.metrics["r_factor"]


def test_the_unit_of_the_patterns_does_not_matter(scan, solved) -> None:
    normalised = replace(scan, diffraction=scan.diffraction / scan.diffraction.max())
    same = solve(normalised, SHORT)
    assert same.metrics["r_factor"] == pytest.approx(solved.metrics["r_factor"], rel=0.02)
    assert same.metrics["phase_psnr_dB"] == pytest.approx(solved.metrics["phase_psnr_dB"], abs=1)


def test_progress_is_told_once_per_epoch(scan) -> None:
    told: list[dict[str, float]] = []
    outcome = solve(scan, replace(SHORT, epochs=2), report=told.append)
    assert [t["epoch"] for t in told] == [1, 2]
    assert [t["loss"] for t in told] == list(outcome.loss)


def test_what_cannot_be_solved_is_refused(scan) -> None:
    with pytest.raises(Refused, match=r"the start object is \(5, 5\), but the canvas of this scan is"):
        solve(scan, SHORT, start_object=np.ones((5, 5), np.complex64))
    with pytest.raises(Refused, match="epochs is 0; give at least 1"):
        SolverSettings(epochs=0)
    with pytest.raises(Refused, match=r"object_rate 1e\+30 or probe_rate 0\.01 is too large"):
        solve(scan, replace(SHORT, object_rate=1e30))


def test_a_stored_scan_is_solved_to_the_same_bits_in_a_child_process(scan, tmp_path) -> None:
    store = open_store(tmp_path / "store")
    request = {
        "store": str(tmp_path / "store"),
        "scan": store.put(scan).digest,
        "checkpoint": None,
        "settings": {"epochs": 2, "batch": 8},
    }
    told: list[dict[str, float]] = []
    answer = run_child("smalti.ptycho.solver:solve_stored", request, told.append)
    outcome = store.get(answer["digest"])
    assert list(outcome.loss) == [t["loss"] for t in told]
    assert outcome.object.tobytes() == solve(scan, SolverSettings(epochs=2, batch=8)).object.tobytes()
    with pytest.raises(Refused, match="do not fit the solver; it knows epochs, batch"):
        run_child("smalti.ptycho.solver:solve_stored", request | {"settings": {"iterations": 5}})
