"""A small backbone of two paths: recurrence along time, attention along frequency.

The way down folds neighbouring frequency bins into channels and convolves over frequency alone,
until a frame is a few dozen positions. There, blocks in turn let each position remember (with the
same weights at all of them) and let the positions of a frame look at each other. The way up
mirrors the way down on the encoder's skips. Activations are ``[batch, frames, bins, channels]``.

The head is that of the compact backbone: complex gains for the spectrograms that the encoder was
given, and a complex remainder.
"""

from dataclasses import dataclass, field
from math import prod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechduet.errors import SettingError
from speechduet.network.backbone import Features
from speechduet.network.compact import (
    Exponent,
    LogTimeEmbedding,
    combine,
    on_frames,
    parts_and_magnitudes,
    silent,
)
from speechduet.network.recurrence import Recurrence
from speechduet.settings import Blocks, Even, Positive, Settings, Size, Sizes


@dataclass(frozen=True)
class DualPath(Settings):
    """Dimensions of the dual-path backbone, and the constants that decide its output.

    ``folds``: how many neighbouring bins each level makes one, from the finest to the coarsest
    level; ``channels``: of each level; the blocks have the last number. ``hidden``: states of a
    position's memory, half of them looking back and half ahead. ``heads``: of the attention.
    ``encoder_blocks``, ``decoder_blocks``: pairs of recurrence and attention. ``embedding``: of
    the time, by sines with 10 to the power of ``time_exponents`` turns per unit of log t.
    ``input_scale`` brings compressed spectrograms near 1, ``remainder_scale`` the remainder near
    their size.
    """

    kind: Literal["dual_path"] = field(default="dual_path", kw_only=True, repr=False)
    bins: Size = 256
    folds: Sizes = (4, 2)
    channels: Sizes = (32, 48)
    hidden: Even = 64
    heads: Size = 2
    encoder_blocks: Blocks = 3
    decoder_blocks: Blocks = 1
    embedding: Even = 64
    time_exponents: tuple[Exponent, Exponent] = (-1.2, 0.5)
    input_scale: Positive = 10.0
    remainder_scale: Positive = 0.1

    def check(self) -> None:
        """Bins and channels can be divided as they have to be."""
        if len(self.folds) != len(self.channels):
            raise SettingError(
                f"folds is {list(self.folds)}", f"a number for each of {len(self.channels)} levels"
            )
        for name, value, divisor in (
            ("bins", self.bins, prod(self.folds)),
            ("channels", self.channels[-1], self.heads),
        ):
            if value % divisor:
                raise SettingError(f"{name} is {getattr(self, name)}", f"a multiple of {divisor}")

    @property
    def frame_multiple(self) -> int:
        """Any number of frames is fine."""
        return 1

    @property
    def positions(self) -> int:
        """Frequency positions at the coarsest level."""
        return self.bins // prod(self.folds)

    def encoder(self, spectrograms: int, timed: bool) -> "DualPathEncoder":
        """An encoder of this many complex spectrograms."""
        return DualPathEncoder(self, spectrograms, timed)

    def decoder(self, spectrograms: int, timed: bool, generative: bool) -> "DualPathDecoder":
        """A decoder; generative and predictive ones are alike (both emit a clean spectrogram)."""
        return DualPathDecoder(self, spectrograms, timed)

    def blocks(self, count: int, timed: bool) -> nn.ModuleList:
        """Blocks at the coarsest level."""
        return nn.ModuleList(Block(self, timed) for _ in range(count))


def fold(x: Tensor, by: int) -> Tensor:
    """Make this many neighbouring bins one, with as many times the channels."""
    batch, frames, bins, channels = x.shape
    return x.reshape(batch, frames, bins // by, channels * by)


def unfold(x: Tensor, by: int) -> Tensor:
    """Undo `fold`."""
    batch, frames, bins, channels = x.shape
    return x.reshape(batch, frames, bins * by, channels // by)


def frequency_convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """A convolution over three bins of the same frame."""
    layer = nn.Conv2d(inputs, outputs, (1, 3), padding=(0, 1))
    layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    return layer


class Level(nn.Module):
    """Convolution over frequency, normalisation of each position, a shift by the time, SiLU."""

    def __init__(self, inputs: int, outputs: int, embedding: int | None) -> None:
        super().__init__()
        self.convolution = frequency_convolution(inputs, outputs)
        self.norm = nn.LayerNorm(outputs)
        self.shift = None if embedding is None else nn.Linear(embedding, outputs)

    def forward(self, x: Tensor, embedding: Tensor | None) -> Tensor:
        """``[batch, frames, bins, inputs]`` -> ``[batch, frames, bins, outputs]``."""
        x = self.norm(on_frames(self.convolution, x))
        if self.shift is not None and embedding is not None:
            x = x + self.shift(embedding)[:, None, None, :]
        return functional.silu(x, inplace=not x.requires_grad)


class Attention(nn.Module):
    """Self-attention over the positions of each frame; ``[batch, frames, bins, channels]``."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        with torch.no_grad():  # what attention usually does to its queries at every call
            self.project.weight[:channels] *= (channels / heads) ** -0.5

    def forward(self, x: Tensor) -> Tensor:
        """Shape kept."""
        batch, frames, bins, channels = x.shape
        parts = self.project(x).reshape(batch * frames, bins, 3, self.heads, channels // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = (query @ key.transpose(-1, -2)).softmax(-1) @ value
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, frames, bins, channels))
        return out


class Block(nn.Module):
    """Recurrence along time, then attention along frequency; each residual, after a norm."""

    def __init__(self, size: DualPath, timed: bool) -> None:
        super().__init__()
        channels = size.channels[-1]
        self.norm_time = nn.LayerNorm(channels)
        self.shift = nn.Linear(size.embedding, channels) if timed else None
        self.recurrence = Recurrence(channels, size.hidden)
        self.norm_frequency = nn.LayerNorm(channels)
        self.attention = Attention(channels, size.heads)

    def forward(self, x: Tensor, embedding: Tensor | None) -> Tensor:
        """``[batch, frames, positions, channels]`` -> the same shape."""
        h = self.norm_time(x)
        if self.shift is not None and embedding is not None:
            h = h + self.shift(embedding)[:, None, None, :]
        x = x + self.recurrence(h)
        out: Tensor = x + self.attention(self.norm_frequency(x))
        return out


class DualPathEncoder(nn.Module):
    """Spectrograms (and time) -> features; bottleneck ``[batch, frames, positions, channels]``."""

    def __init__(self, size: DualPath, spectrograms: int, timed: bool) -> None:
        super().__init__()
        embedding = size.embedding if timed else None
        self.size = size
        self.embed = LogTimeEmbedding(size.embedding, size.time_exponents) if timed else None
        # Real, imaginary part and magnitude of each spectrogram.
        inputs = (3 * spectrograms, *size.channels)
        self.levels = nn.ModuleList(
            Level(before * by, after, embedding)
            for before, after, by in zip(inputs, size.channels, size.folds, strict=False)
        )
        self.position = nn.Embedding(size.positions, size.channels[-1])
        nn.init.normal_(self.position.weight, std=0.02)
        self.blocks = size.blocks(size.encoder_blocks, timed)

    def forward(self, spectrograms: Tensor, t: Tensor | None) -> Features:
        """Encode real ``[batch, 2 n, bins, frames]`` at times ``[batch]``."""
        embedding = None if self.embed is None or t is None else self.embed(t)
        x = parts_and_magnitudes(spectrograms, self.size.input_scale)
        skips = []
        for level, by in zip(self.levels, self.size.folds, strict=True):
            x = level(fold(x, by), embedding)
            skips.append(x)
        x = x + self.position.weight
        for block in self.blocks:
            x = block(x, embedding)
        return Features(tuple(skips), x, embedding, spectrograms, t)


class DualPathDecoder(nn.Module):
    """Features -> one complex spectrogram, real ``[batch, 2, bins, frames]``."""

    def __init__(self, size: DualPath, spectrograms: int, timed: bool) -> None:
        super().__init__()
        embedding = size.embedding if timed else None
        self.size = size
        self.blocks = size.blocks(size.decoder_blocks, timed)
        channels, self.folds = size.channels[::-1], size.folds[::-1]
        self.levels = nn.ModuleList(
            Level(before, after * by, embedding)
            for before, after, by in zip(channels, channels[1:], self.folds, strict=False)
        )
        # At full resolution: a complex gain per spectrogram and a complex remainder.
        outputs = self.folds[-1] * (2 * spectrograms + 2)
        self.head = silent(frequency_convolution(channels[-1], outputs))

    def forward(self, features: Features) -> Tensor:
        """Decode."""
        x = features.bottleneck
        for block in self.blocks:
            x = block(x, features.embedding)
        skips = features.skips[::-1]
        for level, skip, by in zip(self.levels, skips, self.folds, strict=False):
            x = unfold(level(x + skip, features.embedding), by)
        weights = unfold(on_frames(self.head, x + skips[-1]), self.folds[-1])
        return combine(weights, features.spectrograms, self.size.remainder_scale)
