"""Training: settings, the loop whose runs are resumed to the same bits, checkpoints in folders, exports of weights.

``loop``, ``resumable`` and ``environment`` import MLX; nothing that is imported from here does, before it is called.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from smalti.training.settings import Saving, TrainingSettings

if TYPE_CHECKING:
    from smalti.training.checkpoints import (
        SavedCheckpoint,
        list_checkpoints,
        load_checkpoint,
        prune_checkpoints,
        save_checkpoint,
    )
    from smalti.training.export import export_weights, read_weights
    from smalti.training.progress import shown

_HOME = {
    "SavedCheckpoint": "checkpoints",
    "export_weights": "export",
    "list_checkpoints": "checkpoints",
    "load_checkpoint": "checkpoints",
    "prune_checkpoints": "checkpoints",
    "read_weights": "export",
    "save_checkpoint": "checkpoints",
    "shown": "progress",
}

__all__ = [
    "SavedCheckpoint",
    "Saving",
    "TrainingSettings",
    "export_weights",
    "list_checkpoints",
    "load_checkpoint",
    "prune_checkpoints",
    "read_weights",
    "save_checkpoint",
    "shown",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
