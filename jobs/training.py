"""Training ops, and the checkpoint asset made of them."""

from dataclasses import replace
from typing import Any

import dagster as dg
import numpy as np

from assets.checkpoints import ptycho_checkpoint as checkpoint_asset
from assets.previews import picture
from resources import Compute, StoreResource
from smalti import Checkpoint, Ref
from smalti.ptycho.report.previews import loss_preview


class TrainingConfig(dg.Config):
    """Attributes:
    epochs: passes over the training positions; few, because the solver refines the predicted object.
    seed: of initial weights and order.
    gridsize: a group of gridsize**2 neighbouring patterns is one input of the network.
    supervised: train on the true patches of the scan instead of its patterns.
    """

    epochs: int = 25
    seed: int = 0
    gridsize: int = 1
    supervised: bool = False


@dg.op(description="Settle what is trained, so that the run's log and the checkpoint agree.")
def training_request(config: TrainingConfig, scan: Ref, split: Ref) -> dict[str, Any]:
    network = {"gridsize", "supervised"}
    return {
        "scan": scan.digest,
        "split": split.digest,
        "settings": config.model_dump(exclude=network),
        "network": config.model_dump(include=network),
    }


@dg.op(description="Train in a child process; nothing else ever imports mlx.", tags={"dagster/compute_kind": "mlx"})
def train_network(context: dg.OpExecutionContext, compute: Compute, request: dict[str, Any]) -> dict[str, Any]:
    return compute.run(context.log, "smalti.ptycho.stored:train_stored", **request)


@dg.op(description="Show how the training went and hand the checkpoint over.")
def finished_checkpoint(context: dg.OpExecutionContext, store: StoreResource, trained: dict[str, Any]) -> Ref:
    checkpoint: Checkpoint = store.open().get(trained["digest"])
    losses = [float(epoch["loss"]) for epoch in checkpoint.state["history"]]
    context.add_output_metadata(
        {
            "loss": picture(loss_preview(np.array(losses)), "training loss by epoch"),
            "parameters": sum(tensor.size for tensor in checkpoint.model.values()),
            "ran_on": dg.MetadataValue.json(checkpoint.state["environments"]),
        }
    )
    return replace(store.open().ref(trained["digest"]), new_bytes=trained["new_bytes"])


@dg.graph
def train_ptycho_network(scan: Ref, split: Ref) -> Ref:
    return finished_checkpoint(train_network(training_request(scan, split)))


ptycho_checkpoint = checkpoint_asset(train_ptycho_network)
