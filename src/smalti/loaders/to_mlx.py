"""Batches of numpy arrays as batches of MLX arrays. MLX copies: on every platform, from numpy, always."""

from __future__ import annotations

import sys
import warnings
from functools import cache
from typing import Any

import numpy as np

from smalti.loaders.collate import Batch

_NUMBERS = "biufc"


def to_mlx(batch: Batch) -> dict[str, Any]:
    """Return every key: numbers as ``mx.array`` (float64 as float32, complex128 as complex64), others as a list.

    The arrays belong to the thread that calls this.
    """
    mx = _mlx()
    return {
        name: mx.array(value) if isinstance(value, np.ndarray) and value.dtype.kind in _NUMBERS else _listed(value)
        for name, value in batch.items()
    }


@cache
def _mlx() -> Any:
    if "mlx.core" not in sys.modules:
        from smalti.compute import prepare_blas

        prepare_blas()
    import mlx.core as mx

    return mx


def warn_of_memory(use_unified_memory: bool, pin_memory: bool, stacklevel: int) -> None:
    """Say what these two ask for that this platform does not have."""
    if use_unified_memory and not _has_unified_memory():
        warnings.warn(
            "use_unified_memory: MLX computes on the CPU here, there is one memory and nothing to unify; batches are "
            "copied once, from numpy to MLX.",
            stacklevel=stacklevel + 1,
        )
    if pin_memory:
        warnings.warn(
            "pin_memory: MLX has no pinned memory on any platform, so this changes nothing; batches are copied once, "
            "from numpy to MLX.",
            stacklevel=stacklevel + 1,
        )


def _has_unified_memory() -> bool:
    import mlx.core as mx

    return bool(mx.metal.is_available() or mx.cuda.is_available())


def _listed(value: Any) -> list[Any]:
    listed: list[Any] = value.tolist() if isinstance(value, np.ndarray) else list(value)
    return listed
