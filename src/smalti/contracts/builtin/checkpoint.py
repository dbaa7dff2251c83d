"""The contracts of a checkpoint (weights, the optimizer's state, where training stands) and of weights alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from smalti.codecs.checkpoint import TOKENIZER
from smalti.contracts.arrays import ArraySpec
from smalti.contracts.contract import Contract
from smalti.contracts.fields import FieldSpec
from smalti.contracts.violation import Violation


class CheckpointContract(Contract):
    """Adds that the optimizer keeps its state per weight, so the shapes belong together, and what a tokenizer is."""

    def check_arrays(
        self, arrays: Mapping[str, Any], metadata: Mapping[str, Any] | None = None
    ) -> tuple[Violation, ...]:
        tokenizer = (metadata or {}).get(TOKENIZER)
        return (
            *super().check_arrays(arrays, metadata),
            *_states_of_other_weights(arrays),
            *(_no_tokenizer(tokenizer) if tokenizer is not None else ()),
        )

    def describe(self) -> str:
        shapes = "- `optimizer/<weight>.<state>` has the shape of `model/<weight>`, or is one number."
        tokenizer = f"- `{TOKENIZER}`, where there is one, is what `Tokenizer.to_str()` of `tokenizers` gives."
        return f"{super().describe()}\n{shapes}\n{tokenizer}\n"


def _states_of_other_weights(arrays: Mapping[str, Any]) -> Iterator[Violation]:
    for name, state in arrays.items():
        weight = f"model/{name.removeprefix('optimizer/').rpartition('.')[0]}"
        if name.startswith("optimizer/") and state.ndim and weight in arrays and state.shape != arrays[weight].shape:
            wanted = f"shape {arrays[weight].shape} as {weight}"
            remedy = "resume with the optimizer state of this model"
            yield Violation("optimizer.shape", name, f"shape {state.shape}", wanted, remedy)


def _no_tokenizer(text: bytes | str) -> Iterator[Violation]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("model"), dict):
        wanted = "a JSON document with a `model`"
        yield Violation("tokenizer.form", TOKENIZER, "another text", wanted, "give what Tokenizer.to_str() gives")


CHECKPOINT = CheckpointContract(
    name="checkpoint",
    version=1,
    summary="A training state that goes on: `model/*` and `optimizer/*` as named tensors, the configuration, and the "
    "position. Every weight is finite: one NaN makes every later step NaN.",
    arrays=(
        ArraySpec(key="model/*", meaning="A weight.", shapes=(), dtype="number", unit="1"),
        ArraySpec(
            key="optimizer/*",
            meaning="A state of the optimizer, e.g. a moment of a weight.",
            shapes=(),
            dtype="number",
            unit="1",
            required=False,
        ),
    ),
    fields=(
        FieldSpec(key="config.model_type", meaning="The module that builds the model.", kind="text"),
        FieldSpec(key="state.epoch", meaning="Epochs completed.", kind="integer", minimum=0),
        FieldSpec(key="state.step", meaning="Steps of the epoch completed.", kind="integer", minimum=0),
        FieldSpec(
            key="state.seed", meaning="Where every random number comes from.", kind="integer", severity="warning"
        ),
    ),
)


WEIGHTS = Contract(
    name="weights",
    version=1,
    summary="The weights of a network as named tensors, without optimizer or position: enough to use it, not to resume "
    "its training. Every weight is finite.",
    arrays=(ArraySpec(key="*", meaning="A weight.", shapes=(), dtype="number", unit="1"),),
)
