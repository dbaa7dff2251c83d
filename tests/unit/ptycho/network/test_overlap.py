"""Laws of the inputs of the network, of its error sums, and of stitching its patches."""

from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest

from smalti.models.ptychography import Network, PtychographyConfig
from smalti.ptycho.evaluate import metrics
from smalti.ptycho.geometry import place
from smalti.ptycho.network.exposures import patch_error_sums, r_factor_sums, rpie_update
from smalti.ptycho.network.overlap import Experiment, rows_of
from smalti.ptycho.optics.probe import initial_probe
from smalti.simulation import patches_of, simulate_scan


@pytest.fixture(scope="module")
def scan():
    return simulate_scan("seen", positions_per_side=6, window=32)


def exposures_of(scan, **options):
    return Experiment(scan, **options).exposures(np.arange(len(scan.diffraction)))


def true_patches(scan) -> mx.array:
    """The true patches, scaled to the initial probe, which has the photons that the object transmits."""
    return mx.array(patches_of(scan) * np.linalg.norm(scan.probe_guess) / np.linalg.norm(initial_probe(scan)))


def test_a_model_that_explains_the_patterns_is_not_updated(scan) -> None:
    exposures = exposures_of(scan)
    empty = mx.ones_like(true_patches(scan))
    beam = mx.abs(mx.fft.fft2(exposures.probe, norm="ortho"))[:, 0]
    np.testing.assert_allclose(rpie_update(empty, replace(exposures, amplitude=beam)), 0, atol=1e-4)


def test_what_the_updates_agree_on_explains_the_patterns_better_than_nothing_and_worse_than_the_truth(scan) -> None:
    experiment, exposures, truth = Experiment(scan), exposures_of(scan), true_patches(scan)
    untrained = Network(PtychographyConfig(window=32, iterations=1))
    updated = experiment.stitch(untrained, np.arange(len(scan.diffraction)))[exposures.pixels]
    fits = [r_factor_sums(patches, exposures) for patches in (mx.ones_like(truth), updated, truth)]
    nothing, some, all = (float(difference / measured) for difference, measured in fits)
    assert nothing > some > all
    assert all < 0.06  # the noise alone


def test_the_ratio_of_the_error_sums_is_the_r_factor(scan) -> None:
    experiment, exposures = Experiment(scan), exposures_of(scan)
    rng = np.random.default_rng(0)
    object = (1 + 0.1 * rng.standard_normal(experiment.shape) + 0.1j * rng.standard_normal(experiment.shape)).astype(
        np.complex64
    )
    canvas = place(scan.xcoords, scan.ycoords, (32, 32), 0).canvas
    expected = metrics.r_factor(
        scan.diffraction, object, initial_probe(scan), scan.xcoords - canvas.origin_x, scan.ycoords - canvas.origin_y
    )
    difference, measured = r_factor_sums(mx.array(object).flatten()[exposures.pixels], exposures)
    assert float(difference / measured) == pytest.approx(expected, rel=1e-4)


def test_a_target_has_no_error_against_itself_at_any_phase(scan) -> None:
    exposures = exposures_of(replace(scan, patches=patches_of(scan)), supervised=True)
    for factor, expected in ((1, 0), (np.exp(2j), 0), (1.5, 0.5)):
        difference, total = patch_error_sums(exposures.target * factor, exposures)
        assert float(difference / total) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("scale", [1, 1e-3, 7])
def test_targets_are_scaled_to_the_probe(scan, scale: float) -> None:
    exposures = exposures_of(replace(scan, patches=patches_of(scan) * np.float32(scale)), supervised=True)
    np.testing.assert_allclose(exposures.target, true_patches(scan), rtol=0.01)


def test_patches_in_groups_are_merged_whatever_the_block(scan, monkeypatch) -> None:
    experiment = Experiment(scan)
    network = Network(PtychographyConfig(window=24, gridsize=2, iterations=2, channels=4))
    groups = np.random.default_rng(0).permutation(36).reshape(-1, 4)
    whole = np.array(experiment.stitch(network, groups.ravel()))
    monkeypatch.setattr("smalti.ptycho.network.overlap.PATTERNS_AT_ONCE", 9)  # two groups, and not three
    np.testing.assert_allclose(experiment.stitch(network, groups.ravel()), whole, atol=1e-4)


class Slices:
    """Rows that can only be sliced, and remember how often they were."""

    def __init__(self, values) -> None:
        self.values, self.read = values, []

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        self.read.append(rows)
        return self.values[rows]


@pytest.mark.parametrize("wanted", [[3, 4, 5], [5, 4, 9, 0], [2, 2, 3, 7, 8], [6]])
def test_rows_come_in_the_order_they_are_wanted_and_neighbours_in_one_read(wanted) -> None:
    values, samples = np.arange(40).reshape(10, 4), np.array(wanted)
    lazy = Slices(values)
    np.testing.assert_array_equal(rows_of(lazy, samples), values[samples])
    np.testing.assert_array_equal(rows_of(values, samples), values[samples])
    assert len(lazy.read) == 1 + np.count_nonzero(np.diff(samples) != 1)
