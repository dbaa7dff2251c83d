"""Batches and streams of samples for training, and the memory that they take."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smalti.loaders.cache import AdaptiveCache
    from smalti.loaders.collate import Padding
    from smalti.loaders.memory import MemoryConfig, UnifiedMemoryManager
    from smalti.loaders.mlx_loader import MLXDataLoader, MLXLoaderConfig
    from smalti.loaders.streaming import StreamingConfig, StreamingPipeline

_HOME = {
    "AdaptiveCache": "cache",
    "MLXDataLoader": "mlx_loader",
    "MLXLoaderConfig": "mlx_loader",
    "MemoryConfig": "memory",
    "Padding": "collate",
    "StreamingConfig": "streaming",
    "StreamingPipeline": "streaming",
    "UnifiedMemoryManager": "memory",
}

__all__ = [
    "AdaptiveCache",
    "MLXDataLoader",
    "MLXLoaderConfig",
    "MemoryConfig",
    "Padding",
    "StreamingConfig",
    "StreamingPipeline",
    "UnifiedMemoryManager",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'smalti.loaders' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(f"smalti.loaders.{_HOME[name]}"), name)
