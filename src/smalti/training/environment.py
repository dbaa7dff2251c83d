"""The environment of a run: what its exact bits depend on beside data and settings."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib.metadata import version

import mlx.core as mx

from smalti.canonical import Json
from smalti.compute import prepare_blas


def describe_environment() -> dict[str, Json]:
    """Return the versions of Python and MLX, the processor, the MLX device and the BLAS with its threads."""
    return {
        "python": platform.python_version(),
        "mlx": version("mlx"),
        "machine": platform.machine(),
        "device": str(mx.default_device()),
        "blas": asdict(prepare_blas()),
    }
