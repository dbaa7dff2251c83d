"""The model card of a BERT trained on a table, in Markdown: data, settings, figures, limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smalti.codecs.checkpoint import Checkpoint
from smalti.contracts.markdown import plain
from smalti.tabular.evaluate.evaluation import Evaluation
from smalti.tabular.split import TextSplit

UNKNOWN = "not stated"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the training table is from.

    Attributes:
        dataset: its name.
        source, licence: as its card states them; empty where it has none.
        digests: of stored values, by what they are: raw table, split, checkpoint, test table.
    """

    dataset: str
    source: str = ""
    licence: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)


def model_card(split: TextSplit, checkpoint: Checkpoint, evaluation: Evaluation, provenance: Provenance) -> str:
    """Return the card."""
    parts = [
        f"# BERT trained on {provenance.dataset} to predict {split.target.column}",
        evaluation.verdict(),
        "## Data",
        _data(split, provenance),
        "## Predicts",
        _predicts(split, checkpoint.config),
        "## Figures on the validation rows",
        _figures(evaluation),
        _weights(checkpoint),
        "## Network and training",
        _training(checkpoint.config, checkpoint.state),
        "## Limits",
        _LIMITS,
    ]
    return "\n\n".join(parts) + "\n"


_LIMITS = """\
- It knows the training rows only: where new rows differ from them, its predictions do not say so.
- Categories that were rare or absent in training count as unknown, numbers far outside as at the border.
- Rows may stand for persons; it was not examined whether predictions are fair to groups of them."""


def _data(split: TextSplit, provenance: Provenance) -> str:
    predicted = "" if split.test is None else f", {len(split.test)} to predict"
    stratified = "" if split.target.is_regression else ", classes in equal proportion"
    entries = {
        "dataset": provenance.dataset,
        "source": plain(provenance.source) or UNKNOWN,
        "licence": plain(provenance.licence) or UNKNOWN,
        **provenance.digests,
        "rows": f"{len(split.train)} to train, {len(split.validation)} to validate{predicted}",
        "held out": f"{split.validation_fraction:g} of the rows, seed {split.seed}{stratified}",
        "text of a row": f"`{_first(split)}`",
    }
    noted = "".join(f"\n- noted: {note}" for note in split.notes)
    return _list(entries) + noted


def _predicts(split: TextSplit, config: Any) -> str:
    target = split.target
    entries = {"target": f"{target.column}, {target.competition_type.replace('_', ' ')}"}
    if target.is_regression:
        return _list({**entries, "learned": _scale_in_words(config["table"]["target_scale"])})
    return _list({**entries, "classes": ", ".join(map(str, target.classes))})


def _weights(checkpoint: Checkpoint) -> str:
    epoch, training = checkpoint.state["epoch"], checkpoint.config["training"]
    assert isinstance(training, dict)
    if epoch == training["epochs"]:
        return f"The weights are those after the last epoch, {epoch}."
    return (
        f"The weights are those after epoch {epoch}, which had the best {training['metric']} on these rows; being "
        "chosen by them, they look a little too good."
    )


def _training(config: Any, state: Any) -> str:
    share = config["linear_share"]
    linear = f"; a linear model of the tokens has a share of {share:g} in each prediction" if share else ""
    network = (
        f"{config['members']} BERTs, whose mean predicts; each {config['num_hidden_layers']} pre-norm layers of width "
        f"{config['hidden_size']}, {config['num_attention_heads']} heads{linear}"
    )
    tokens = f"{config['vocab_size']}, from the training rows; at most {config['max_position_embeddings']} a row"
    chosen = {name: value for name, value in config["training"].items() if value is not None}
    return _list({"network": network, "tokens": tokens, **chosen, **_environment(state)})


def _list(entries: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in entries.items())


def _figures(evaluation: Evaluation) -> str:
    names = list(evaluation.metrics)
    models = {"BERT": evaluation.metrics, **evaluation.baselines}
    rows = [
        f"| {model} | " + " | ".join(f"{metrics[name]:.4g}" if name in metrics else "" for name in names) + " |"
        for model, metrics in models.items()
    ]
    return "\n".join([f"| model | {' | '.join(names)} |", f"|---|{'---|' * len(names)}", *rows])


def _first(split: TextSplit) -> str:
    text = str(split.train["text"].iloc[0]).replace("`", "'")
    return text if len(text) <= 300 else f"{text[:300]} ..."


def _scale_in_words(scale: Mapping[str, Any]) -> str:
    kind = "the logarithm of the number" if scale["logarithmic"] else "the number"
    return f"{kind}, standardised; training numbers are from {scale['lowest']:g} to {scale['highest']:g}"


def _environment(state: Mapping[str, Any]) -> dict[str, Any]:
    on = (state.get("environments") or [{}])[-1]
    return {name: on[name] for name in ("python", "mlx", "machine", "device") if name in on}
