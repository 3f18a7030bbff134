"""A compact backbone for ordinary processors: strided in frequency, residual in time.

The way down folds pairs of frequency bins into channels and convolves over time and frequency;
at the narrowest level a frame becomes one vector, and dilated convolutions along time look back
and ahead. The way up mirrors it on the encoder's skips. All activations are kept as
``[batch, frames, bins, channels]``, in which folding, unfolding and normalising a frame are views.

The head does not map to the clean spectrogram from nothing: it emits, per coefficient, complex
gains for the spectrograms that the encoder was given, and a complex remainder.
"""

from dataclasses import dataclass, field
from itertools import cycle, islice
from math import prod
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.nn import functional

from speechduet.errors import SettingError
from speechduet.network.backbone import Features
from speechduet.settings import Blocks, Even, Positive, Settings, Size, Sizes

Exponent = Annotated[float, Ge(-6), Le(6)]


@dataclass(frozen=True)
class Compact(Settings):
    """Dimensions of the compact backbone, and the constants that decide its output.

    ``channels``: of each level, from the finest (half the bins) to the coarsest. ``width``: of the
    vector that a frame becomes. ``encoder_blocks``, ``decoder_blocks``: residual blocks along time,
    whose dilations (in frames) cycle through ``encoder_dilations`` and ``decoder_dilations``.
    ``embedding``: of the time, by sines with 10 to the power of ``time_exponents`` turns per unit
    of log t. ``input_scale`` brings compressed spectrograms near 1, ``remainder_scale`` the
    remainder near their size.
    """

    kind: Literal["compact"] = field(default="compact", kw_only=True, repr=False)
    bins: Size = 256
    channels: Sizes = (24, 40, 56, 72)
    width: Size = 256
    encoder_blocks: Blocks = 6
    decoder_blocks: Blocks = 3
    embedding: Even = 64
    encoder_dilations: Sizes = (1, 2, 4, 8)
    decoder_dilations: Sizes = (4, 8, 1, 2)
    time_exponents: tuple[Exponent, Exponent] = (-1.2, 0.5)
    input_scale: Positive = 10.0
    remainder_scale: Positive = 0.1

    def check(self) -> None:
        """Every level halves the bins."""
        if self.bins % 2 ** len(self.channels):
            raise SettingError(
                f"bins is {self.bins}",
                f"a multiple of {2 ** len(self.channels)} with {len(self.channels)} levels",
            )

    @property
    def frame_multiple(self) -> int:
        """Any number of frames is fine."""
        return 1

    def encoder(self, spectrograms: int, timed: bool) -> "CompactEncoder":
        """An encoder of this many complex spectrograms."""
        return CompactEncoder(self, spectrograms, timed)

    def decoder(self, spectrograms: int, timed: bool, generative: bool) -> "CompactDecoder":
        """A decoder; generative and predictive ones are alike (both emit a clean spectrogram)."""
        return CompactDecoder(self, spectrograms, timed)

    def level_bins(self) -> tuple[int, ...]:
        """Number of bins of each level."""
        return tuple(self.bins >> (level + 1) for level in range(len(self.channels)))


def fold(x: Tensor) -> Tensor:
    """Halve the bins, double the channels."""
    batch, frames, bins, channels = x.shape
    return x.reshape(batch, frames, bins // 2, channels * 2)


def unfold(x: Tensor) -> Tensor:
    """Double the bins, halve the channels."""
    batch, frames, bins, channels = x.shape
    return x.reshape(batch, frames, bins * 2, channels // 2)


def on_frames(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution of ``[batch, frames, bins, channels]`` that keeps frames and bins."""
    # The permuted view *is* a channels-last tensor: nothing is copied.
    convolved: Tensor = convolution(x.permute(0, 3, 1, 2))
    return convolved.permute(0, 2, 3, 1)


class LogTimeEmbedding(nn.Module):
    """Sines and cosines of log t through two layers, ``[batch]`` -> ``[batch, channels]``.

    Their frequencies are 10 to evenly spaced powers between the two ``exponents``. From -1.2 to 0.5
    these are periods from 16 down to about 1/3 of log t, which spans 0 to -3.5 (t = 0.03).
    """

    def __init__(self, channels: int, exponents: tuple[float, ...]) -> None:
        super().__init__()
        lowest, highest = exponents
        self.register_buffer(
            "frequencies",
            torch.logspace(lowest, highest, channels // 2, dtype=torch.float32),
            persistent=False,
        )
        self.frequencies: Tensor
        self.layers = nn.Sequential(
            nn.Linear(channels, channels), nn.SiLU(), nn.Linear(channels, channels), nn.SiLU()
        )

    def forward(self, t: Tensor) -> Tensor:
        """Embed the time."""
        angles = t.clamp_min(1e-5).log()[:, None] * self.frequencies * 2 * torch.pi
        embedded: Tensor = self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))
        return embedded


class FrameNorm(nn.LayerNorm):
    """Normalisation of a frame over its bins and channels, as one vector.

    PyTorch's own over two dimensions loses the shape of its gradients on GPUs: beyond 65,536 frames
    in a batch (pytorch/pytorch#192016), and when compiled (seen with 2.11; see #178080).
    """

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, frames, bins, channels]`` -> the same shape."""
        weight, bias = self.weight.flatten(), self.bias.flatten()
        flat = functional.layer_norm(x.flatten(-2), weight.shape, weight, bias, self.eps)
        return flat.view_as(x)


class Level(nn.Module):
    """Convolution, normalisation of each frame, a shift by the time, SiLU."""

    def __init__(self, inputs: int, outputs: int, bins: int, embedding: int | None) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.shift = None if embedding is None else nn.Linear(embedding, outputs)
        # Per frame, not per excerpt: what a frame becomes does not depend on the file's length.
        self.norm = FrameNorm((bins, outputs))

    def forward(self, x: Tensor, embedding: Tensor | None) -> Tensor:
        """``[batch, frames, bins, inputs]`` -> ``[batch, frames, bins, outputs]``."""
        x = self.norm(on_frames(self.convolution, x))
        if self.shift is not None and embedding is not None:
            x += self.shift(embedding)[:, None, None, :]
        return functional.silu(x, inplace=not x.requires_grad)


class TemporalBlock(nn.Module):
    """A residual block along time: dilated depthwise convolution, then a layer per frame."""

    def __init__(self, width: int, dilation: int, embedding: int | None) -> None:
        super().__init__()
        self.along_time = nn.Conv1d(
            width, width, 5, padding=2 * dilation, dilation=dilation, groups=width
        )
        self.norm = nn.LayerNorm(width)
        self.shift = None if embedding is None else nn.Linear(embedding, width)
        self.widen = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, embedding: Tensor | None) -> Tensor:
        """``[batch, frames, width]`` -> the same shape."""
        h = self.norm(self.along_time(x.transpose(1, 2)).transpose(1, 2))
        if self.shift is not None and embedding is not None:
            h += self.shift(embedding)[:, None, :]
        h = self.widen(h)
        out: Tensor = self.narrow(functional.silu(h, inplace=not h.requires_grad))
        return out.add_(x)


def temporal_blocks(
    count: int, width: int, dilations: tuple[int, ...], embedding: int | None
) -> nn.ModuleList:
    """Blocks along time, whose dilations start over when there are more blocks than dilations."""
    return nn.ModuleList(
        TemporalBlock(width, dilation, embedding) for dilation in islice(cycle(dilations), count)
    )


def parts_and_magnitudes(spectrograms: Tensor, scale: float) -> Tensor:
    """Real ``[batch, 2 n, bins, frames]`` -> ``[batch, frames, bins, 3 n]`` for an encoder to read.

    Real and imaginary parts and magnitudes of n spectrograms, times a ``scale`` that brings typical
    magnitudes of compressed speech near 1.
    """
    batch, channels, bins, frames = spectrograms.shape
    parts = spectrograms.permute(0, 3, 2, 1).reshape(batch, frames, bins, channels // 2, 2)
    magnitude = (parts.square().sum(-1) + 1e-8).sqrt()
    return scale * torch.cat([parts.flatten(-2), magnitude], dim=-1)


class CompactEncoder(nn.Module):
    """Spectrograms (and time) -> features; the bottleneck is ``[batch, frames, width]``."""

    def __init__(self, size: Compact, spectrograms: int, timed: bool) -> None:
        super().__init__()
        embedding = size.embedding if timed else None
        self.input_scale = size.input_scale
        self.embed = LogTimeEmbedding(size.embedding, size.time_exponents) if timed else None
        # Real, imaginary part and magnitude of each spectrogram.
        inputs = [3 * spectrograms, *size.channels[:-1]]
        self.levels = nn.ModuleList(
            Level(2 * before, after, bins, embedding)
            for before, after, bins in zip(inputs, size.channels, size.level_bins(), strict=True)
        )
        self.narrow = nn.Linear(size.level_bins()[-1] * size.channels[-1], size.width)
        self.blocks = temporal_blocks(
            size.encoder_blocks, size.width, size.encoder_dilations, embedding
        )

    def forward(self, spectrograms: Tensor, t: Tensor | None) -> Features:
        """Encode real ``[batch, 2 n, bins, frames]`` at times ``[batch]``."""
        embedding = None if self.embed is None or t is None else self.embed(t)
        x = parts_and_magnitudes(spectrograms, self.input_scale)
        skips = []
        for level in self.levels:
            x = level(fold(x), embedding)
            skips.append(x)
        x = self.narrow(x.flatten(-2))
        for block in self.blocks:
            x = block(x, embedding)
        return Features(tuple(skips), x, embedding, spectrograms, t)


class CompactDecoder(nn.Module):
    """Features -> one complex spectrogram, real ``[batch, 2, bins, frames]``."""

    def __init__(self, size: Compact, spectrograms: int, timed: bool) -> None:
        super().__init__()
        embedding = size.embedding if timed else None
        self.remainder_scale = size.remainder_scale
        self.blocks = temporal_blocks(
            size.decoder_blocks, size.width, size.decoder_dilations, embedding
        )
        coarsest = (size.level_bins()[-1], size.channels[-1])
        self.widen = nn.Linear(size.width, prod(coarsest))
        self.coarsest = coarsest
        channels = size.channels[::-1]
        bins = size.level_bins()[::-1]
        self.levels = nn.ModuleList(
            Level(before, 2 * after, at, embedding)
            for before, after, at in zip(channels, channels[1:], bins, strict=False)
        )
        # At full resolution: a complex gain per spectrogram and a complex remainder.
        self.head = silent(nn.Conv2d(channels[-1], 2 * (2 * spectrograms + 2), 3, padding=1))

    def forward(self, features: Features) -> Tensor:
        """Decode."""
        x = features.bottleneck
        for block in self.blocks:
            x = block(x, features.embedding)
        x = self.widen(x).unflatten(-1, self.coarsest)
        skips = features.skips[::-1]
        for level, skip in zip(self.levels, skips, strict=False):
            x = unfold(level(x.add_(skip), features.embedding))
        weights = unfold(on_frames(self.head, x.add_(skips[-1])))
        return combine(weights, features.spectrograms, self.remainder_scale)


def silent(layer: nn.Conv2d) -> nn.Conv2d:
    """A head whose weights start at zero, so that a new network lets nothing through."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def combine(weights: Tensor, spectrograms: Tensor, remainder_scale: float) -> Tensor:
    """What a head emits, applied: complex gains of the spectrograms and a complex remainder.

    ``weights`` are ``[batch, frames, bins, 2 n + 2]``, gains before remainder; ``spectrograms`` are
    real ``[batch, 2 n, bins, frames]``, and the result is real ``[batch, 2, bins, frames]``.
    """
    gain = weights.permute(0, 3, 2, 1)
    remainder = gain[:, -2:] * remainder_scale
    real, imaginary = gain[:, :-2:2], gain[:, 1:-2:2]
    a, b = spectrograms[:, ::2], spectrograms[:, 1::2]
    filtered = torch.stack(
        [(real * a - imaginary * b).sum(1), (real * b + imaginary * a).sum(1)], dim=1
    )
    return filtered + remainder
