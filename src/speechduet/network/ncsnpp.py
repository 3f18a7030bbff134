"""NCSN++, the backbone of SGMSE+, StoRM and GP-Unified, as an encoder and a decoder.

The encoder holds the time embedding, the way down and the bottleneck; the decoder the way up. A
pyramid of the down-sampled input is added to the way down, and the output is a sum of what the
decoder's levels contribute, each up-sampled to full size.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le, MaxLen, MinLen, MultipleOf
from torch import Tensor, nn

from speechduet.errors import SettingError
from speechduet.network.backbone import Features
from speechduet.network.layers import (
    ALMOST_ZERO,
    Attention,
    FourierTimeEmbedding,
    ResidualBlock,
    convolution,
    downsample,
    group_norm,
    normalised_silu,
    upsample,
)
from speechduet.settings import Positive, Settings, Size

Multiplier = Annotated[int, Ge(1), Le(64)]


@dataclass(frozen=True)
class NCSNpp(Settings):
    """Dimensions of an NCSN++; the defaults are SGMSE+'s.

    A level has ``base_channels`` times its multiplier channels, half the bins and frames of the
    level above, ``residual_blocks`` blocks on the way down and one more on the way up. A level
    whose number of bins is in ``attention_bins`` has attention; the bottleneck always has.
    ``centred`` takes the input as it is; otherwise it is mapped to ``2 x - 1``. With
    ``scale_by_time`` the generative decoder divides by t before its last convolution (by t and
    not by the standard deviation, which released weights need). ``fourier_scale`` is the standard
    deviation of the time embedding's random frequencies, which are kept with the weights.
    """

    kind: Literal["ncsnpp"] = field(default="ncsnpp", kw_only=True, repr=False)
    base_channels: Annotated[int, Ge(4), Le(2**12), MultipleOf(4)] = 128
    multipliers: Annotated[tuple[Multiplier, ...], MinLen(1), MaxLen(12)] = (1, 1, 2, 2, 2, 2, 2)
    residual_blocks: Annotated[int, Ge(1), Le(32)] = 2
    attention_bins: Annotated[tuple[Size, ...], MaxLen(16)] = (16,)
    bins: Size = 256
    centred: bool = True
    scale_by_time: bool = True
    frame_multiple: Size = 64
    fourier_scale: Positive = 16.0

    def check(self) -> None:
        """Every level halves bins and frames."""
        shrinkage = 2 ** (len(self.multipliers) - 1)
        for name, size in (("bins", self.bins), ("frame_multiple", self.frame_multiple)):
            if size % shrinkage:
                levels = len(self.multipliers)
                raise SettingError(
                    f"{name} is {size}", f"a multiple of {shrinkage} with {levels} levels"
                )

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each level, from the finest."""
        return tuple(self.base_channels * multiplier for multiplier in self.multipliers)

    @property
    def embedding(self) -> int:
        """Channels of the time embedding."""
        return 4 * self.base_channels

    def attends(self, level: int) -> bool:
        """Whether a level has attention."""
        return self.bins >> level in self.attention_bins

    def skip_channels(self) -> Iterator[int]:
        """Channels of the encoder's skip connections, in the order in which they are made."""
        yield self.base_channels
        for level, channels in enumerate(self.channels):
            yield from [channels] * self.residual_blocks
            if level < len(self.channels) - 1:
                yield channels

    def encoder(self, spectrograms: int, timed: bool) -> "Encoder":
        """An encoder of this many complex spectrograms, with or without a time."""
        return Encoder(self, spectrograms, timed)

    def decoder(self, spectrograms: int, timed: bool, generative: bool) -> "Decoder":
        """A decoder for such an encoder's features.

        Published, the *generative* one divides by the time and has its sign turned, because what
        SGMSE+ trains is the negative of the score. A *predictive* one on shared features gets the
        same time embedding and does neither: the paper leaves this open, and so does its first
        author's later public code.
        """
        return Decoder(self, spectrograms, generative and timed)


SGMSE_PLUS = NCSNpp()
"""The network of SGMSE+, GP-SGMSE+ and GP-Unified at its published size."""

STORM = NCSNpp(multipliers=(1, 2, 2, 2), residual_blocks=1, attention_bins=(), centred=False)
"""NCSN++M: StoRM's two networks, and the predictive baseline, at their published size."""


class DownLevel(nn.Module):
    """One level of the encoder: blocks, and the step to the coarser level unless it is the last."""

    def __init__(self, size: NCSNpp, level: int, inputs: int, spectrograms: int) -> None:
        super().__init__()
        channels = size.channels[level]
        widths = [inputs] + [channels] * (size.residual_blocks - 1)
        self.blocks = nn.ModuleList(
            ResidualBlock(width, channels, size.embedding) for width in widths
        )
        self.attentions = nn.ModuleList(
            Attention(channels) if size.attends(level) else nn.Identity() for _ in widths
        )
        last = level == len(size.channels) - 1
        self.down = None if last else ResidualBlock(channels, channels, size.embedding, down=True)
        self.from_pyramid = None if last else convolution(2 * spectrograms, channels, 1)


class Encoder(nn.Module):
    """Real ``[batch, 2 * spectrograms, bins, frames]`` and t ``[batch]`` -> `Features`."""

    def __init__(self, size: NCSNpp, spectrograms: int, timed: bool) -> None:
        super().__init__()
        self.centred = size.centred
        self.embedding = (
            FourierTimeEmbedding(size.base_channels, size.fourier_scale) if timed else None
        )
        self.input = convolution(2 * spectrograms, size.base_channels, 3)
        inputs = (size.base_channels, *size.channels)
        self.levels = nn.ModuleList(
            DownLevel(size, level, inputs[level], spectrograms)
            for level in range(len(size.channels))
        )
        channels = size.channels[-1]
        self.bottleneck_in = ResidualBlock(channels, channels, size.embedding)
        self.attention = Attention(channels)
        self.bottleneck_out = ResidualBlock(channels, channels, size.embedding)

    def forward(self, spectrograms: Tensor, t: Tensor | None) -> Features:
        """Encode; bins and frames must be divisible by 2 at every level."""
        embedding = None
        if self.embedding is not None and t is not None:
            embedding = self.embedding(t)
        pyramid = spectrograms.contiguous(memory_format=torch.channels_last)
        if not self.centred:
            pyramid = 2 * pyramid - 1
        h = self.input(pyramid)
        skips = [h]
        for level in self.levels:
            assert isinstance(level, DownLevel)
            for block, attention in zip(level.blocks, level.attentions, strict=True):
                h = attention(block(h, embedding))
                skips.append(h)
            if level.down is not None and level.from_pyramid is not None:
                pyramid = downsample(pyramid)
                h = level.down(h, embedding).add_(level.from_pyramid(pyramid))
                skips.append(h)
        h = self.bottleneck_in(h, embedding)
        h = self.bottleneck_out(self.attention(h), embedding)
        return Features(tuple(skips), h, embedding, spectrograms, t)


class UpLevel(nn.Module):
    """One level of the decoder: blocks, its part of the output, the step to the finer level."""

    def __init__(
        self, size: NCSNpp, level: int, inputs: int, skips: list[int], spectrograms: int
    ) -> None:
        super().__init__()
        channels = size.channels[level]
        widths = [inputs] + [channels] * size.residual_blocks
        self.blocks = nn.ModuleList(
            ResidualBlock(width + skip, channels, size.embedding)
            for width, skip in zip(widths, skips, strict=True)
        )
        self.attention = Attention(channels) if size.attends(level) else nn.Identity()
        self.norm = group_norm(channels)
        self.to_pyramid = convolution(channels, 2 * spectrograms, 3, gain=ALMOST_ZERO)
        self.up = ResidualBlock(channels, channels, size.embedding, up=True) if level else None


class Decoder(nn.Module):
    """`Features` -> real ``[batch, 2, bins, frames]``: the score, or a spectrogram."""

    def __init__(self, size: NCSNpp, spectrograms: int, generative: bool) -> None:
        super().__init__()
        self.generative = generative
        self.scale_by_time = generative and size.scale_by_time
        skips = list(size.skip_channels())
        inputs = (*size.channels, size.channels[-1])
        levels = []
        for level in reversed(range(len(size.channels))):
            here = [skips.pop() for _ in range(size.residual_blocks + 1)]
            levels.append(UpLevel(size, level, inputs[level + 1], here, spectrograms))
        self.levels = nn.ModuleList(levels)
        self.output = nn.Conv2d(2 * spectrograms, 2, 1)

    def forward(self, features: Features) -> Tensor:
        """Decode; the features are only read, so that another decoder can share them."""
        skips = reversed(features.skips)
        h, embedding = features.bottleneck, features.embedding
        pyramid: Tensor | None = None
        for level in self.levels:
            assert isinstance(level, UpLevel)
            for block in level.blocks:
                h = block(torch.cat([h, next(skips)], dim=1), embedding)
            h = level.attention(h)
            part = level.to_pyramid(normalised_silu(level.norm, h))
            pyramid = part if pyramid is None else upsample(pyramid) + part
            if level.up is not None:
                h = level.up(h, embedding)
        if self.scale_by_time and features.t is not None:
            assert pyramid is not None
            pyramid = pyramid / features.t[:, None, None, None]
        output: Tensor = self.output(pyramid)
        return -output if self.generative else output
