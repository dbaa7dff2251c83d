"""MLX training as ops, and the checkpoint assets made of them: of scans, of tables, and of the trials of a sweep."""

from collections.abc import Callable
from dataclasses import fields, replace
from enum import Enum
from typing import Any

import dagster as dg
from pydantic import Field, create_model, model_validator

from assets import checkpoints
from assets.code_versions import code_version
from assets.outputs import shown_dataset
from assets.previews import curve, numbers_of, records
from assets.trials import settings_of
from resources import COMPUTE_POOL, Compute, StoreResource
from resources.run_config import StepConfig
from smalti import Checkpoint, Ref
from smalti.errors import Refused
from smalti.ptycho.report.thumbnails import loss_curves
from smalti.tabular.report.outputs import checkpoint_part
from smalti.tabular.report.thumbnails import history_curves
from smalti.tabular.settings import BertSettings

_BERT_CODE = code_version("smalti.tabular", "smalti.models", "smalti.training")


class TrainingConfig(StepConfig, step="ptycho_checkpoint"):
    """How the network of a scan is trained."""

    epochs: int = Field(
        25,
        ge=1,
        description="Passes over the training positions, at least 1; few, because the solver refines the object.",
    )
    seed: int = Field(0, ge=0, description="Decides initial weights and order.")
    gridsize: int = Field(
        1, ge=1, description="A group of gridsize**2 neighbouring patterns is one input of the network."
    )
    supervised: bool = Field(False, description="Train on the true patches of the scan instead of its patterns.")


@dg.op(pool=COMPUTE_POOL, code_version=code_version("smalti.ptycho", "smalti.models", "smalti.training"))
def ptycho_checkpoint(
    context: dg.OpExecutionContext,
    config: TrainingConfig,
    store: StoreResource,
    compute: Compute,
    scan: Ref,
    split: Ref,
) -> Ref:
    """Train in a child process: nothing else ever imports mlx."""
    of_the_network = {"gridsize", "supervised"}
    trained = compute.run(
        context.log,
        "smalti.ptycho.stored:train_stored",
        scan=scan.digest,
        split=split.digest,
        settings=config.model_dump(exclude=of_the_network),
        network=config.model_dump(include=of_the_network),
    )
    values = store.open()
    checkpoint: Checkpoint = values.get(trained["digest"])
    losses = [float(epoch["loss"]) for epoch in checkpoint.state["history"]]
    context.add_output_metadata(
        {"loss": curve(loss_curves(losses), "training loss by epoch", "epoch"), **_described(checkpoint)}
    )
    return replace(values.ref(trained["digest"]), new_bytes=trained["new_bytes"])


class Weights(Enum):
    """Which weights predict."""

    last = "last"
    best = "best"


class _BertConfig(StepConfig):
    """How a BERT is trained on a table."""

    @model_validator(mode="after")
    def _is_allowed(self) -> "_BertConfig":
        try:
            BertSettings.from_request(self.settings())
        except Refused as error:
            raise ValueError(str(error)) from error
        return self

    def settings(self) -> dict[str, Any]:
        """Return the fields of BertSettings."""
        return {name: value.value if isinstance(value, Enum) else value for name, value in self.model_dump().items()}


def _field(name: str, default: Any, about: str) -> tuple[Any, Any]:
    if name == "predict_with":
        return Weights, Field(Weights(default), description=about)
    return type(default), Field(default, description=about)


BertConfig = create_model(
    "BertConfig",
    __base__=_BertConfig,
    __cls_kwargs__={"step": "bert_checkpoint"},
    **{f.name: _field(f.name, f.default, f.metadata["help"]) for f in fields(BertSettings)},
)


@dg.op(pool=COMPUTE_POOL, code_version=_BERT_CODE)
def bert_checkpoint(
    context: dg.OpExecutionContext, config: BertConfig, store: StoreResource, compute: Compute, split: Ref
) -> Ref:
    """Train in a child process: nothing else ever imports mlx."""
    checkpoint, history, ref = _trained_bert(context, store, compute, split, config.settings())
    part = checkpoint_part(checkpoint, ref.digest, {"text_split": split.digest}, history=history)
    context.add_output_metadata(shown_dataset(context, part))
    return ref


@dg.op(pool=COMPUTE_POOL, code_version=_BERT_CODE)
def bert_trial(context: dg.OpExecutionContext, store: StoreResource, compute: Compute, split: Ref) -> Ref:
    """Train with the settings of this trial."""
    *_, ref = _trained_bert(context, store, compute, split, settings_of(store.open(), context.partition_key))
    return ref


def _trained_bert(
    context: dg.OpExecutionContext, store: StoreResource, compute: Compute, split: Ref, settings: dict[str, Any]
) -> tuple[Checkpoint, list[dict[str, Any]], Ref]:
    """Train, say how it went, and return the checkpoint, the history of all epochs and the reference."""
    trained = compute.run(
        context.log,
        "smalti.tabular.stored:train_stored",
        on_progress=_plotted(context),
        split=split.digest,
        settings=settings,
    )
    values = store.open()
    checkpoint: Checkpoint = values.get(trained["digest"])
    history: list[dict[str, Any]] = values.open(trained["last"]).attrs["state"]["history"]
    context.add_output_metadata(
        {
            **numbers_of(checkpoint.state["history"][-1]),
            "curves": curve(history_curves(history), "loss by epoch", "epoch"),
            "history": records([{"epoch": entry["epoch"], **entry} for entry in history]),
            "settings": dg.MetadataValue.json(checkpoint.config["table"]["settings"]),
            **_described(checkpoint),
        }
    )
    return checkpoint, history, replace(values.ref(trained["digest"]), new_bytes=trained["new_bytes"])


def _described(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "parameters": sum(tensor.size for tensor in checkpoint.model.values()),
        "ran_on": dg.MetadataValue.json(checkpoint.state["environments"]),
    }


def _plotted(context: dg.OpExecutionContext) -> Callable[[dict[str, Any]], None]:
    """Return what records the numbers of every epoch as an observation, which Dagster plots while training goes on."""
    (asset,) = context.selected_asset_keys

    def observe(progress: dict[str, Any]) -> None:
        if "loss" in progress:
            context.log_event(
                dg.AssetObservation(asset, partition=context.partition_key, metadata=numbers_of(progress))
            )

    return observe


PTYCHO_CHECKPOINT = checkpoints.ptycho_checkpoint(ptycho_checkpoint)
BERT_CHECKPOINT = checkpoints.bert_checkpoint(bert_checkpoint)
BERT_TRIAL = checkpoints.bert_trial(bert_trial)
