"""The sub-pixel shift of a probe as a phase ramp on its pupil, in MLX.

The same formula as ``smalti.optics.shift_ramp``, which the tests hold it against; here it can be compiled.
"""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np


def shift_ramp(window: tuple[int, int], shift_px: mx.array) -> mx.array:
    """Return (B, H, W) complex64 factors on a pupil, DC at [0, 0], that move its probe down and right.

    Args:
        window: (H, W).
        shift_px: (B, 2) float32, down and right.
    """
    down, right = (
        mx.exp(shift_px[:, axis, None] * mx.array(-2j * math.pi * np.fft.fftfreq(pixels).astype(np.complex64)))
        for axis, pixels in enumerate(window)
    )
    return down[:, :, None] * right[:, None, :]
