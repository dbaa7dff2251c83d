"""What ``transformers`` writes, and what it makes of what we write; run by the Python that has it, not imported.

``make FOLDER``: for each of ``CASES`` a model with random weights, as ``FOLDER/<case>/theirs``, and its outputs.
``open FOLDER``: the same inputs through ``FOLDER/<case>/ours``, the names of weights that were missing, unexpected or
of another shape, and the tokens of a sentence. Inputs and outputs are ``inputs.npz``, ``made.npz`` and ``opened.npz``.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "ship", "sank", "##s", "."]
SMALL = {
    "vocab_size": 60, "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96,
    "max_position_embeddings": 40, "initializer_range": 0.2,
}  # fmt: skip
NAMES = {0: "none", 1: "low", 2: "middle", 3: "high", 4: "all"}
CASES = {
    "model": ("BertModel", {}),
    "twelve_layers": ("BertModel", {"num_hidden_layers": 12}),
    "sharded": ("BertModel", {"hidden_act": "gelu_new"}),
    "two_labels": ("BertForSequenceClassification", {"hidden_act": "relu"}),
    "five_labels": ("BertForSequenceClassification", {"id2label": NAMES, "label2id": {v: k for k, v in NAMES.items()}}),
    "regression": ("BertForSequenceClassification", {"num_labels": 1, "problem_type": "regression"}),
    "masked_words": ("BertForMaskedLM", {"hidden_act": "silu", "layer_norm_eps": 1e-5, "type_vocab_size": 3}),
    "bfloat16": ("BertForSequenceClassification", {"hidden_act": "gelu_pytorch_tanh"}),
    "float16": ("BertForMaskedLM", {}),
    "old_names": ("BertForMaskedLM", {}),
    "no_prefix": ("BertModel", {"num_attention_heads": 3}),
}


def make(folder: Path) -> None:
    torch.manual_seed(0)
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    for case, (name, choices) in CASES.items():
        model = getattr(transformers, name)(transformers.BertConfig(**{**SMALL, **choices})).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 1:  # biases are 0 and norms 1, which would hide a mistake
                    parameter.add_(0.2 * torch.randn_like(parameter))
        if case in ("bfloat16", "float16"):
            model = model.to(getattr(torch, case))
        theirs = folder / case / "theirs"
        model.save_pretrained(theirs, max_shard_size="100KB" if case == "sharded" else "5GB")
        if case == "old_names":
            rename(theirs, lambda key: key.replace("LayerNorm.weight", "LayerNorm.gamma"))
            rename(theirs, lambda key: key.replace("LayerNorm.bias", "LayerNorm.beta"))
        if case == "no_prefix":
            rename(theirs, lambda key: key.replace("LayerNorm.weight", "LayerNorm.gamma"), position_ids=True)
        tokenizer.save(str(theirs / "tokenizer.json"))
        np.savez(folder / case / "inputs.npz", **(inputs := random_inputs(model.config)))
        np.savez(folder / case / "made.npz", **outputs(model.float(), inputs))


def rename(folder: Path, renamed: Callable[[str], str], position_ids: bool = False) -> None:
    tensors = {renamed(key): tensor for key, tensor in load_file(folder / "model.safetensors").items()}
    if position_ids:
        tensors["embeddings.position_ids"] = torch.arange(SMALL["max_position_embeddings"])[None]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def random_inputs(config: transformers.BertConfig) -> dict[str, np.ndarray]:
    lengths = torch.tensor([17, 1, 9, 16, 17])
    mask = (torch.arange(17)[None] < lengths[:, None]).long()
    ids, types = torch.randint(0, config.vocab_size, (5, 17)), torch.randint(0, config.type_vocab_size, (5, 17))
    return {"input_ids": ids.numpy(), "attention_mask": mask.numpy(), "token_type_ids": types.numpy()}


@torch.no_grad()
def outputs(model: transformers.PreTrainedModel, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    given = {name: torch.tensor(array) for name, array in inputs.items()}
    whole, unpadded = model(**given), model(input_ids=given["input_ids"])
    names = ("logits",) if "logits" in whole else ("last_hidden_state", "pooler_output")
    return {f"{name}{said}": out[name].numpy() for name in names for said, out in (("", whole), ("_bare", unpadded))}


def reopen(folder: Path) -> None:
    told = {}
    for case, (name, _) in CASES.items():
        ours = folder / case / "ours"
        model, loading = getattr(transformers, name).from_pretrained(ours, output_loading_info=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained(ours)
        there = getattr(transformers, name).from_pretrained(folder / case / "theirs", dtype=torch.float32).state_dict()
        here = model.state_dict()
        with np.load(folder / case / "inputs.npz") as inputs:
            np.savez(folder / case / "opened.npz", **outputs(model.eval(), dict(inputs)))
        told[case] = {
            "wrong": {kind: sorted(map(str, names)) for kind, names in loading.items() if names},
            "changed": sorted(key for key in {*there, *here} if not torch.equal(there[key], here[key])),
            "class": type(transformers.AutoModel.from_pretrained(ours)).__name__,
            "labels": {str(index): label for index, label in model.config.id2label.items()},
            "tokens": tokenizer("the ships sank.", add_special_tokens=False)["input_ids"],
        }
    print(json.dumps(told))


if __name__ == "__main__":
    {"make": make, "open": reopen}[sys.argv[1]](Path(sys.argv[2]))
