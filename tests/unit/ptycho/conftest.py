"""MLX without its compiled kernels, for modules whose many graphs would take g++ longer than their laws take."""

from __future__ import annotations

from collections.abc import Iterator

import mlx.core as mx
import pytest


@pytest.fixture(scope="module")
def without_compiled_kernels() -> Iterator[None]:
    """Run this module, and the child processes that it starts, without ``mx.compile``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLX_DISABLE_COMPILE", "1")
        mx.disable_compile()
        yield
        mx.enable_compile()
