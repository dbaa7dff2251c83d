"""The environment of a run: what its exact bits depend on beside data and settings."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib.metadata import version

import mlx.core as mx

from smalti.canonical import Json
from smalti.compute import prepare_blas
from smalti.training.ranks import this_process


def describe_environment() -> dict[str, Json]:
    """Return versions of Python and MLX, processor, MLX device, BLAS with its threads, and how many ranks there are."""
    return {
        "python": platform.python_version(),
        "mlx": version("mlx"),
        "machine": platform.machine(),
        "device": str(mx.default_device()),
        "blas": asdict(prepare_blas()),
        "world_size": this_process().size,
    }
