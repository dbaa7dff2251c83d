"""How far modelled intensities are from measured amplitudes, and which way down.

Every loss is a function of the modelled amplitude A = sqrt(intensity + floor) and the measured M = sqrt(D**2 + floor).
The root of n + 3/8 counts has the same noise at any n; a bare root would pull dim pixels to zero, so the floor is about
3/8 of a count. With ``wave`` the wave that makes the intensity, ``slope * wave`` is half the gradient (dL/dRe +
i dL/dIm): a factor on what is there already.

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

BRIGHTEST_RATIO = 3.0  # of measured to modelled amplitude, up to which the Poisson loss is what its name says
_OFFSET = (1 / BRIGHTEST_RATIO**2 - 1 + 2 * math.log(BRIGHTEST_RATIO)) - (BRIGHTEST_RATIO + 1) * (
    1 - 1 / BRIGHTEST_RATIO
) ** 2


def amplitude(intensity: mx.array, measured: mx.array) -> tuple[mx.array, mx.array]:
    """Return (A - M)**2 and its slope 1 - M / A, each shaped as ``intensity``; both have their floor already."""
    modelled = mx.sqrt(intensity)
    return mx.square(modelled - measured), 1 - measured / modelled


def absolute(intensity: mx.array, measured: mx.array) -> tuple[mx.array, mx.array]:
    """Return abs(A - M), which a few wild pixels cannot rule, and its slope sign(A - M) / 2A."""
    modelled = mx.sqrt(intensity)
    difference = modelled - measured
    return mx.abs(difference), mx.sign(difference) / (2 * modelled)


def poisson(intensity: mx.array, measured: mx.array) -> tuple[mx.array, mx.array]:
    """Return the negative logarithm of the likelihood of the counts, 0 where they are met, and its slope.

    That is A**2 - M**2 - 2 M**2 log(A / M), with the slope (1 - M / A)(1 + M / A). Where a pixel is modelled far too
    dim this has no bound, and one such pixel would outweigh a whole pattern. So from M = 3 A on the second bracket
    stays at 4: the loss goes on as 4 (A - M)**2, the logarithm's tangent parabola, which any step can follow.
    """
    modelled = mx.sqrt(intensity)
    ratio = measured / modelled
    slope = (1 - ratio) * mx.minimum(1 + ratio, 1 + BRIGHTEST_RATIO)
    near = intensity - mx.square(measured) * (1 - 2 * mx.log(mx.minimum(ratio, BRIGHTEST_RATIO)))
    far = (1 + BRIGHTEST_RATIO) * mx.square(modelled - measured) + _OFFSET * mx.square(measured)
    return mx.where(ratio > BRIGHTEST_RATIO, far, near), slope


LOSSES: dict[LossName, Loss] = {"amplitude": amplitude, "absolute": absolute, "poisson": poisson}
