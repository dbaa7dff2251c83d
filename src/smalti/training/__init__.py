"""Training: settings, the loop whose runs are resumed to the same bits, checkpoints in folders, exports of weights.

``loop``, ``resumable`` and ``environment`` import MLX; nothing that is imported from here does, before it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalti.lazy_names import lazy_names
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
    "SavedCheckpoint": "smalti.training.checkpoints",
    "export_weights": "smalti.training.export",
    "list_checkpoints": "smalti.training.checkpoints",
    "load_checkpoint": "smalti.training.checkpoints",
    "prune_checkpoints": "smalti.training.checkpoints",
    "read_weights": "smalti.training.export",
    "save_checkpoint": "smalti.training.checkpoints",
    "shown": "smalti.training.progress",
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

__getattr__ = lazy_names(__name__, _HOME)
