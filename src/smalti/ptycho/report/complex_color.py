"""Complex values as colours: phase as hue and amplitude as lightness, in the perceptual colour space Oklab."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of the largest amplitude: about the highest chroma at this lightness for which every hue is inside sRGB.
LIGHTNESS = 0.75
CHROMA = 0.125

_LMS_FROM_OKLAB = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_RGB_FROM_LMS = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def complex_to_rgb(wave: NDArray[np.complexfloating[Any, Any]], brightest: float) -> NDArray[np.float64]:
    """Return (..., 3) sRGB from 0 to 1 of a complex array: 0 is black, amplitudes above ``brightest`` are clipped.

    Equal amplitudes have equal Oklab lightness at any phase, unlike in HSV.

    Source: B. Ottosson, "A perceptual color space for image processing" (2020), for Oklab and its matrices;
    IEC 61966-2-1 for the gamma of sRGB.
    """
    relative = np.minimum(np.abs(wave) / (brightest or 1.0), 1)
    angle = np.angle(wave)
    oklab = np.stack(
        [LIGHTNESS * relative, CHROMA * relative * np.cos(angle), CHROMA * relative * np.sin(angle)], axis=-1
    )
    linear = (oklab @ _LMS_FROM_OKLAB.T) ** 3 @ _RGB_FROM_LMS.T
    linear = np.clip(linear, 0, 1)
    return np.asarray(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def color_wheel(side: int) -> NDArray[np.float64]:
    """Return the (side, side, 4) RGBA legend of ``complex_to_rgb``: amplitude is radius, phase 0 is to the right.

    Phases increase counter-clockwise with the first row at the top; pixels outside the disc are transparent.
    """
    across = np.linspace(-1, 1, side)
    plane = across + 1j * across[::-1, None]
    alpha = np.clip((1 - np.abs(plane)) * side / 2, 0, 1)  # one pixel of soft edge
    return np.concatenate([complex_to_rgb(plane, 1.0), alpha[..., None]], axis=-1)
