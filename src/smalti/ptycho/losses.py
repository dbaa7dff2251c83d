"""The losses: how far modelled intensities are from measured amplitudes, and the derivative of that.

Every loss is a function of the modelled amplitude A = sqrt(intensity + floor) and the measured M = sqrt(D**2 + floor).
The square root of n + 3/8 Poisson counts has nearly the same variance at any n, so the floor is 3/8 of a count. The
slope of a loss is its derivative by the intensity. With ``wave`` the wave whose squared magnitude is the intensity,
``slope * wave`` is half of dL/dRe + i dL/dIm.

Sources: F. Anscombe, Biometrika 35, 246 (1948), for the root of counts; P. Godard et al., Opt. Express 20, 25914
(2012), for these losses in ptychography.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import mlx.core as mx

LossName = Literal["amplitude", "absolute", "poisson"]
Loss = Callable[[mx.array, mx.array], tuple[mx.array, mx.array]]

BRIGHTEST_RATIO = 3.0  # of measured to modelled amplitude, up to which the Poisson loss is the likelihood
_OFFSET = (1 / BRIGHTEST_RATIO**2 - 1 + 2 * math.log(BRIGHTEST_RATIO)) - (BRIGHTEST_RATIO + 1) * (
    1 - 1 / BRIGHTEST_RATIO
) ** 2


def amplitude(intensity: mx.array, measured: mx.array) -> tuple[mx.array, mx.array]:
    """Return (A - M)**2 and its slope 1 - M / A, each shaped as ``intensity``; the arguments include the floor."""
    modelled = mx.sqrt(intensity)
    return mx.square(modelled - measured), 1 - measured / modelled


def absolute(intensity: mx.array, measured: mx.array) -> tuple[mx.array, mx.array]:
    """Return abs(A - M), which is robust against outliers, and its slope sign(A - M) / (2 A)."""
    modelled = mx.sqrt(intensity)
    difference = modelled - measured
    return mx.abs(difference), mx.sign(difference) / (2 * modelled)


def poisson(intensity: mx.array, measured: mx.array) -> tuple[mx.array, mx.array]:
    """Return the negative Poisson log-likelihood of the counts, less its value at A = M, and its slope.

    That is A**2 - M**2 - 2 M**2 log(A / M), with the slope (1 - M / A)(1 + M / A), unbounded where a pixel is modelled
    far too dim. From M = ``BRIGHTEST_RATIO`` A on the second bracket therefore stays at 4: the loss continues, with
    equal value and slope, as 4 (A - M)**2 plus a constant times M**2.
    """
    modelled = mx.sqrt(intensity)
    ratio = measured / modelled
    slope = (1 - ratio) * mx.minimum(1 + ratio, 1 + BRIGHTEST_RATIO)
    near = intensity - mx.square(measured) * (1 - 2 * mx.log(mx.minimum(ratio, BRIGHTEST_RATIO)))
    far = (1 + BRIGHTEST_RATIO) * mx.square(modelled - measured) + _OFFSET * mx.square(measured)
    return mx.where(ratio > BRIGHTEST_RATIO, far, near), slope


LOSSES: dict[LossName, Loss] = {"amplitude": amplitude, "absolute": absolute, "poisson": poisson}
