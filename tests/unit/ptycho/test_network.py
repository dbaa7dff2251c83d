"""Laws of the network on a scan: it learns without labels, and a killed run goes on to the same digest."""

from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest

from smalti import open_store
from smalti.compute import run_child
from smalti.datasets.simulators import simulate_scan
from smalti.datasets.splits import split_positions
from smalti.errors import Refused, SmaltiError
from smalti.models.ptychography import Network
from smalti.ptycho import metrics
from smalti.ptycho.geometry import place
from smalti.ptycho.network import ScanTask, nearest, predict_object, train_network
from smalti.ptycho.overlap import Experiment, first_update
from smalti.training import TrainingSettings

SETTINGS = TrainingSettings(epochs=16, batch=8, checkpoint_epochs=4)
PADDING = 12


@pytest.fixture(scope="module")
def scan():
    return simulate_scan("learned", positions_per_side=10, window=32)


@pytest.fixture(scope="module")
def split(scan):
    return split_positions(scan)


@pytest.fixture(scope="module")
def checkpoint(scan, split):
    return train_network(scan, split["train"], split["validation"], SETTINGS)


class Flat(Network):
    """Sees nothing in any pattern."""

    def __call__(self, update: mx.array) -> mx.array:
        return mx.ones_like(update)


def figures(scan, estimate):
    """PSNR and SSIM against the truth, whose pixel [0, 0] has the scan coordinates (0, 0)."""
    canvas = place(scan.xcoords, scan.ycoords, scan.diffraction.shape[1:], PADDING).canvas
    top, left = -round(canvas.origin_y), -round(canvas.origin_x)
    size = min(scan.object_guess.shape[0], estimate.shape[0] - top, estimate.shape[1] - left)
    cropped = estimate[top : top + size, left : left + size]
    area = metrics.scanned_area(scan.xcoords, scan.ycoords)
    return metrics.compare(cropped, scan.object_guess[:size, :size], area)


def test_training_explains_patterns_it_never_trained_on(scan, split, checkpoint) -> None:
    task = ScanTask(scan, split["train"], split["validation"], SETTINGS.batch)
    nothing = task.validation_loss(Flat(task.build().config))
    untrained = task.validation_loss(task.build())
    trained = checkpoint.state["history"][-1]["validation_loss"]
    assert trained < 0.9 * untrained < 0.9 * nothing


def test_the_stitched_object_is_nearer_to_the_truth_than_a_flat_one(scan, checkpoint) -> None:
    predicted = predict_object(scan, checkpoint, PADDING)
    learned, nothing = figures(scan, predicted), figures(scan, np.ones_like(predicted))
    for name in ("phase_psnr_dB", "phase_ssim", "amplitude_psnr_dB", "amplitude_ssim"):
        assert learned[name] > nothing[name], name


def test_the_object_lies_on_the_canvas_of_the_solver_and_is_empty_where_nothing_shone(scan, checkpoint) -> None:
    predicted = predict_object(scan, checkpoint, PADDING)
    canvas = place(scan.xcoords, scan.ycoords, scan.diffraction.shape[1:], PADDING).canvas
    assert predicted.shape == canvas.shape
    assert predicted.dtype == np.complex64
    assert (predicted[:PADDING] == 1).all()
    assert (predicted[:, -PADDING:] == 1).all()


def test_patches_that_differ_by_a_phase_each_are_stitched_as_if_they_did_not(scan, split) -> None:
    rng = np.random.default_rng(0)

    class Turned(Network):
        def __call__(self, update: mx.array) -> mx.array:
            turn_rad = rng.uniform(-1, 1, (len(update), 1, 1))
            return mx.ones_like(update) * mx.array(np.exp(1j * turn_rad).astype(np.complex64))

    config = ScanTask(scan, split["train"], split["validation"], SETTINGS.batch).build().config
    experiment = Experiment(scan)
    stitched = np.array(experiment.stitch(Turned(config), np.arange(len(scan.diffraction))))
    lit = np.abs(stitched.reshape(experiment.placement.canvas.shape)[12:-12, 12:-12])
    assert lit.mean() > 0.99  # 0.84 = sin(1) where the phases are left as they are


def test_the_first_update_of_an_empty_object_is_nothing(scan) -> None:
    experiment = Experiment(scan)
    [exposures] = list(experiment.in_chunks(np.arange(5)))
    empty_beam = mx.sqrt(mx.square(mx.abs(mx.fft.fft2(exposures.probe, norm="ortho"))).sum(axis=1))
    np.testing.assert_allclose(first_update(empty_beam, exposures.probe), 0, atol=1e-4)


def test_each_position_is_grouped_with_its_nearest() -> None:
    x, y = np.array([0.0, 1, 2, 9, 10]), np.zeros(5)
    np.testing.assert_array_equal(nearest(x, y, 2)[[0, 3, 4]], [[0, 1], [3, 4], [3, 4]])
    assert nearest(x, y, 99).shape == (5, 5)


def test_a_step_is_made_of_training_positions_only(scan, split) -> None:
    task = ScanTask(scan, split["train"], split["validation"], SETTINGS.batch)
    order = task.order(np.random.default_rng(0))
    assert order.shape == (len(split["train"]) // SETTINGS.batch, SETTINGS.batch)
    assert np.isin(order, split["train"]).all()


def test_several_probe_modes_train_too(scan, split) -> None:
    modes = np.concatenate([scan.probe_guess, 0.2 * np.roll(scan.probe_guess, 3, axis=-1)])
    settings = replace(SETTINGS, epochs=1)
    trained = train_network(replace(scan, probe_guess=modes), split["train"], split["validation"], settings)
    assert np.isfinite(trained.state["history"][0]["loss"])


def test_a_scan_without_a_probe_is_refused(scan, split) -> None:
    with pytest.raises(Refused, match="the scan learned has no probe guess"):
        train_network(replace(scan, probe_guess=None), split["train"], split["validation"], SETTINGS)


@pytest.mark.parametrize("index", [[], [-1], [100]])
def test_a_split_that_does_not_fit_the_scan_is_refused(scan, split, index: list[int]) -> None:
    with pytest.raises(Refused, match="validation index is empty or reaches outside the 100 patterns"):
        train_network(scan, split["train"], np.array(index, dtype=np.int64), SETTINGS)


def test_a_checkpoint_whose_patches_are_larger_than_the_patterns_is_refused(scan, checkpoint) -> None:
    larger = replace(checkpoint, config={**checkpoint.config, "window": 40})
    with pytest.raises(Refused, match="patches of 40 pixels"):
        predict_object(scan, larger, PADDING)


def test_a_run_that_is_killed_is_gone_on_with_to_the_same_digest(scan, split, checkpoint, tmp_path) -> None:
    store = open_store(tmp_path)
    request = {
        "store": str(tmp_path),
        "scan": store.put(scan).digest,
        "split": store.put(split).digest,
        "settings": {"epochs": 16, "batch": 8, "checkpoint_epochs": 4},
    }
    saved = []

    def stop_at_the_second(progress) -> None:
        if "checkpoint" in progress:
            saved.append(progress["checkpoint"])
        if len(saved) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # run_child kills the child with SIGKILL
        run_child("smalti.ptycho.network:train_stored", request, stop_at_the_second)
    assert store.get(saved[1]).state["epoch"] == 8
    epochs = []
    resumed = run_child(
        "smalti.ptycho.network:train_stored", request, lambda progress: epochs.append(progress["epoch"])
    )
    assert min(epochs) == 9
    assert resumed["digest"] == store.put(checkpoint).digest


def test_an_unknown_setting_reaches_the_parent_as_a_sentence(scan, split, tmp_path) -> None:
    store = open_store(tmp_path)
    request = {"store": str(tmp_path), "scan": store.put(scan).digest, "split": store.put(split).digest}
    with pytest.raises(SmaltiError, match="epoch is no training setting"):
        run_child("smalti.ptycho.network:train_stored", {**request, "settings": {"epoch": 1}})
