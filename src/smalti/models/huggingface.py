"""A BERT in the folder that Hugging Face's ``transformers`` reads and writes: config.json, weights, tokenizer.json.

The weights are safetensors, in one file or in shards with an index. A pickle (pytorch_model.bin) is never opened: it
can run any code.

Sources: https://huggingface.co/docs/safetensors; ``transformers``, modeling_bert.py, for the names of the weights.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path, PurePath
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from numpy.typing import NDArray

from smalti.canonical import Json
from smalti.codecs.weights import Weights, WeightsCodec
from smalti.errors import NotFound, Refused
from smalti.formats import opened, safetensors
from smalti.models.bert import MODELS, BertConfig, Model, build
from smalti.store.commit import machine_errors, make_folder, publish_folder, write_file

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
WEIGHTS, INDEX, PICKLE = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"

_LARGEST_JSON_NBYTES = 64 << 20
_SUPPORTED: dict[str, Json] = {  # entries of config.json that change what is computed, and the value each may have
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "is_encoder_decoder": False,
    "add_cross_attention": False,
    "pruned_heads": {},
    "quantization_config": None,
    "auto_map": None,  # the model is code beside the weights
}
_OURS_ALONE = {"norm": "post", "pooling": "cls", "number_values": False}  # and what they are in BERT as published

# Our modules and what transformers calls them.
_EMBEDDINGS = {
    "encoder.word": "bert.embeddings.word_embeddings",
    "encoder.position": "bert.embeddings.position_embeddings",
    "encoder.token_type": "bert.embeddings.token_type_embeddings",
}
_LAYER = {
    "attention.out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "expand": "intermediate.dense",
    "contract": "output.dense",
    "feed_forward_norm": "output.LayerNorm",
}
_HEADS = {
    "BertModel": {"pooler.dense": "bert.pooler.dense"},
    "BertForSequenceClassification": {"pooler.dense": "bert.pooler.dense", "classifier": "classifier"},
    "BertForMaskedLM": {
        "transform": "cls.predictions.transform.dense",
        "norm": "cls.predictions.transform.LayerNorm",
    },
}
_TIED = {  # without ``bert.``
    "cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}
_OLD_PARTS = {"gamma": "weight", "beta": "bias"}
_NEEDLESS = ("embeddings.position_ids", "pooler.", "cls.", "classifier.", "qa_outputs.")


def load_pretrained(folder: str | Path, new_labels: Sequence[str] | None = None) -> tuple[Model, str | None]:
    """Return the BERT in a folder, and the text of its tokenizer.json, or None where there is none.

    Weights become float32, which holds float16 and bfloat16 exactly. The model is as after ``eval()``: without dropout.

    Args:
        folder: what ``save_pretrained`` of ``transformers``, or of this module, wrote.
        new_labels: take a new classifier of these labels instead of the head in the folder, or a regression where
            there is one label. Its weights are untrained, and the pooler's where the folder has none.

    Raises:
        NotFound: there is no such folder, or it lacks the configuration or the weights.
        Refused: the weights are a pickle; the configuration asks for what is not supported; weights are missing, of
            another shape, or of no BERT; the tokenizer has tokens that the model has not.
        ContractBroken: a file of weights is damaged.
        Unavailable: a file may not be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotFound(
            f"there is no folder {str(folder)!r}; give one that save_pretrained wrote, or that was downloaded whole: "
            "hf download NAME --local-dir FOLDER."
        )
    config = config_of(_json(folder / CONFIG), new_labels)
    tokenizer = _text(folder / TOKENIZER) if (folder / TOKENIZER).exists() else None
    if tokenizer is not None:
        _require_embeddings(config, tokenizer)
    found = _tensors(folder)
    if new_labels is not None:
        found = {name: tensor for name, tensor in found.items() if not name.startswith("classifier.")}
    model = build(config)
    drawn: dict[str, mx.array] = dict(tree_flatten(model.parameters()))
    weights = from_huggingface(found, config, drawn)
    may_lack = ("pooler.", "classifier.") if new_labels is not None else ()
    lacking = [name for name in drawn if name not in weights and not name.startswith(may_lack)]
    if lacking:
        theirs = [theirs for name in lacking for theirs in names(config)[name]]
        raise Refused(
            f"the weights of this {config.architecture} lack {_listed(theirs)}; give the folder it was saved to, or "
            "new_labels for a new classifier."
        )
    model.load_weights(list(weights.items()), strict=False)
    mx.eval(model.parameters())
    model.eval()
    return model, tokenizer


def save_pretrained(model: Model, tokenizer_json: str | None, folder: Path) -> None:
    """Write the folder that ``transformers`` opens as the class ``model.config.architecture``; whole or not at all.

    Args:
        model: a BERT as published.
        tokenizer_json: the text of tokenizer.json; None: the folder gets none.
        folder: is made, with its parents.

    Raises:
        Refused: the model is none that ``transformers`` has (``norm``, ``pooling``, ``number_values``), the folder
            exists, or the tokenizer has tokens that the model has not.
        Unavailable: the folder cannot be written.
    """
    config = model.config
    own = {name: getattr(config, name) for name, published in _OURS_ALONE.items() if getattr(config, name) != published}
    if own:
        raise Refused(
            f"a BERT with {own} is none that transformers has, and would give other outputs there; keep it as a "
            "checkpoint of Smalti."
        )
    if tokenizer_json is not None:
        _require_embeddings(config, tokenizer_json)
    if folder.exists():
        raise Refused(f"{folder} exists already; name another place.")
    tensors = to_huggingface(dict(tree_flatten(model.parameters())), config)
    part = folder.with_name(f".{uuid.uuid4().hex}.part")
    with machine_errors(f"saving to {folder}"):
        make_folder(part)
        try:
            write_file(part / CONFIG, [json.dumps(config_json(config), indent=2).encode()])
            if tokenizer_json is not None:
                write_file(part / TOKENIZER, [tokenizer_json.encode()])
            write_file(part / WEIGHTS, WeightsCodec().encode(Weights(tensors)).file)
            published = publish_folder(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    if not published:
        raise Refused(f"{folder} came to exist meanwhile; name another place.")


def config_of(found: Mapping[str, Json], new_labels: Sequence[str] | None = None) -> BertConfig:
    """Return the configuration in a config.json; entries that ``transformers`` computes nothing with are ignored.

    Without ``architectures`` it is a ``BertModel``, as it is in ``transformers``. For ``new_labels`` see
    ``load_pretrained``.

    Raises:
        Refused: another model than BERT, or what is not supported here: another architecture, relative positions, a
            decoder, quantized weights, code beside the weights, or what ``BertConfig`` refuses.
    """
    if found.get("model_type") != "bert":
        raise Refused(
            f"{CONFIG} has model_type {found.get('model_type')!r}; give the folder of a model of type 'bert'."
        )
    for name, supported in {**_SUPPORTED, **_OURS_ALONE}.items():
        if found.get(name) not in (None, supported):
            raise Refused(f"{CONFIG} has {name} {found[name]!r}, which is not supported; take a BERT without it.")
    known = {field.name for field in fields(BertConfig)} - {"architecture", "labels", *_OURS_ALONE}
    chosen: dict[str, Any] = {name: value for name, value in found.items() if name in known}
    if new_labels is not None:
        return BertConfig(
            **{**chosen, "problem_type": None},
            architecture="BertForSequenceClassification",
            labels=tuple(new_labels),
        )
    architectures = found.get("architectures") or ["BertModel"]
    if not isinstance(architectures, list) or len(architectures) != 1 or architectures[0] not in MODELS:
        raise Refused(
            f"{CONFIG} has the architectures {architectures!r}; there are {', '.join(MODELS)}, or give new_labels to "
            "put a new classifier on its encoder."
        )
    if architectures[0] == "BertForMaskedLM" and found.get("tie_word_embeddings") is False:
        raise Refused(f"{CONFIG} has tie_word_embeddings false; a masked language model is supported with true.")
    return BertConfig(**chosen, architecture=str(architectures[0]), labels=_labels(found))


def config_json(config: BertConfig) -> dict[str, Json]:
    """Return the config.json of a BERT as published; the inverse of ``config_of``."""
    ours: dict[str, Json] = {**config.to_json(), "architectures": [config.architecture]}
    for name in ("architecture", "labels", *_OURS_ALONE):
        del ours[name]
    if config.architecture == "BertForSequenceClassification":
        ours |= {
            "id2label": {str(index): label for index, label in enumerate(config.labels)},
            "label2id": {label: index for index, label in enumerate(config.labels)},
        }
    return ours


def names(config: BertConfig) -> dict[str, tuple[str, ...]]:
    """Return our name of each weight -> its names in ``transformers``; where there are three, ours stacks them.

    The encoder's and the pooler's begin with ``bert.``, which ``transformers`` leaves out in a ``BertModel``.
    """
    both = {"encoder.norm": "bert.embeddings.LayerNorm", **_HEADS[config.architecture]}
    table: dict[str, tuple[str, ...]] = {
        f"{ours}.weight": (f"{theirs}.weight",) for ours, theirs in _EMBEDDINGS.items()
    }
    for number in range(config.num_hidden_layers):
        ours, theirs = f"encoder.layers.{number}", f"bert.encoder.layer.{number}"
        both |= {f"{ours}.{module}": f"{theirs}.{called}" for module, called in _LAYER.items()}
        for part in ("weight", "bias"):
            stacked = (f"{theirs}.attention.self.{matrix}.{part}" for matrix in ("query", "key", "value"))
            table[f"{ours}.attention.qkv.{part}"] = tuple(stacked)
    for ours, theirs in both.items():
        table |= {f"{ours}.{part}": (f"{theirs}.{part}",) for part in ("weight", "bias")}
    if config.architecture == "BertForMaskedLM":
        table["bias"] = ("cls.predictions.bias",)
    return table


def from_huggingface(
    found: Mapping[str, NDArray[Any]], config: BertConfig, untrained: Mapping[str, mx.array]
) -> dict[str, mx.array]:
    """Return our weights, float32, of those of ``transformers``, as many as are there.

    Names of every age are known: with and without ``bert.``, with ``gamma`` and ``beta`` for weight and bias of a layer
    norm. Position numbers, heads of another architecture, and a decoder that repeats the embeddings are left out.

    Args:
        untrained: the weights of a model of this configuration, whose shapes are wanted.

    Raises:
        Refused: some weights are of no BERT, of another shape or whole numbers, or the decoder is not what the
            embeddings are.
    """
    table = {ours: tuple(map(_modern, stacked)) for ours, stacked in names(config).items()}
    given = {_modern(name): tensor for name, tensor in found.items()}
    if config.architecture == "BertForMaskedLM":
        for copy, original in _TIED.items():
            if copy in given and not np.array_equal(given[copy], given.setdefault(original, given[copy])):
                raise Refused(f"{copy} differs from {original}, and only a decoder that shares it is supported.")
    known = {name for stacked in table.values() for name in stacked}
    if strange := [name for name in given if name not in known and not name.startswith(_NEEDLESS)]:
        raise Refused(
            f"{_listed(strange)} among the weights belongs to no {config.architecture}; give those of a BERT."
        )
    weights = {}
    for ours, stacked in table.items():
        rows, *columns = untrained[ours].shape
        wanted = (rows // len(stacked), *columns)
        for name in stacked:
            if name in given and given[name].dtype.kind != "f":
                raise Refused(f"{name} is {given[name].dtype}; give weights that are not quantized.")
            if name in given and given[name].shape != wanted:
                raise Refused(
                    f"{name} is of shape {given[name].shape}, and {CONFIG} says {wanted}; give weights and {CONFIG} of "
                    "the same model."
                )
        if all(name in given for name in stacked):
            weights[ours] = mx.array(np.concatenate([given[name] for name in stacked]), mx.float32)
    return weights


def to_huggingface(weights: Mapping[str, mx.array], config: BertConfig) -> dict[str, NDArray[Any]]:
    """Return our weights under their names in ``transformers``: the inverse of ``from_huggingface``."""
    table = names(config)
    prefix = "bert." if config.architecture == "BertModel" else ""
    return {
        theirs.removeprefix(prefix): np.array(part)
        for ours, weight in weights.items()
        for theirs, part in zip(table[ours], mx.split(weight, len(table[ours])), strict=True)
    }


def _modern(name: str) -> str:
    """Return a weight's name without ``bert.``, and with the words of today."""
    module, _, part = name.removeprefix("bert.").rpartition(".")
    return f"{module}.{_OLD_PARTS.get(part, part)}"


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts[:4]) + (f" and {len(texts) - 4} more" if len(texts) > 4 else "")


def _labels(found: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the labels in a config.json, which does not name them where they are two."""
    id2label, count = found.get("id2label"), found.get("num_labels")
    if id2label is None and isinstance(count, int):
        return tuple(f"LABEL_{index}" for index in range(count))
    if id2label is None:
        return BertConfig().labels
    if not isinstance(id2label, dict) or set(id2label) != {str(index) for index in range(len(id2label))}:
        raise Refused(f"{CONFIG} has id2label {id2label!r}; give a label for each number from 0.")
    return tuple(str(id2label[str(index)]) for index in range(len(id2label)))


def _require_embeddings(config: BertConfig, tokenizer_json: str) -> None:
    """Raise Refused if a token has no embedding: mlx would take whatever lies behind them in memory."""
    try:
        tokenizer = json.loads(tokenizer_json)
        vocabulary = tokenizer["model"]["vocab"]
        ids = [token["id"] for token in tokenizer.get("added_tokens", [])]
        ids += vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary))
        largest = max(ids, default=0)
        fits = largest < config.vocab_size
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise Refused(f"{TOKENIZER} is no tokenizer; give one that the tokenizers library wrote.") from error
    if not fits:
        raise Refused(
            f"{TOKENIZER} has the token id {largest}, and the model embeds {config.vocab_size} tokens; give the "
            "tokenizer that it was trained with."
        )


def _tensors(folder: Path) -> dict[str, NDArray[Any]]:
    """Return every tensor of the one file of weights, or of the shards that the index names."""
    if (folder / WEIGHTS).exists():
        return _shard(folder / WEIGHTS)
    if (folder / INDEX).exists():
        listed = _json(folder / INDEX).get("weight_map")
        index = {name: str(shard) for name, shard in listed.items()} if isinstance(listed, dict) else {"": ""}
        if not all(shard and shard == PurePath(shard).name for shard in index.values()):
            raise Refused(
                f"{INDEX} does not say which file of its folder holds which weight; download the folder again."
            )
        shards = {name: _shard(folder / name) for name in sorted(set(index.values()))}
        if lacking := [name for name, shard in index.items() if name not in shards[shard]]:
            raise Refused(f"{INDEX} places {_listed(lacking)} in shards that lack it; download the folder again.")
        return {name: shards[shard][name] for name, shard in index.items()}
    if (folder / PICKLE).exists() or (folder / f"{PICKLE}.index.json").exists():
        raise Refused(
            f"the weights in {folder} are a pickle ({PICKLE}), which can run any code and is not opened; where you "
            "trust it, open it in transformers with from_pretrained and write it again with save_pretrained."
        )
    raise NotFound(f"{folder} holds neither {WEIGHTS} nor {INDEX}; give a folder that save_pretrained wrote.")


def _shard(path: Path) -> dict[str, NDArray[Any]]:
    with opened(_followed(path)) as source:
        return dict(safetensors.read(source).arrays)


def _json(path: Path) -> dict[str, Json]:
    try:
        found = json.loads(_text(path))
    except ValueError as error:
        raise Refused(f"{path} is no JSON ({error}); download the folder again.") from error
    if not isinstance(found, dict):
        raise Refused(f"{path} is a {type(found).__name__} and no mapping; download the folder again.")
    return found


def _text(path: Path) -> str:
    with opened(_followed(path)) as source:
        if source.nbytes > _LARGEST_JSON_NBYTES:
            raise Refused(f"{path} has {source.nbytes} bytes; give one of a BERT, {_LARGEST_JSON_NBYTES} at most.")
        try:
            return source.file.read().decode()
        except UnicodeDecodeError as error:
            raise Refused(f"{path} is no text in UTF-8; download the folder again.") from error


def _followed(path: Path) -> Path:
    """Return where a link leads: in Hugging Face's cache, every file is one."""
    return path.resolve()
