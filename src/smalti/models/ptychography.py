"""The ptychography network: an unrolled reconstruction, in which each iteration is an MLP-Mixer with its own weights.

An iteration gets object patches and the rPIE update of each (``smalti.ptycho.network.exposures.rpie_update``) and
returns better patches. Its body is an MLP-Mixer, because matrix products are fast on every device.

Sources: O. Hoidn, A. A. Mishra, A. Mehta, Sci Rep 13, 22789 (2023), PtychoPINN, for training through the forward model
without true objects; K. Gregor, Y. LeCun, ICML 2010, for unrolled iterations; I. Tolstikhin et al., arXiv 2105.01601,
for the MLP-Mixer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import mlx.core as mx
from mlx import nn

from smalti.canonical import Json
from smalti.errors import Refused

TOKENS_PER_SIDE = 8
TOKENS = TOKENS_PER_SIDE**2


@dataclass(frozen=True, slots=True)
class PtychographyConfig:
    """The hyperparameters of the network, under the names they have in the ``config`` of a checkpoint.

    Attributes:
        window: side of the object patches, pixels; a multiple of 8.
        gridsize: a group of gridsize**2 neighbouring patches is one input.
        iterations: number of unrolled iterations.
        channels: width of a token is channels * gridsize.
        blocks: Mixer blocks in an iteration.

    Raises:
        Refused: a window that is no multiple of 8, or a number below 1.
    """

    window: int
    gridsize: int = 1
    iterations: int = 3
    channels: int = 32
    blocks: int = 3
    model_type: str = "ptychography"

    def __post_init__(self) -> None:
        if self.window < TOKENS_PER_SIDE or self.window % TOKENS_PER_SIDE:
            raise Refused(
                f"a patch of {self.window} pixels does not divide into {TOKENS_PER_SIDE} x {TOKENS_PER_SIDE} tokens; "
                f"give a multiple of {TOKENS_PER_SIDE}."
            )
        for name in ("gridsize", "iterations", "channels", "blocks"):
            if getattr(self, name) < 1:
                raise Refused(f"{name} of the network is {getattr(self, name)}; give at least 1.")

    @property
    def group(self) -> int:
        """Number of patches in a group."""
        return self.gridsize**2

    @property
    def token_values(self) -> int:
        """Values in a token: real and imaginary parts of one square of pixels in each patch of a group."""
        return 2 * self.group * (self.window // TOKENS_PER_SIDE) ** 2


def from_config(config: Mapping[str, Json]) -> Network:
    """Return the untrained network of a checkpoint's ``config``; entries that are no hyperparameters are ignored.

    Raises:
        Refused: the config is of another model or lacks the window, or what ``PtychographyConfig`` refuses.
    """
    if config.get("model_type") != "ptychography" or "window" not in config:
        raise Refused(
            f"the config {dict(config)} is not that of a ptychography network; "
            "give one with model_type 'ptychography' and a window."
        )
    names = {field.name for field in fields(PtychographyConfig)}
    return Network(PtychographyConfig(**{name: value for name, value in config.items() if name in names}))  # type: ignore[arg-type]


class Network(nn.Module):
    """The unrolled iterations, in order, each with weights of its own."""

    def __init__(self, config: PtychographyConfig) -> None:
        super().__init__()
        self.config = config
        self.iterations = [Iteration(config) for _ in range(config.iterations)]


class Iteration(nn.Module):
    """Object patches and their updates -> better patches; untrained, it returns patches + updates."""

    def __init__(self, config: PtychographyConfig) -> None:
        super().__init__()
        self.window, self.group = config.window, config.group
        width = config.channels * config.gridsize
        self.embed = nn.Linear(config.token_values, width)
        self.place = nn.Linear(2 * config.group, width, bias=False)
        self.blocks = [Mixer(width) for _ in range(config.blocks)]
        self.norm = nn.LayerNorm(width)
        self.pixels = nn.Linear(width, config.token_values)
        self.pixels.weight = mx.zeros_like(self.pixels.weight)
        self.pixels.bias = mx.zeros_like(self.pixels.bias)
        self.gain = mx.array(1.0)

    def __call__(self, patches: mx.array, updates: mx.array, positions: mx.array) -> mx.array:
        """Return (B, W, W) complex64 patches.

        Args:
            patches, updates: (B, W, W) complex64, group after group.
            positions: (B, 2) float32, in pixels; used relative to the mean of each group.
        """
        places = positions.reshape(-1, self.group, 2)
        offsets = (places - places.mean(axis=1, keepdims=True)) / patches.shape[-1]
        tokens = self.embed(space_to_depth(updates, self.group)) + self.place(offsets.flatten(1))[:, None]
        for block in self.blocks:
            tokens = block(tokens)
        correction = depth_to_space(self.pixels(self.norm(tokens)), self.group)
        return patches + self.gain * updates + correction


class Mixer(nn.Module):
    """A two-layer perceptron across the tokens, then one across the channels, both residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.token_norm, self.channel_norm = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.across_tokens = nn.Sequential(nn.Linear(TOKENS, TOKENS), nn.ReLU(), nn.Linear(TOKENS, TOKENS))
        self.across_channels = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.ReLU(), nn.Linear(2 * channels, channels)
        )

    def __call__(self, tokens: mx.array) -> mx.array:  # (G, 64, channels)
        tokens = tokens + self.across_tokens(self.token_norm(tokens).swapaxes(1, 2)).swapaxes(1, 2)
        mixed: mx.array = tokens + self.across_channels(self.channel_norm(tokens))
        return mixed


def space_to_depth(patches: mx.array, group: int) -> mx.array:
    """(B, W, W) complex64 -> (B / group, 64, 2 * group * (W / 8)**2) float32: a token is one square of each patch."""
    side = patches.shape[-1] // TOKENS_PER_SIDE
    parts = mx.stack([mx.real(patches), mx.imag(patches)], axis=1)
    squares = parts.reshape(-1, 2 * group, TOKENS_PER_SIDE, side, TOKENS_PER_SIDE, side).transpose(0, 2, 4, 1, 3, 5)
    return squares.reshape(-1, TOKENS, 2 * group * side**2)


def depth_to_space(tokens: mx.array, group: int) -> mx.array:
    """(G, 64, 2 * group * (W / 8)**2) float32 -> (G * group, W, W) complex64: the inverse of ``space_to_depth``."""
    side = math.isqrt(tokens.shape[-1] // (2 * group))
    squares = tokens.reshape(-1, TOKENS_PER_SIDE, TOKENS_PER_SIDE, 2 * group, side, side).transpose(0, 3, 1, 4, 2, 5)
    parts = squares.reshape(-1, 2, TOKENS_PER_SIDE * side, TOKENS_PER_SIDE * side)
    return parts[:, 0] + 1j * parts[:, 1]
