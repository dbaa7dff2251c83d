"""Laws of the solver: it finds the truth without using it, and gives the same bits each time."""

import math
import time
from dataclasses import asdict, replace
from typing import ClassVar

import numpy as np
import pytest

from smalti import open_store, simulation
from smalti.compute import run_child
from smalti.errors import Refused
from smalti.ptycho.evaluate import metrics
from smalti.ptycho.geometry import place
from smalti.ptycho.optics.probe import initial_probe, mean_intensity
from smalti.ptycho.patterns import ShuffleBuffer
from smalti.ptycho.solve.initial_state import forward_model, initial_state
from smalti.ptycho.solve.optimizer import Optimizer
from smalti.ptycho.solve.solver import SolverSettings, SolverState, solve
from smalti.scans import read_scan
from smalti.scans.shipped import card_for

SHORT = SolverSettings(epochs=20, batch=8)


@pytest.fixture(scope="module")
def scan():
    return simulation.simulate_scan("solved", positions_per_side=8, window=32)


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
    assert solved.config["initial_object"] == "flat"
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


def test_every_epoch_takes_the_patterns_in_an_order_of_its_own(scan) -> None:
    class Watched(ShuffleBuffer):
        orders: ClassVar[list[list[int]]] = []

        def batches(self, rng: np.random.Generator):
            taken = list(super().batches(rng))
            self.orders.append([int(number) for some, _ in taken for number in some])
            return iter(taken)

    settings = SolverSettings(epochs=3)
    placement = place(scan.xcoords, scan.ycoords, scan.diffraction.shape[1:], settings.padding)
    mean = mean_intensity(scan)
    state = initial_state(None, initial_probe(scan, mean), placement)
    model = forward_model(scan, mean, placement, settings)
    optimizer = Optimizer(model, Watched(scan.diffraction, settings.batch), placement, settings, state)
    for _ in range(3):
        optimizer.run_epoch()
    assert {tuple(sorted(order)) for order in Watched.orders} == {tuple(range(len(scan.xcoords)))}
    assert len({tuple(order) for order in Watched.orders}) == 3


def test_an_initial_object_is_used(scan) -> None:
    fixed_probe = replace(SHORT, refine_probe=False)
    flat = solve(scan, fixed_probe)
    resumed = solve(scan, replace(fixed_probe, epochs=1, object_rate=1e-3), initial_object=flat.object)
    assert resumed.loss[0] < 0.1 * flat.loss[0]
    assert resumed.config["initial_object"] == "given"


def test_a_wrong_defocus_is_corrected_in_the_pupil_and_not_without(scan) -> None:
    frequency = np.fft.fftfreq(32)
    radius = np.hypot(frequency[:, None], frequency) / simulation.PUPIL_RADIUS
    defocus_rad = 0.15 * math.pi * simulation.PUPIL_RADIUS * simulation.PROBE_RADIUS * 32
    wrong = np.fft.ifft2(np.fft.fft2(scan.probe_guess) * np.exp(1j * defocus_rad * radius**2))
    guessed = replace(scan, probe_guess=wrong.astype(np.complex64))
    refined, fixed = (solve(guessed, replace(SHORT, epochs=40, refine_probe=r)) for r in (True, False))
    assert refined.metrics["phase_psnr_dB"] > fixed.metrics["phase_psnr_dB"] + 6
    assert refined.metrics["r_factor"] < fixed.metrics["r_factor"]


def test_a_probe_that_is_not_refined_stays_as_it_was(scan) -> None:
    from smalti.ptycho.optics.probe import initial_probe

    kept = solve(scan, replace(SHORT, epochs=2, refine_probe=False))
    assert np.allclose(kept.probe, initial_probe(scan), atol=1e-3 * np.abs(kept.probe).max())


def test_a_beam_of_two_waves_takes_two_modes(scan) -> None:
    first = scan.probe_guess[0]
    second = 0.5 * np.roll(first, 5, axis=1)
    ones = [replace(scan, probe_guess=mode[None]) for mode in (first, second)]
    intensity = sum(
        amplitude**2
        for one in ones
        for _, amplitude in metrics._amplitudes(scan.object_guess, one.probe_guess, scan.xcoords, scan.ycoords)
    )
    mixed = replace(
        scan,
        diffraction=np.sqrt(intensity).astype(np.float32),
        probe_guess=first[None],
    )
    alone, both = (solve(mixed, replace(SHORT, epochs=100, probe_modes=modes)) for modes in (1, 2))
    assert both.probe.shape == (2, 32, 32)
    assert both.metrics["r_factor"] < 0.2 * alone.metrics["r_factor"]
    assert both.metrics["phase_psnr_dB"] > alone.metrics["phase_psnr_dB"] + 20
    strength = (np.abs(both.probe) ** 2).sum(axis=(1, 2))
    assert strength[1] > 0.1 * strength[0]
    assert abs(np.vdot(both.probe[0], both.probe[1])) < 1e-3 * strength[0]


@pytest.mark.parametrize("loss", ["absolute", "poisson"])
def test_every_loss_finds_the_object(scan, loss) -> None:
    found = solve(scan, replace(SHORT, loss=loss))
    assert found.metrics["phase_psnr_dB"] > 33
    assert found.metrics["amplitude_psnr_dB"] > 32
    assert found.loss[-1] < 0.3 * found.loss[0]


def test_wrong_positions_are_refined_and_come_back_with_the_outcome(scan) -> None:
    wrong = np.random.default_rng(5).uniform(-1, 1, (2, len(scan.xcoords)))
    wrong -= wrong.mean(axis=1, keepdims=True)
    stated = replace(scan, xcoords=scan.xcoords + wrong[0], ycoords=scan.ycoords + wrong[1])
    as_stated = solve(stated, replace(SHORT, epochs=60))
    refined = solve(stated, replace(SHORT, epochs=60, refine_positions_from=3))
    left = np.stack([refined.xcoords + refined.origin_x, refined.ycoords + refined.origin_y]) - [
        scan.xcoords,
        scan.ycoords,
    ]
    assert np.abs(left.mean(axis=1)).max() < 1e-2
    assert left.std() < 0.15 * wrong.std()
    assert refined.metrics["r_factor"] < 0.6 * as_stated.metrics["r_factor"]
    assert refined.metrics["phase_psnr_dB"] > as_stated.metrics["phase_psnr_dB"] + 8


def test_an_unknown_probe_is_searched_for(scan) -> None:
    told = []
    found = solve(replace(scan, probe_guess=None), SHORT, report=told.append)
    trials = [entry for entry in told if "trial" in entry]
    assert trials
    assert told[: len(trials)] == trials
    assert found.metrics["phase_psnr_dB"] > 28
    in_focus = solve(replace(scan, probe_guess=None), replace(SHORT, search_probe=False))
    assert found.metrics["phase_psnr_dB"] > in_focus.metrics["phase_psnr_dB"] + 6


def test_bad_pixels_do_no_harm_where_they_are_known(scan, solved) -> None:
    bad = np.random.default_rng(2).uniform(size=(32, 32)) < 0.05
    hot = replace(scan, diffraction=np.where(bad, scan.diffraction.max() * 2, scan.diffraction).astype(np.float32))
    masked = solve(replace(hot, bad_pixels=bad), SHORT)
    assert masked.metrics["phase_psnr_dB"] > solved.metrics["phase_psnr_dB"] - 3
    assert masked.metrics["phase_psnr_dB"] > solve(hot, SHORT).metrics["phase_psnr_dB"] + 10


def test_the_measured_star_is_fitted_within_ten_epochs(star_path) -> None:
    star = read_scan(star_path, card_for(star_path))
    found = solve(star, SolverSettings(epochs=9))
    assert found.metrics["r_factor"] < 0.19


def test_the_near_field_is_solved() -> None:
    near = simulation.simulate_near_field("near", positions_per_side=6, window=64)
    found = solve(near, SHORT)
    assert found.metrics["phase_psnr_dB"] > 30
    assert found.metrics["amplitude_psnr_dB"] > 30
    assert found.loss[-1] < 0.05 * found.loss[0]


@pytest.mark.parametrize("probe_guess", [True, False])
@pytest.mark.parametrize("missing", ["photon_energy_eV", "detector_distance_m", "object_pixel_size_m"])
def test_a_near_field_scan_that_lacks_its_physics_is_refused_in_one_sentence(missing, probe_guess) -> None:
    near = simulation.simulate_near_field("near", positions_per_side=2, window=32)
    incomplete = replace(near, metadata=near.metadata.model_copy(update={missing: None}))
    incomplete = incomplete if probe_guess else replace(incomplete, probe_guess=None)
    for settings in (SHORT, replace(SHORT, search_probe=True)):
        with pytest.raises(Refused, match=f"^scan near is in the near field without {missing}; state it in its card.$"):
            solve(incomplete, settings)


def test_the_unit_of_the_patterns_does_not_matter(scan, solved) -> None:
    normalised = replace(scan, diffraction=scan.diffraction / scan.diffraction.max())
    same = solve(normalised, SHORT)
    assert same.metrics["r_factor"] == pytest.approx(solved.metrics["r_factor"], rel=0.02)
    assert same.metrics["phase_psnr_dB"] == pytest.approx(solved.metrics["phase_psnr_dB"], abs=1)


def test_progress_is_told_once_per_epoch(scan) -> None:
    told: list[dict[str, float]] = []
    since = time.perf_counter()
    outcome = solve(scan, replace(SHORT, epochs=2), report=told.append)
    assert [(t["epoch"], t["epochs"]) for t in told] == [(1, 2), (2, 2)]
    assert 0 < sum(len(scan.xcoords) / t["patterns_per_s"] for t in told) < time.perf_counter() - since
    assert [t["loss"] for t in told] == list(outcome.loss)


@pytest.mark.parametrize("refine_positions_from", [None, 2])
def test_a_run_is_resumed_from_any_epoch_to_the_same_bits(scan, refine_positions_from) -> None:
    settings = replace(SHORT, epochs=6, probe_modes=2, refine_positions_from=refine_positions_from)
    states = []
    straight = solve(scan, settings, save=states.append)
    assert [len(state.losses) for state in states] == [1, 2, 3, 4, 5, 6]
    store = open_store("memory:")
    stored = SolverState.from_stored(store.get(store.put(states[2].to_tree())))
    resumed = solve(scan, settings, resume=stored)
    for name in ("object", "probe", "xcoords", "ycoords", "loss"):
        assert getattr(resumed, name).tobytes() == getattr(straight, name).tobytes()
    assert (resumed.metrics, resumed.config) == (straight.metrics, straight.config)


def test_a_state_of_another_scan_is_refused(scan) -> None:
    states = []
    solve(scan, replace(SHORT, epochs=1), save=states.append)
    with pytest.raises(Refused, match="resume with those that it was made with"):
        solve(scan, replace(SHORT, padding=SHORT.padding + 1), resume=states[0])


def test_what_cannot_be_solved_is_refused(scan) -> None:
    with pytest.raises(Refused, match=r"the initial object is \(5, 5\), but the canvas of this scan is"):
        solve(scan, SHORT, initial_object=np.ones((5, 5), np.complex64))
    with pytest.raises(Refused, match=r"object_rate 1e\+30 or probe_rate 0\.04 is too large"):
        solve(scan, replace(SHORT, object_rate=1e30))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"epochs": 0}, "epochs is 0; give at least 1"),
        ({"batch": -1}, "batch is -1; give at least 1"),
        ({"loss": "mse"}, "the loss is 'mse'; take one of amplitude, absolute, poisson"),
        ({"refine_positions_from": 0}, "refine_positions_from is 0; epochs are counted from 1"),
        ({"refine_positions_from": 1, "position_range_px": 12}, "at most 11 pixels, one less than the padding"),
        ({"iterations": 5}, r"the settings \['iterations'\] do not fit the solver; it knows epochs, batch"),
    ],
)
def test_settings_that_make_no_sense_are_refused(fields, sentence) -> None:
    with pytest.raises(Refused, match=sentence):
        SolverSettings.from_request(fields)


def test_a_stored_scan_is_solved_to_the_same_bits_in_a_child_process(scan, tmp_path) -> None:
    store = open_store(tmp_path / "store")
    request = {
        "store": str(tmp_path / "store"),
        "scan": store.put(scan).digest,
        "checkpoint": None,
        "settings": {"epochs": 2, "batch": 8},
    }
    told: list[dict[str, float]] = []
    answer = run_child("smalti.ptycho.stored:solve_stored", request, told.append)
    outcome = store.get(answer["digest"])
    assert list(outcome.loss) == [t["loss"] for t in told]
    assert outcome.object.tobytes() == solve(scan, SolverSettings(epochs=2, batch=8)).object.tobytes()


def test_a_run_that_is_killed_is_resumed_to_the_same_digest(scan, tmp_path) -> None:
    store = open_store(tmp_path)
    request = {
        "store": str(tmp_path),
        "scan": store.put(scan).digest,
        "settings": asdict(replace(SHORT, epochs=6)),
        "save_every_s": 0,
    }

    def stop_at_the_third(progress) -> None:
        if "checkpoint" in progress and progress["epoch"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # run_child kills the child with SIGKILL
        run_child("smalti.ptycho.stored:solve_stored", request, stop_at_the_third)
    epochs = []
    resumed = run_child("smalti.ptycho.stored:solve_stored", request, lambda progress: epochs.append(progress["epoch"]))
    assert 4 <= min(epochs) <= 5
    assert resumed["digest"] == store.put(solve(scan, replace(SHORT, epochs=6))).digest
    assert not list(store.names())  # no state is left
