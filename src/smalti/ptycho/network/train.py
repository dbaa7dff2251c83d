"""A network that reconstructs a scan, trained on the scan's own patterns through the physics, without ground truth.

Source of the idea: PtychoPINN (see ``smalti.models.ptychography``). Its overlap constraint is here too: the patches of
neighbouring patterns are merged, and what they agree on has to explain each pattern. Where a scan comes with the true
patches, a network may learn from those instead, as PtychoPINN's supervised model does.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from smalti import canonical
from smalti.canonical import Json
from smalti.codecs.checkpoint import Checkpoint
from smalti.codecs.scan import Scan, open_scan
from smalti.contracts import passed
from smalti.errors import Refused
from smalti.memoize import remembering
from smalti.models.ptychography import TOKENS_PER_SIDE, Network, PtychographyConfig, from_config
from smalti.ptycho.network.exposures import misfit, unlike_the_taught
from smalti.ptycho.network.grouping import covering, group_positions, nearest
from smalti.ptycho.network.overlap import Experiment, Indexes, Overlap
from smalti.training import TrainingSettings
from smalti.training.environment import describe_environment
from smalti.training.loop import Report, train


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """What a person may choose about the network, beside how it is trained.

    Attributes:
        gridsize: it sees gridsize**2 neighbouring patterns at once.
        candidates: how many of the nearest patterns the others of a group are chosen from; gridsize**2 when None.
        looks: how often it looks at the patterns; a look costs about two epochs of the solver.
        supervised: it learns from the patches that come with the scan, not from the patterns.
    """

    gridsize: int = 1
    candidates: int | None = None
    looks: int = 3
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
    resume: Checkpoint | None = None,
    report: Report = lambda _: None,
    save: Callable[[Checkpoint], None] = lambda _: None,
    network: NetworkSettings = NetworkSettings(),
) -> Checkpoint:
    """Train a network on the patterns of ``train_index`` and return its last checkpoint.

    The loss is the mean over the looks, the last of which counts double, of how badly the object explains the patterns:
    R-factors, sum(abs(A - D)) / sum(D); or of how unlike the taught patches it is. The validation loss is that of the
    validation patterns after the last look, against the object stitched from the patterns of both sets.

    Args:
        scan: needs a probe guess, which is trusted except for its scale. Its arrays may be lazy.
        train_index, validation_index: which patterns of the scan, counted from 0.
        settings, resume, report, save: as ``smalti.training.loop.train`` takes them.
        network: what is trained.

    Raises:
        Refused: no probe guess, patterns smaller than 8 pixels, no patches to be supervised by, an index that is empty
            or reaches outside the scan, fewer positions than a group has, or what ``train`` refuses.
    """
    task = ScanTask(scan, train_index, validation_index, settings, network)
    return train(task, settings, resume, report, save)


def predict_object(scan: Scan, checkpoint: Checkpoint, padding: int) -> NDArray[np.complex64]:
    """Return the object stitched from all patterns, on the canvas that ``place`` makes with this ``padding``.

    Every patch counts by the intensity of its probe; a pixel that no probe reaches is 1 + 0j. Patterns are read in
    blocks, so that a scan with a lazy ``diffraction`` may be larger than memory.

    Raises:
        Refused: no probe guess, fewer positions than a group has, a checkpoint of another model or window, or weights
            that do not fit its config.
    """
    experiment = Experiment(scan, padding)
    network = from_config(checkpoint.config)
    if network.config.window > min(scan.diffraction.shape[1:]):
        raise Refused(
            f"the checkpoint writes patches of {network.config.window} pixels, but the patterns of the scan "
            f"{scan.metadata.name} are {scan.diffraction.shape[1:]}; train a network on this scan."
        )
    try:
        network.load_weights([(name, mx.array(array)) for name, array in checkpoint.model.items()])
    except ValueError as error:
        raise Refused(
            f"the weights of the checkpoint are not those that its config describes ({error}); train the network again."
        ) from error
    stitched = experiment.stitch(network, _every_position(scan, network.config.gridsize))
    return np.array(stitched).reshape(experiment.shape)


def _every_position(scan: Scan, gridsize: int, some: Indexes | None = None) -> NDArray[np.int64]:
    """Return every position, or each of ``some``, in groups as close as can be, the members after each other."""
    some = np.arange(len(scan.xcoords)) if some is None else some
    groups = covering(group_positions(scan.xcoords[some], scan.ycoords[some], gridsize, gridsize**2))
    return some.astype(np.int64)[groups].reshape(-1)


class ScanTask:
    """The ``smalti.training.loop.Task`` of one scan: each step takes a random group and its nearest ones."""

    def __init__(
        self,
        scan: Scan,
        train_index: Indexes,
        validation_index: Indexes,
        settings: TrainingSettings,
        network: NetworkSettings,
    ) -> None:
        for name, index in (("train", train_index), ("validation", validation_index)):
            if index.size == 0 or index.min() < 0 or index.max() >= len(scan.xcoords):
                raise Refused(
                    f"the {name} index is empty or reaches outside the {len(scan.xcoords)} patterns of the scan "
                    f"{scan.metadata.name}; split this scan again."
                )
        self._experiment = Experiment(scan, supervised=network.supervised)
        window = self._experiment.lit_side(TOKENS_PER_SIDE)
        self._config = PtychographyConfig(window, network.gridsize, network.looks)
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
        self._misfit = unlike_the_taught if network.supervised else misfit

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
        """Return the loss on a canvas that holds the batch alone; ``mx.compile`` shares what looks and misfits do."""
        exposures = self._experiment.expose(self._extent[1], *arrays)
        object = mx.ones((math.prod(self._extent),), dtype=mx.complex64)
        misfits = []
        for look in network.looks:
            object = Overlap.over(object, self._experiment.faint).with_patches(look, exposures).merged()
            difference, measured = self._misfit(object[exposures.pixels], exposures)
            misfits.append(difference / measured)
        return (sum(misfits) + misfits[-1]) / (len(misfits) + 1)

    def validation_loss(self, network: Network) -> float:
        stitched = self._experiment.stitch(network, self._all)
        exposures = map(self._experiment.exposures, self._experiment.blocks(self._validation))
        sums = [self._misfit(stitched[e.pixels], e) for e in exposures]
        difference, measured = np.array(sums).sum(axis=0)
        return float(difference / measured)


def train_stored(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Train on a stored scan and store what comes out; a function for :func:`smalti.compute.run_child`.

    A scan without a probe guess gets the probe that a search finds.

    Checkpoints on the way get a name made of the request and of what it runs on. A run that died is gone on with from
    the last of them, to the same bits. The grouping is remembered in the store.

    Args:
        request: ``store`` (path), ``scan`` (digest), ``split`` (digest of a tree with ``train`` and ``validation``),
            ``settings`` (fields of TrainingSettings) and, where the defaults do not do, ``network`` (fields of
            NetworkSettings).
        report: also gets ``{"checkpoint": digest, "epoch": epoch}`` for every checkpoint on the way.

    Returns:
        ``{"digest": digest, "new_bytes": bytes added}`` of the last Checkpoint.

    Raises:
        NotFound: nothing in the store answers to a digest.
        Refused: an unknown setting, or what ``train_network`` refuses.
    """
    from smalti import open_store
    from smalti.ptycho.solve.solver import with_probe

    store = open_store(request["store"])
    settings = TrainingSettings.from_request(request["settings"])
    network = NetworkSettings.from_request(request.get("network", {}))
    split = store.get(request["split"])
    name = _progress_name(request["scan"], request["split"], settings, network)

    def save(checkpoint: Checkpoint) -> None:
        report({"checkpoint": store.put(checkpoint, name).digest, "epoch": checkpoint.state["epoch"]})

    resume = store.get(name) if store.versions(name) else None
    with remembering(store):
        scan = with_probe(open_scan(store, request["scan"]), report)
        last = train_network(scan, split["train"], split["validation"], settings, resume, report, save, network)
    ref = store.put(passed(last, "the trained network"))
    return {"digest": ref.digest, "new_bytes": ref.new_bytes}


def _progress_name(scan: str, split: str, settings: TrainingSettings, network: NetworkSettings) -> str:
    """Return the name of a run's checkpoints: another machine or version would not go on to the same bits."""
    what = {
        "scan": scan,
        "split": split,
        "settings": asdict(settings),
        "network": asdict(network),
        "on": describe_environment(),
    }
    return f"training/{hashlib.sha256(canonical.dumps(what)).hexdigest()[:32]}"
