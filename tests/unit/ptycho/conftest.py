"""MLX without compiled kernels: making them with g++ takes longer than the small runs of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import mlx.core as mx
import pytest


@pytest.fixture(scope="module", autouse=True)
def without_compiled_kernels() -> Iterator[None]:
    """Run each module, and the child processes that it starts, without ``mx.compile``; some override this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLX_DISABLE_COMPILE", "1")
        mx.disable_compile()
        yield
        mx.enable_compile()
