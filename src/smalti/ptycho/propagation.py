"""The far field: what the detector sees of an exit wave."""

from __future__ import annotations

import mlx.core as mx


def far_field_amplitude(exit_wave: mx.array) -> mx.array:
    """Return the detector amplitude abs(FFT2(exit_wave)) / sqrt(H * W), DC at pixel [0, 0].

    Args:
        exit_wave: (..., H, W) complex64, object times probe.

    The transform is orthonormal (Parseval): the sum of amplitude**2 is the sum of abs(exit_wave)**2, so a
    probe carries its photon count. The gradient is finite everywhere, and 0 where the amplitude is 0.
    """
    return mx.abs(mx.fft.fft2(exit_wave, norm="ortho"))
