"""A checkpoint as a folder of ordinary files.

``model.safetensors`` and ``optimizer.safetensors`` hold the tensors as MLX flattens them, ``config.json`` what the
model is, ``tokenizer.json`` its tokenizer, and ``state.json`` where training stands. There is no optimizer's file
without an optimizer's state, and no tokenizer's without a tokenizer. The contract that a checkpoint passed is not
written: files can be changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smalti import canonical
from smalti.codecs.checkpoint import TOKENIZER, Checkpoint
from smalti.codecs.weights import Weights, WeightsCodec, weights_in_file
from smalti.errors import Damaged, Refused

MODEL, OPTIMIZER, CONFIG, STATE = "model.safetensors", "optimizer.safetensors", "config.json", "state.json"

Pieces = list[bytes | memoryview]


def files_of(checkpoint: Checkpoint) -> dict[str, Pieces]:
    """Return the content of each file of the folder, in pieces.

    Raises:
        Refused: safetensors or JSON cannot hold a part of it.
    """
    files = {MODEL: _safetensors(checkpoint.model)}
    if checkpoint.optimizer:
        files[OPTIMIZER] = _safetensors(checkpoint.optimizer)
    files[CONFIG] = _json(checkpoint.config, "the configuration")
    if checkpoint.tokenizer:
        files[TOKENIZER] = [checkpoint.tokenizer.encode()]
    files[STATE] = _json(checkpoint.state, "the state")
    return files


def read_checkpoint_folder(folder: Path) -> Checkpoint:
    """Return the checkpoint in a folder.

    Raises:
        Damaged: a file is missing, cut, or not what its name says.
    """
    optimizer, tokenizer = folder / OPTIMIZER, folder / TOKENIZER
    try:
        return Checkpoint(
            model=weights_in_file(folder / MODEL).tensors,
            optimizer=weights_in_file(optimizer).tensors if optimizer.exists() else {},
            config=read_document(folder / CONFIG),
            state=read_document(folder / STATE),
            tokenizer=tokenizer.read_bytes().decode() if tokenizer.exists() else "",
        )
    except FileNotFoundError as error:
        raise Damaged(f"{folder} is no whole checkpoint: it lacks {Path(error.filename).name}; restore it.") from error
    except UnicodeDecodeError as error:
        raise Damaged(f"{tokenizer} is no text ({error}); restore it.") from error


def read_document(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        Damaged: it is none.
        FileNotFoundError: there is no such file.
    """
    try:
        document = canonical.loads(path.read_bytes())
    except Refused as error:
        raise Damaged(f"{path} is no JSON document ({str(error).rstrip('.')}); restore it.") from error
    if not isinstance(document, dict):
        raise Damaged(f"{path} holds no JSON object but a {type(document).__name__}; restore it.")
    return document


def _safetensors(tensors: Mapping[str, Any]) -> Pieces:
    return WeightsCodec().encode(Weights(tensors)).file


def _json(document: Mapping[str, Any], what: str) -> Pieces:
    plain = canonical.normalise(document, what)
    return [(json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()]
