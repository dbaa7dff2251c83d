"""The ptychography network: what one pattern says of the object in, the patch of object that made it out.

The idea, a network that learns through the physics and never sees a finished image, is PtychoPINN's: O. Hoidn,
A. A. Mishra, A. Mehta, Sci Rep 13, 22789 (2023). The body is an MLP-Mixer (I. Tolstikhin et al., arXiv 2105.01601)
where they have convolutions: a matmul is the one layer that is fast on every device. It is shown not the pattern but
what a solver's first look makes of it: see ``smalti.ptycho.overlap.first_update``.
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
    """The shape of the network, under the names a checkpoint's ``config`` keeps it by.

    Attributes:
        window: side of the patch of object it sees and writes, pixels; a multiple of 8.
        channels: width of a token.
        shared_blocks: mixer blocks before amplitude and phase part.
        head_blocks: mixer blocks of each of the two.
    """

    window: int
    channels: int = 32
    shared_blocks: int = 2
    head_blocks: int = 1
    model_type: str = "ptychography"

    def __post_init__(self) -> None:
        if self.window < TOKENS_PER_SIDE or self.window % TOKENS_PER_SIDE:
            raise Refused(
                f"a patch of {self.window} pixels does not divide into {TOKENS_PER_SIDE} x {TOKENS_PER_SIDE} tokens; "
                f"give a multiple of {TOKENS_PER_SIDE}."
            )

    @property
    def token_pixels(self) -> int:
        """Pixels in the square that makes one token."""
        return (self.window // TOKENS_PER_SIDE) ** 2


def from_config(config: Mapping[str, Json]) -> Network:
    """Build the untrained network that a checkpoint's ``config`` describes; its other entries are ignored.

    Raises:
        Refused: the config is of another model, or lacks the window.
    """
    if config.get("model_type") != "ptychography" or "window" not in config:
        raise Refused(
            f"the config {dict(config)} is not that of a ptychography network; "
            "give one with model_type 'ptychography' and a window."
        )
    names = {field.name for field in fields(PtychographyConfig)}
    return Network(PtychographyConfig(**{name: value for name, value in config.items() if name in names}))  # type: ignore[arg-type]


class Network(nn.Module):
    """(B, W, W) complex64 first update of the empty object -> (B, W, W) complex64 object patch.

    What it learns is a factor on the updated object; an untrained network changes nothing.
    """

    def __init__(self, config: PtychographyConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(2 * config.token_pixels, config.channels)
        self.blocks = [Mixer(config.channels) for _ in range(config.shared_blocks)]
        self.amplitude, self.phase = Head(config), Head(config)

    def __call__(self, update: mx.array) -> mx.array:
        real, imaginary = space_to_depth(mx.real(update)), space_to_depth(mx.imag(update))
        tokens = self.embed(mx.concatenate([real, imaginary], axis=-1))  # (B, 64, channels)
        for block in self.blocks:
            tokens = block(tokens)
        return (1 + update) * transmission(self.amplitude(tokens), self.phase(tokens))


class Head(nn.Module):
    """Mixer blocks, then one linear layer that writes each token's square of pixels; zero before training."""

    def __init__(self, config: PtychographyConfig) -> None:
        super().__init__()
        self.blocks = [Mixer(config.channels) for _ in range(config.head_blocks)]
        self.norm = nn.LayerNorm(config.channels)
        self.pixels = nn.Linear(config.channels, config.token_pixels)
        self.pixels.weight = mx.zeros_like(self.pixels.weight)
        self.pixels.bias = mx.zeros_like(self.pixels.bias)

    def __call__(self, tokens: mx.array) -> mx.array:  # (B, 64, channels) -> (B, W, W)
        for block in self.blocks:
            tokens = block(tokens)
        return depth_to_space(self.pixels(self.norm(tokens)))


class Mixer(nn.Module):
    """A two-layer perceptron across the tokens, then one across the channels, both residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.token_norm, self.channel_norm = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.across_tokens = nn.Sequential(nn.Linear(TOKENS, TOKENS), nn.ReLU(), nn.Linear(TOKENS, TOKENS))
        self.across_channels = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.ReLU(), nn.Linear(2 * channels, channels)
        )

    def __call__(self, tokens: mx.array) -> mx.array:  # (B, 64, channels)
        tokens = tokens + self.across_tokens(self.token_norm(tokens).swapaxes(1, 2)).swapaxes(1, 2)
        mixed: mx.array = tokens + self.across_channels(self.channel_norm(tokens))
        return mixed


def transmission(a: mx.array, t: mx.array) -> mx.array:
    """Return the complex object of amplitude 2 sigmoid(a), in (0, 2), and phase 2 atan(t), in (-pi, pi).

    exp(2i atan(t)) = (1 + it)^2 / (1 + t^2) needs no sine or cosine, which are slow on a CPU.
    """
    scale = 2 * mx.sigmoid(a) / (1 + t * t)
    return scale * (1 - t * t) + 1j * (2 * scale * t)


def space_to_depth(image: mx.array) -> mx.array:
    """(B, W, W) -> (B, 64, (W/8)^2): each token is one square of pixels."""
    batch, side = image.shape[0], image.shape[-1] // TOKENS_PER_SIDE
    squares = image.reshape(batch, TOKENS_PER_SIDE, side, TOKENS_PER_SIDE, side).swapaxes(2, 3)
    return squares.reshape(batch, TOKENS, side * side)


def depth_to_space(tokens: mx.array) -> mx.array:
    """(B, 64, (W/8)^2) -> (B, W, W): the inverse of ``space_to_depth``."""
    batch, side = tokens.shape[0], math.isqrt(tokens.shape[-1])
    squares = tokens.reshape(batch, TOKENS_PER_SIDE, TOKENS_PER_SIDE, side, side).swapaxes(2, 3)
    return squares.reshape(batch, TOKENS_PER_SIDE * side, TOKENS_PER_SIDE * side)
