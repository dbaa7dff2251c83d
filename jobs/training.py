"""MLX training as ops, and the checkpoint assets made of them: of scans, of tables, and of the trials of a sweep."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import dagster as dg
import numpy as np
from pydantic import Field, create_model

from assets import checkpoints
from assets.previews import numbers_of, picture, records
from assets.trials import settings_of
from resources import Compute, StoreResource
from smalti import Checkpoint, Ref
from smalti.ptycho.report.previews import loss_preview
from smalti.tabular.report.previews import history_preview, metric_shown
from smalti.tabular.settings import BertSettings


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


ptycho_checkpoint = checkpoints.ptycho_checkpoint(train_ptycho_network)

BertConfig = create_model(
    "BertConfig",
    __base__=dg.Config,
    **{f.name: (type(f.default), Field(f.default, description=f.metadata["help"])) for f in fields(BertSettings)},
)


@dg.op(description="Settle what is trained, so that the run's log and the checkpoint agree.")
def bert_request(config: BertConfig, split: Ref) -> dict[str, Any]:
    return {"split": split.digest, "settings": config.model_dump()}


@dg.op(description="Take the settings of this trial.")
def trial_request(context: dg.OpExecutionContext, store: StoreResource, split: Ref) -> dict[str, Any]:
    return {"split": split.digest, "settings": settings_of(store.open(), context.partition_key)}


@dg.op(description="Train in a child process; nothing else ever imports mlx.", tags={"dagster/compute_kind": "mlx"})
def train_bert(context: dg.OpExecutionContext, compute: Compute, request: dict[str, Any]) -> dict[str, Any]:
    return compute.run(context.log, "smalti.tabular.stored:train_stored", on_progress=_plotted(context), **request)


@dg.op(description="Show how the training went and hand the checkpoint over.")
def finished_bert(context: dg.OpExecutionContext, store: StoreResource, trained: dict[str, Any]) -> Ref:
    checkpoint: Checkpoint = store.open().get(trained["digest"])
    reached: dict[str, Any] = checkpoint.state["history"][-1]
    history = store.open().open(trained["last"]).attrs["state"]["history"]
    context.add_output_metadata(
        {
            **numbers_of(reached),
            "curves": picture(history_preview(history, metric_shown(reached)), "loss and metric by epoch"),
            "history": records([{"epoch": entry["epoch"], **entry} for entry in history]),
            "parameters": sum(tensor.size for tensor in checkpoint.model.values()),
            "settings": dg.MetadataValue.json(checkpoint.config["table"]["settings"]),
            "ran_on": dg.MetadataValue.json(checkpoint.state["environments"]),
        }
    )
    return replace(store.open().ref(trained["digest"]), new_bytes=trained["new_bytes"])


@dg.graph
def train_table_bert(split: Ref) -> Ref:
    return finished_bert(train_bert(bert_request(split)))


@dg.graph
def train_trial_bert(split: Ref) -> Ref:
    return finished_bert(train_bert(trial_request(split)))


def _plotted(context: dg.OpExecutionContext) -> Callable[[dict[str, Any]], None]:
    """Return what records the numbers of every epoch as an observation, which Dagster plots while training goes on."""
    (asset,) = context.selected_asset_keys or {dg.AssetKey("bert_checkpoint")}

    def observe(progress: dict[str, Any]) -> None:
        if "loss" in progress:
            context.log_event(
                dg.AssetObservation(asset, partition=context.partition_key, metadata=numbers_of(progress))
            )

    return observe


bert_checkpoint = checkpoints.bert_checkpoint(train_table_bert)
bert_trial = checkpoints.bert_trial(train_trial_bert)
