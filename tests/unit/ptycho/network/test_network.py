"""Laws of the network on a scan: training lowers the loss, supervised or not, and a killed run ends in equal bits."""

from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest

from smalti import open_store
from smalti.compute import run_child
from smalti.contracts import CHECKPOINT, validated
from smalti.datasets.splits import split_positions
from smalti.errors import Refused
from smalti.ptycho.evaluate import metrics
from smalti.ptycho.geometry import place
from smalti.ptycho.network.train import NetworkSettings, ScanTask, predict_object, train_network
from smalti.ptycho.stored import solve_stored, train_stored
from smalti.simulation import patches_of, simulate_near_field, simulate_scan
from smalti.training import TrainingSettings

SETTINGS = TrainingSettings(epochs=12, batch=8, checkpoint_epochs=4)
PADDING = 12


@pytest.fixture(scope="module")
def scan():
    return simulate_scan("learned", positions_per_side=9, window=32)


@pytest.fixture(scope="module")
def split(scan):
    return split_positions(scan)


@pytest.fixture(scope="module")
def checkpoint(scan, split):
    return train_network(scan, split["train"], split["validation"], SETTINGS).last


def task_of(scan, split, **settings) -> ScanTask:
    return ScanTask(scan, split["train"], split["validation"], SETTINGS, NetworkSettings(**settings))


def figures(scan, estimate):
    """PSNR and SSIM against the truth, whose pixel [0, 0] has the scan coordinates (0, 0)."""
    canvas = place(scan.xcoords, scan.ycoords, scan.diffraction.shape[1:], PADDING).canvas
    top, left = -round(canvas.origin_y), -round(canvas.origin_x)
    size = min(scan.object_guess.shape[0], estimate.shape[0] - top, estimate.shape[1] - left)
    cropped = estimate[top : top + size, left : left + size]
    area = metrics.scanned_area(scan.xcoords, scan.ycoords)
    return metrics.compare(cropped, scan.object_guess[:size, :size], area)


def test_training_explains_patterns_it_never_trained_on(scan, split, checkpoint) -> None:
    task = task_of(scan, split)
    untrained = task.evaluate(task.build())["validation_loss"]
    assert checkpoint.state["history"][-1]["validation_loss"] < 0.9 * untrained


def test_each_iteration_is_nearer_to_the_truth_than_the_one_before(scan, checkpoint) -> None:
    found = [np.ones_like(predict_object(scan, checkpoint, PADDING))]
    found += [predict_object(scan, first_iterations(checkpoint, iterations), PADDING) for iterations in (1, 2, 3)]
    for name in ("phase_psnr_dB", "phase_ssim", "amplitude_psnr_dB", "amplitude_ssim"):
        values = [figures(scan, estimate)[name] for estimate in found]
        assert values == sorted(values), name


def first_iterations(checkpoint, iterations: int):
    """The checkpoint of a network with fewer iterations."""
    config = {**checkpoint.config, "iterations": iterations}
    kept = {name: array for name, array in checkpoint.model.items() if int(name.split(".")[1]) < iterations}
    return replace(checkpoint, config=config, model=kept)


def test_the_object_lies_on_the_canvas_of_the_solver_and_is_empty_where_nothing_shone(scan, checkpoint) -> None:
    predicted = predict_object(scan, checkpoint, PADDING)
    canvas = place(scan.xcoords, scan.ycoords, scan.diffraction.shape[1:], PADDING).canvas
    assert predicted.shape == canvas.shape
    assert predicted.dtype == np.complex64
    assert (predicted[:PADDING] == 1).all()
    assert (predicted[:, -PADDING:] == 1).all()


@pytest.mark.parametrize("chosen", [{"gridsize": 2}, {"gridsize": 2, "candidates": 7}, {"iterations": 1}])
def test_other_settings_train_too(scan, split, chosen) -> None:
    settings = replace(SETTINGS, epochs=4)
    trained = train_network(scan, split["train"], split["validation"], settings, NetworkSettings(**chosen)).last
    task = task_of(scan, split, **chosen)
    assert trained.state["history"][-1]["validation_loss"] < task.evaluate(task.build())["validation_loss"]
    assert trained.config["gridsize"] == chosen.get("gridsize", 1)
    predicted = predict_object(scan, trained, PADDING)
    assert figures(scan, predicted)["phase_ssim"] > figures(scan, np.ones_like(predicted))["phase_ssim"]


def test_supervised_training_is_nearer_to_the_truth(scan, split, checkpoint) -> None:
    taught, network = replace(scan, patches=patches_of(scan)), NetworkSettings(supervised=True)
    supervised = train_network(taught, split["train"], split["validation"], SETTINGS, network).last
    with_truth, alone = (figures(scan, predict_object(scan, c, PADDING)) for c in (supervised, checkpoint))
    assert all(with_truth[name] > alone[name] for name in alone), (with_truth, alone)


def test_the_phase_of_a_true_patch_does_not_matter(scan, split) -> None:
    patches = patches_of(scan)
    turn_rad = np.random.default_rng(0).uniform(-3, 3, (len(patches), 1, 1))
    turned = (patches * np.exp(1j * turn_rad)).astype(np.complex64)
    losses = []
    for taught in (patches, turned):
        task = task_of(replace(scan, patches=taught), split, supervised=True)
        losses.append(task.evaluate(task.build())["validation_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_supervision_without_patches_is_refused(scan, split) -> None:
    with pytest.raises(Refused, match=r"the scan learned has no patches \(Y\) to learn from"):
        task_of(scan, split, supervised=True)


@pytest.mark.parametrize(("gridsize", "groups_per_step"), [(1, 8), (2, 2), (3, 1)])
def test_a_step_is_made_of_whole_groups_of_training_positions(scan, split, gridsize, groups_per_step) -> None:
    order = task_of(scan, split, gridsize=gridsize).order(np.random.default_rng(0))
    assert order.shape[1] == groups_per_step * gridsize**2
    assert np.isin(order, split["train"]).all()
    groups = order.reshape(-1, gridsize**2)
    assert all(len(set(group)) == len(group) for group in groups)


def loss_of(scan, split, samples: int = 8, **settings) -> float:
    task = task_of(scan, split, **settings)
    arrays = [mx.array(array) for array in task.batch(split["train"][:samples])]
    return task.loss(task.build(), *arrays).item()


def test_modes_add_in_intensity(scan, split) -> None:
    """A beam split into two equal modes is the same beam; one split into shifted modes is not."""
    equal, shifted = (np.concatenate([scan.probe_guess, np.roll(scan.probe_guess, n, axis=-1)]) for n in (0, 8))
    one, same, other = (loss_of(replace(scan, probe_guess=p), split) for p in (scan.probe_guess, equal, shifted))
    assert same == pytest.approx(one, rel=1e-3)
    assert other > 1.05 * one


def test_what_a_bad_pixel_says_changes_nothing(scan, split) -> None:
    bad = np.zeros(scan.diffraction.shape[1:], bool)
    bad[10:14, 20] = True
    losses = []
    for value in (0, 1e4):
        patterns = np.where(bad, np.float32(value), scan.diffraction)
        losses.append(loss_of(replace(scan, diffraction=patterns, bad_pixels=bad), split))
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


class LargerThanMemory:
    """Patterns that say so, and are only given a block at a time."""

    nbytes = 2**50

    def __init__(self, patterns) -> None:
        self._patterns, self.shape = patterns, patterns.shape

    def __len__(self) -> int:
        return len(self._patterns)

    def __iter__(self):
        return iter(self._patterns)

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        assert rows.stop - rows.start <= 64
        return self._patterns[rows]


def test_patterns_that_do_not_fit_into_memory_give_the_same_as_those_that_do(scan, split, checkpoint) -> None:
    larger = replace(scan, diffraction=LargerThanMemory(scan.diffraction))
    np.testing.assert_array_equal(predict_object(larger, checkpoint, 0), predict_object(scan, checkpoint, 0))
    settings = replace(SETTINGS, epochs=1)
    first, second = (train_network(s, split["train"], split["validation"], settings) for s in (larger, scan))
    assert first.last.state["history"] == second.last.state["history"]


def test_a_stored_scan_may_be_lazy(scan, checkpoint, tmp_path) -> None:
    store = open_store(tmp_path)
    lazy = replace(scan, diffraction=store.open(store.put(scan.diffraction)))
    np.testing.assert_array_equal(predict_object(lazy, checkpoint, 0), predict_object(scan, checkpoint, 0))


def test_a_scan_without_a_probe_is_refused(scan, split) -> None:
    with pytest.raises(Refused, match="the scan learned has no probe guess"):
        task_of(replace(scan, probe_guess=None), split)


def test_patterns_in_the_near_field_are_learned_too() -> None:
    near = simulate_near_field("near", positions_per_side=5, window=32)
    split = split_positions(near)
    task = ScanTask(near, split["train"], split["validation"], SETTINGS, NetworkSettings())
    settings = replace(SETTINGS, epochs=8)
    trained = train_network(near, split["train"], split["validation"], settings).last
    assert trained.state["history"][-1]["validation_loss"] < task.evaluate(task.build())["validation_loss"]


@pytest.mark.parametrize("index", [[], [-1], [81]])
def test_a_split_that_does_not_fit_the_scan_is_refused(scan, split, index: list[int]) -> None:
    with pytest.raises(Refused, match="validation index is empty or reaches outside the 81 patterns"):
        train_network(scan, split["train"], np.array(index, dtype=np.int64), SETTINGS)


def test_a_checkpoint_whose_patches_are_larger_than_the_patterns_is_refused(scan, checkpoint) -> None:
    larger = replace(checkpoint, config={**checkpoint.config, "window": 40})
    with pytest.raises(Refused, match="patches of 40 pixels"):
        predict_object(scan, larger, PADDING)


def test_a_checkpoint_whose_weights_are_of_another_layout_is_refused(scan, checkpoint) -> None:
    wider = replace(checkpoint, config={**checkpoint.config, "channels": 48})
    with pytest.raises(
        Refused, match=r"the weights are not those of this Network .*; build the network that they are of, or train"
    ):
        predict_object(scan, wider, PADDING)


def test_a_run_that_is_killed_is_resumed_to_the_same_digest(scan, split, tmp_path) -> None:
    store = open_store(tmp_path)
    request = {
        "store": str(tmp_path),
        "scan": store.put(scan).digest,
        "split": store.put(split).digest,
        "settings": {"epochs": 3, "batch": 8, "checkpoint_epochs": 1},
    }
    saved = []

    def stop_at_the_second(progress) -> None:
        if "checkpoint" in progress:
            saved.append(progress["checkpoint"])
        if len(saved) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # run_child kills the child with SIGKILL
        run_child("smalti.ptycho.stored:train_stored", request, stop_at_the_second)
    assert store.get(saved[1]).state["epoch"] == 2
    epochs = []
    resumed = run_child("smalti.ptycho.stored:train_stored", request, lambda progress: epochs.append(progress["epoch"]))
    assert epochs == [3]
    straight = train_network(scan, split["train"], split["validation"], TrainingSettings(**request["settings"])).last
    assert resumed["digest"] == store.put(validated(straight, "it")).digest


def test_a_stored_scan_without_a_probe_is_learned_with_the_one_that_a_search_finds(scan, split, tmp_path) -> None:
    store = open_store(tmp_path)
    unknown = store.put(replace(scan, probe_guess=None)).digest
    request = {"store": str(tmp_path), "scan": unknown, "split": store.put(split).digest, "settings": {"epochs": 1}}
    told: list[dict] = []
    trained = train_stored(request, told.append)
    assert [progress["stage"] for progress in told if "trial" in progress]
    assert store.get(trained["digest"]).contract == CHECKPOINT.id
    settings = {"epochs": 2}
    solving = {"store": str(tmp_path), "scan": unknown, "checkpoint": trained["digest"], "settings": settings}
    solved = solve_stored(solving, lambda _: None)
    assert store.get(solved["digest"]).config["initial_object"] == "given"


@pytest.mark.parametrize(
    ("request_part", "sentence"),
    [
        ({"settings": {"epoch": 1}}, "epoch is no training setting"),
        ({"settings": {}, "network": {"grid_size": 2}}, "grid_size is no setting of the network; there are gridsize,"),
    ],
)
def test_an_unknown_setting_is_refused_in_a_sentence(scan, split, tmp_path, request_part, sentence) -> None:
    store = open_store(tmp_path)
    request = {"store": str(tmp_path), "scan": store.put(scan).digest, "split": store.put(split).digest}
    with pytest.raises(Refused, match=sentence):
        train_stored({**request, **request_part}, lambda _: None)


@pytest.mark.parametrize("missing", ["photon_energy_eV", "detector_distance_m", "object_pixel_size_m"])
def test_a_near_field_scan_that_lacks_its_physics_is_refused_in_one_sentence(missing) -> None:
    near = simulate_near_field("near", positions_per_side=3, window=32)
    incomplete = replace(near, metadata=near.metadata.model_copy(update={missing: None}))
    with pytest.raises(Refused, match=f"^scan near is in the near field without {missing}; state it in its card.$"):
        task_of(incomplete, split_positions(near))


def test_one_pattern_trains_no_network(scan) -> None:
    one = replace(
        scan, **{name: getattr(scan, name)[:1] for name in ("diffraction", "xcoords", "ycoords", "scan_index")}
    )
    only = np.array([0])
    with pytest.raises(
        Refused, match="the scan learned has 1 pattern, but a network takes one to train on and another"
    ):
        train_network(one, only, only, SETTINGS)


def test_one_pattern_gets_an_object_from_a_network_of_another_scan(scan, checkpoint) -> None:
    one = replace(
        scan, **{name: getattr(scan, name)[:1] for name in ("diffraction", "xcoords", "ycoords", "scan_index")}
    )
    predicted = predict_object(one, checkpoint, PADDING)
    assert predicted.shape == (32 + 2 * PADDING, 32 + 2 * PADDING)
    assert np.isfinite(predicted).all()
    assert not (predicted == 1).all()
