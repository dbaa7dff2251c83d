"""Train a network on the patterns of one scan, unsupervised through the forward model, and predict its object.

As in PtychoPINN (see ``smalti.models.ptychography``), overlapping patches are merged, and the merged object has to
explain each pattern. A scan with true patches (``Y``) may train a network supervised instead, on those.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from smalti.canonical import Json
from smalti.codecs.checkpoint import Checkpoint
from smalti.codecs.scan import Scan
from smalti.errors import Refused
from smalti.models.ptychography import TOKENS_PER_SIDE, Network, PtychographyConfig, from_config
from smalti.ptycho.network.exposures import patch_error_sums, r_factor_sums
from smalti.ptycho.network.grouping import covering, group_positions, nearest
from smalti.ptycho.network.overlap import Experiment, Indexes, Overlap
from smalti.training import TrainingSettings
from smalti.training.loop import Report, Trained, train
from smalti.training.tensors import load_weights


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """The settings of the network beside those of its training.

    Attributes:
        gridsize: a group of gridsize**2 neighbouring patterns is one input.
        candidates: number of nearest positions that a group is chosen from; gridsize**2 when None.
        iterations: unrolled iterations, each with weights of its own.
        supervised: train on the true patches of the scan instead of its patterns.
    """

    gridsize: int = 1
    candidates: int | None = None
    iterations: int = 3
    supervised: bool = False

    @classmethod
    def from_request(cls, chosen: Mapping[str, Json]) -> NetworkSettings:
        """Return the defaults with what was ``chosen``.

        Raises:
            Refused: a name that is no setting, listing those that are.
        """
        names = [f.name for f in fields(cls)]
        if unknown := sorted(set(chosen) - set(names)):
            raise Refused(f"{', '.join(unknown)} is no setting of the network; there are {', '.join(names)}.")
        return cls(**chosen)  # type: ignore[arg-type]


def train_network(
    scan: Scan,
    train_index: Indexes,
    validation_index: Indexes,
    settings: TrainingSettings,
    network: NetworkSettings = NetworkSettings(),
    report: Report = lambda _: None,
) -> Trained:
    """Train a network on the patterns of ``train_index`` and return its last and its best checkpoint.

    The loss of a step is the mean over the iterations, with the last one twice, of the R-factor of the merged object,
    sum(abs(A - D)) / sum(D), or of the relative error of its patches if supervised. The validation loss is that of the
    validation patterns after the last iteration, with the object stitched from the patterns of both sets.

    Args:
        scan: needs a probe guess, which is used as it is except for its scale. Its arrays may be lazy.
        train_index, validation_index: (n,) indexes of patterns, from 0.
        settings, report: as ``smalti.training.loop.train`` takes them.
        network: the settings of the network.

    Raises:
        Refused: fewer than two patterns, patterns smaller than 8 pixels, no probe guess, no patches to be supervised
            by, an index that is empty or reaches outside the scan, fewer positions than a group has, or what ``train``
            refuses.
    """
    return train(ScanTask(scan, train_index, validation_index, settings, network), settings, report=report)


def predict_object(scan: Scan, checkpoint: Checkpoint, padding: int) -> NDArray[np.complex64]:
    """Return the object stitched from all patterns, on the canvas that ``place`` makes with this ``padding``.

    Patches are weighted by the intensity of their probe; a pixel outside all patches is 1 + 0j. Patterns are read in
    blocks, so that a scan with a lazy ``diffraction`` may be larger than memory.

    Raises:
        Refused: no probe guess, fewer positions than a group has, a checkpoint of another model or window, or weights
            that do not fit its config.
    """
    experiment = Experiment(scan, padding)
    network = from_config(checkpoint.config)
    if network.config.window > min(scan.diffraction.shape[1:]):
        raise Refused(
            f"the network of the checkpoint has patches of {network.config.window} pixels, but the patterns of the "
            f"scan {scan.metadata.name} are {scan.diffraction.shape[1:]}; train a network on this scan."
        )
    load_weights(network, checkpoint.model)
    stitched = experiment.stitch(network, _every_position(scan, network.config.gridsize))
    return np.array(stitched).reshape(experiment.shape)


def _every_position(scan: Scan, gridsize: int, some: Indexes | None = None) -> NDArray[np.int64]:
    """Return indexes, group after group of nearest positions, so that each position (of ``some``) occurs."""
    some = np.arange(len(scan.xcoords)) if some is None else some
    groups = covering(group_positions(scan.xcoords[some], scan.ycoords[some], gridsize, gridsize**2))
    return some.astype(np.int64)[groups].reshape(-1)


class ScanTask:
    """The ``smalti.training.loop.Task`` of one scan: each step takes a random group and the groups nearest to it.

    The patterns of a step are explained by one merged object, so they cannot be shared between ranks.
    """

    tokenizer = ""
    separable = False

    def __init__(
        self,
        scan: Scan,
        train_index: Indexes,
        validation_index: Indexes,
        settings: TrainingSettings,
        network: NetworkSettings,
    ) -> None:
        if len(scan.xcoords) < 2:
            raise Refused(
                f"the scan {scan.metadata.name} has {len(scan.xcoords)} pattern, but a network takes one to train on "
                "and another to validate with; reconstruct this scan without a network."
            )
        for name, index in (("train", train_index), ("validation", validation_index)):
            if index.size == 0 or index.min() < 0 or index.max() >= len(scan.xcoords):
                raise Refused(
                    f"the {name} index is empty or reaches outside the {len(scan.xcoords)} patterns of the scan "
                    f"{scan.metadata.name}; split this scan again."
                )
        self._experiment = Experiment(scan, supervised=network.supervised)
        window = self._experiment.lit_side(TOKENS_PER_SIDE)
        self._config = PtychographyConfig(window, network.gridsize, network.iterations)
        self._settings = network
        x, y = scan.xcoords[train_index], scan.ycoords[train_index]
        members = network.gridsize**2
        candidates = members if network.candidates is None else network.candidates
        groups = covering(group_positions(x, y, network.gridsize, candidates, settings.seed))
        self._groups_per_step = max(1, settings.batch // members)
        beside = nearest(x[groups].mean(axis=1), y[groups].mean(axis=1), self._groups_per_step)
        self._steps = train_index.astype(np.int64)[groups[beside]].reshape(len(groups), -1)
        self._extent = self._experiment.extent(self._steps)
        self._validation = validation_index
        self._all = _every_position(scan, network.gridsize, np.union1d(train_index, validation_index))
        self._error_sums = patch_error_sums if network.supervised else r_factor_sums

    @property
    def model_config(self) -> Mapping[str, Json]:
        return {
            **asdict(self._config),
            "candidates": self._settings.candidates,
            "supervised": self._settings.supervised,
        }

    def build(self) -> Network:
        return Network(self._config)

    def order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        groups = len(self._steps)
        return self._steps[rng.permutation(groups)[: max(1, groups // self._groups_per_step)]]

    def batch(self, samples: Indexes) -> tuple[NDArray[Any], ...]:
        amplitude, corners, *others = self._experiment.arrays(samples)
        return amplitude, corners - corners.min(axis=0), *others

    def loss(self, network: Network, *arrays: mx.array) -> mx.array:
        """Return the loss of a batch, on a canvas that holds only its windows."""
        exposures = self._experiment.expose(self._extent[1], *arrays)
        object = mx.ones((math.prod(self._extent),), dtype=mx.complex64)
        losses = []
        for iteration in network.iterations:
            object = Overlap.over(object, self._experiment.faint).with_patches(iteration, exposures).merged()
            error, total = self._error_sums(object[exposures.pixels], exposures)
            losses.append(error / total)
        return (sum(losses) + losses[-1]) / (len(losses) + 1)

    def evaluate(self, network: Network) -> dict[str, float]:
        stitched = self._experiment.stitch(network, self._all)
        exposures = map(self._experiment.exposures, self._experiment.blocks(self._validation))
        sums = [self._error_sums(stitched[e.pixels], e) for e in exposures]
        error, total = np.array(sums).sum(axis=0)
        return {"validation_loss": float(error / total)}
