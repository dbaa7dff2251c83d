"""Entry points for child processes: train a network, reconstruct, and compare split halves of a stored scan.

Each is called by :func:`smalti.compute.run_child` with a JSON request and stores its result. A training or a
reconstruction that was killed is resumed from its last stored state and ends in the same bits as without that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from itertools import count
from typing import Any

from smalti import open_store
from smalti.codecs.reconstruction import Reconstruction
from smalti.codecs.scan import Scan, open_scan
from smalti.memoize import remembering
from smalti.ptycho.evaluate.split_halves import split_half_frc
from smalti.ptycho.network.train import NetworkSettings, ScanTask, predict_object
from smalti.ptycho.solve.solver import SolverSettings, SolverState, solve, with_probe_guess
from smalti.training import TrainingSettings
from smalti.training.resumable import state_name, train_in_store

Report = Callable[[dict[str, Any]], None]

SAVE_EVERY_s = 60.0


def train_stored(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Train a network on a stored scan and store the checkpoint to predict with.

    A scan without a probe guess gets the probe that a search finds. The grouping of positions is memoized in the store.

    Args:
        request: ``store`` (path), ``scan`` (digest), ``split`` (digest of a tree with ``train`` and ``validation``),
            ``settings`` (fields of TrainingSettings) and, optionally, ``network`` (fields of NetworkSettings).
        report: as ``train_in_store`` takes it.

    Returns:
        ``{"digest": digest, "new_bytes": bytes added}`` of the last Checkpoint, or, with a ``patience`` after which
        training stops, of the best.

    Raises:
        NotFound: nothing in the store answers to a digest.
        Refused: an unknown setting, or what ``ScanTask`` or ``train_in_store`` refuses.
    """
    store = open_store(request["store"])
    settings = TrainingSettings.from_request(request["settings"])
    network = NetworkSettings.from_request(request.get("network", {}))
    split = store.get(request["split"])
    identity = {"scan": request["scan"], "split": request["split"], "network": asdict(network)}
    with remembering(store):
        scan = with_probe_guess(open_scan(store, request["scan"]), report)
        task = ScanTask(scan, split["train"], split["validation"], settings, network)
        stored = train_in_store(store, task, settings, identity, report)
    ref = stored.best if settings.patience else stored.last
    return {"digest": ref.digest, "new_bytes": ref.new_bytes}


def solve_stored(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Reconstruct a stored scan and store the reconstruction.

    Patterns are read from the store as they are needed. With a checkpoint, the initial object is that which its
    network predicts from the scan's probe guess or, where there is none, from the probe that a search finds.

    Args:
        request: ``store`` (path), ``scan`` (digest), ``settings`` (fields of SolverSettings) and, optionally,
            ``checkpoint`` (digest of a trained network) and ``save_every_s``, the least time between stored states.
        report: also gets ``{"checkpoint": digest, "epoch": epoch}`` for every state that was stored.

    Returns:
        ``{"digest": digest, "new_bytes": bytes added}`` of the Reconstruction.

    Raises:
        NotFound: nothing in the store answers to a digest.
        Refused: an unknown setting, or what ``solve`` or ``predict_object`` refuses.
    """
    store = open_store(request["store"])
    settings = SolverSettings.from_request(request["settings"])
    scan, checkpoint = open_scan(store, request["scan"]), request.get("checkpoint")
    identity = {"scan": request["scan"], "checkpoint": checkpoint, "settings": asdict(settings), "state": 2}
    name = state_name("solving", identity)
    saved = time.monotonic()

    def save(state: SolverState) -> None:
        nonlocal saved
        if time.monotonic() - saved >= request.get("save_every_s", SAVE_EVERY_s):
            report({"checkpoint": store.put(state.to_tree(), name).digest, "epoch": len(state.losses)})
            saved = time.monotonic()

    resume = SolverState.from_stored(store.get(name)) if store.versions(name) else None
    initial_object = None
    if resume is None and checkpoint is not None:
        with_probe = with_probe_guess(scan, report)
        initial_object = predict_object(with_probe, store.get(checkpoint), settings.padding)
        scan = with_probe if settings.search_probe is None else scan
    ref = store.put(solve(scan, settings, initial_object, report, resume=resume, save=save))
    store.forget(name)
    return {"digest": ref.digest, "new_bytes": ref.new_bytes}


def frc_stored(request: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Store the Fourier ring correlation of the split halves of a stored scan.

    Args:
        request: ``store`` (path), ``scan`` (digest) and ``settings`` (fields of SolverSettings).
        report: is called as ``solve`` calls it, with ``half`` (1 or 2) added.

    Returns:
        ``{"digest": digest, "new_bytes": bytes added, "metrics": FrcResult.metrics()}``; what is stored is read by
        :meth:`FrcResult.from_stored`.

    Raises:
        NotFound: nothing in the store answers to the digest.
        Refused: an unknown setting, or what ``split_half_frc`` or ``solve`` refuses.
    """
    store = open_store(request["store"])
    settings = SolverSettings.from_request(request["settings"])
    numbers = count(1)

    def reconstruct(half: Scan) -> Reconstruction:
        number = next(numbers)
        return solve(half, settings, report=lambda progress: report({"half": number, **progress}))

    found = split_half_frc(open_scan(store, request["scan"]), reconstruct)
    ref = store.put(found.to_tree())
    return {"digest": ref.digest, "new_bytes": ref.new_bytes, "metrics": found.metrics()}
