"""A network that reconstructs a scan, trained on the scan's own patterns through the physics, without ground truth.

Source of the idea: PtychoPINN (see ``smalti.models.ptychography``). Its overlap constraint is here too: the patches of
neighbouring patterns are merged, and what they agree on has to explain each pattern.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from smalti import canonical
from smalti.canonical import Json
from smalti.codecs.checkpoint import Checkpoint
from smalti.codecs.scan import Scan
from smalti.contracts import passed
from smalti.errors import Refused
from smalti.models.ptychography import TOKENS_PER_SIDE, Network, PtychographyConfig, from_config
from smalti.ptycho.overlap import Experiment, Indexes, misfit
from smalti.training import TrainingSettings
from smalti.training.environment import describe_environment
from smalti.training.loop import Report, train


def train_network(
    scan: Scan,
    train_index: Indexes,
    validation_index: Indexes,
    settings: TrainingSettings,
    resume: Checkpoint | None = None,
    report: Report = lambda _: None,
    save: Callable[[Checkpoint], None] = lambda _: None,
) -> Checkpoint:
    """Train a network on the patterns of ``train_index`` and return its last checkpoint.

    Losses are R-factors, sum(abs(A - D)) / sum(D). The validation loss is that of the validation patterns against
    the object stitched from the patterns of both sets.

    Args:
        scan: needs a probe guess, which is trusted except for its scale.
        train_index, validation_index: which patterns of the scan, counted from 0.
        settings, resume, report, save: as ``smalti.training.loop.train`` takes them.

    Raises:
        Refused: no probe guess, patterns smaller than 8 pixels, an index that is
            empty or reaches outside the scan, or what ``train`` refuses.
    """
    return train(ScanTask(scan, train_index, validation_index, settings.batch), settings, resume, report, save)


def predict_object(scan: Scan, checkpoint: Checkpoint, padding: int) -> NDArray[np.complex64]:
    """Return the object stitched from all patterns, on the canvas that ``place`` makes with this ``padding``.

    Every patch counts by the intensity of its probe; a pixel that no probe reaches is 1 + 0j.

    Raises:
        Refused: no probe guess, or a checkpoint of another model or window.
    """
    experiment = Experiment(scan, padding)
    network = from_config(checkpoint.config)
    if network.config.window > min(scan.diffraction.shape[1:]):
        raise Refused(
            f"the checkpoint writes patches of {network.config.window} pixels, but the patterns of the scan "
            f"{scan.metadata.name} are {scan.diffraction.shape[1:]}; train a network on this scan."
        )
    network.load_weights([(name, mx.array(array)) for name, array in checkpoint.model.items()])
    stitched = experiment.stitch(network, np.arange(len(scan.diffraction)))
    return np.array(stitched).reshape(experiment.placement.canvas.shape)


class ScanTask:
    """The ``smalti.training.loop.Task`` of one scan: each step takes a random position and its nearest ones."""

    def __init__(self, scan: Scan, train_index: Indexes, validation_index: Indexes, batch: int) -> None:
        for name, index in (("train", train_index), ("validation", validation_index)):
            if index.size == 0 or index.min() < 0 or index.max() >= len(scan.diffraction):
                raise Refused(
                    f"the {name} index is empty or reaches outside the {len(scan.diffraction)} patterns of the scan "
                    f"{scan.metadata.name}; split this scan again."
                )
        self._experiment = Experiment(scan)
        self._config = PtychographyConfig(self._experiment.lit_side(TOKENS_PER_SIDE))
        self._neighbours = train_index.astype(np.int64)[
            nearest(scan.xcoords[train_index], scan.ycoords[train_index], batch)
        ]
        self._validation, self._all = validation_index, np.union1d(train_index, validation_index)

    @property
    def model_config(self) -> Mapping[str, Json]:
        return asdict(self._config)

    def build(self) -> Network:
        return Network(self._config)

    def order(self, rng: np.random.Generator) -> NDArray[np.int64]:
        positions, batch = self._neighbours.shape
        return self._neighbours[rng.permutation(positions)[: positions // batch]]

    def batch(self, samples: Indexes) -> tuple[NDArray[Any], ...]:
        return self._experiment.arrays(samples)

    def loss(self, network: Network, *arrays: mx.array) -> mx.array:
        exposures = self._experiment.expose(*arrays)
        merged = self._experiment.empty_object().with_patches(network, exposures).at(exposures.pixels)
        difference, measured = misfit(merged, exposures)
        return difference / measured

    def validation_loss(self, network: Network) -> float:
        stitched = self._experiment.stitch(network, self._all)
        sums = [misfit(stitched[e.pixels], e) for e in self._experiment.in_chunks(self._validation)]
        difference, measured = np.array(sums).sum(axis=0)
        return float(difference / measured)


def nearest(xcoords: NDArray[np.float64], ycoords: NDArray[np.float64], batch: int) -> NDArray[np.int64]:
    """Return (N, batch) positions: for each its nearest, itself among them; (N, N) when there are fewer."""
    batch = min(batch, len(xcoords))
    groups = np.empty((len(xcoords), batch), dtype=np.int64)
    for group, x, y in zip(groups, xcoords, ycoords, strict=True):
        group[:] = np.sort(np.argpartition(np.hypot(xcoords - x, ycoords - y), batch - 1)[:batch])
    return groups


def train_stored(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Train on a stored scan and store what comes out; a function for :func:`smalti.compute.run_child`.

    Checkpoints on the way get a name made of the request and of what it runs on. A run that died is gone on with from
    the last of them, to the same bits.

    Args:
        request: ``store`` (path), ``scan`` (digest), ``split`` (digest of a tree with ``train`` and ``validation``)
            and ``settings`` (fields of TrainingSettings).
        report: also gets ``{"checkpoint": digest, "epoch": epoch}`` for every checkpoint on the way.

    Returns:
        ``{"digest": digest, "new_bytes": bytes added}`` of the last Checkpoint.

    Raises:
        NotFound: nothing in the store answers to a digest.
        Refused: an unknown setting, or what ``train_network`` refuses.
    """
    from smalti import open_store

    store = open_store(request["store"])
    settings = TrainingSettings.from_request(request["settings"])
    split = store.get(request["split"])
    name = _progress_name(request["scan"], request["split"], settings)

    def save(checkpoint: Checkpoint) -> None:
        report({"checkpoint": store.put(checkpoint, name).digest, "epoch": checkpoint.state["epoch"]})

    resume = store.get(name) if store.versions(name) else None
    last = train_network(
        store.get(request["scan"]), split["train"], split["validation"], settings, resume, report, save
    )
    ref = store.put(passed(last, "the trained network"))
    return {"digest": ref.digest, "new_bytes": ref.new_bytes}


def _progress_name(scan: str, split: str, settings: TrainingSettings) -> str:
    """Return the name of a run's checkpoints: another machine or version would not go on to the same bits."""
    what = {"scan": scan, "split": split, "settings": asdict(settings), "on": describe_environment()}
    return f"training/{hashlib.sha256(canonical.dumps(what)).hexdigest()[:32]}"
