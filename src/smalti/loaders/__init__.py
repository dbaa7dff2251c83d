"""Batches and streams of samples for training, and the memory that they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalti.lazy_names import lazy_names

if TYPE_CHECKING:
    from smalti.loaders.cache import AdaptiveCache
    from smalti.loaders.collate import Padding
    from smalti.loaders.memory import MemoryConfig, UnifiedMemoryManager
    from smalti.loaders.mlx_loader import MLXDataLoader, MLXLoaderConfig
    from smalti.loaders.streaming import StreamingConfig, StreamingPipeline

_HOME = {
    "AdaptiveCache": "smalti.loaders.cache",
    "MLXDataLoader": "smalti.loaders.mlx_loader",
    "MLXLoaderConfig": "smalti.loaders.mlx_loader",
    "MemoryConfig": "smalti.loaders.memory",
    "Padding": "smalti.loaders.collate",
    "StreamingConfig": "smalti.loaders.streaming",
    "StreamingPipeline": "smalti.loaders.streaming",
    "UnifiedMemoryManager": "smalti.loaders.memory",
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

__getattr__ = lazy_names(__name__, _HOME)
