"""The layers that NCSN++ is made of (Song et al. 2021, as SGMSE+ and StoRM use them).

On ordinary processors a fresh buffer of many megabytes costs more than what is written into it, so
that what nobody reads again is overwritten. All convolutions keep their weights in the memory
format channels_last; see docs/performance.md for what each choice gains.
"""

from math import pi, sqrt
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

ALMOST_ZERO = 1e-5
"""Gain of layers that start silent, so that a new network starts near the identity."""


def convolution(inputs: int, outputs: int, size: Literal[1, 3], gain: float = 1.0) -> nn.Conv2d:
    """A convolution that keeps the shape, started as in DDPM (uniform, by fan average)."""
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2)
    nn.init.xavier_uniform_(layer.weight, gain)
    nn.init.zeros_(_bias(layer))
    layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    return layer


def linear(inputs: int, outputs: int, gain: float = 1.0) -> nn.Linear:
    """A linear layer, started likewise."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight, gain)
    nn.init.zeros_(_bias(layer))
    return layer


def group_norm(channels: int) -> nn.GroupNorm:
    """Normalisation in groups of at least 4 channels, 32 groups at most."""
    return nn.GroupNorm(min(channels // 4, 32), channels, eps=1e-6)


def downsample(x: Tensor) -> Tensor:
    """Halve bins and frames with the binomial filter [1, 3, 3, 1] / 8, zeros beyond the border."""
    channels = x.shape[1]
    return functional.conv2d(x, _filter(x) / 64, stride=2, padding=1, groups=channels)


def upsample(x: Tensor) -> Tensor:
    """Double bins and frames with the filter [1, 3, 3, 1] / 4, zeros beyond the border."""
    channels = x.shape[1]
    return functional.conv_transpose2d(x, _filter(x) / 16, stride=2, padding=1, groups=channels)


def average_(h: Tensor, x: Tensor) -> Tensor:
    """Sum of two branches, scaled so that the variance stays. Overwrites the first."""
    return h.add_(x).div_(sqrt(2))


def normalised_silu(norm: nn.GroupNorm, x: Tensor) -> Tensor:
    """SiLU of the normalised x, in one buffer where no gradient needs both."""
    h: Tensor = norm(x)
    return functional.silu(h, inplace=not h.requires_grad)


class FourierTimeEmbedding(nn.Module):
    """Random Fourier features of log t, and two layers on them: ``[batch]`` -> ``[batch, 4 c]``.

    ``scale`` is the standard deviation of the frequencies.
    """

    frequencies: Tensor

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.register_buffer("frequencies", scale * torch.randn(channels))
        self.inner = linear(2 * channels, 4 * channels)
        self.outer = linear(4 * channels, 4 * channels)

    def forward(self, t: Tensor) -> Tensor:
        """Embed times above 0."""
        # In this order of factors: the phase is so large that its rounding shows in the output.
        phase = torch.log(t)[:, None] * self.frequencies * 2 * pi
        features = torch.cat([torch.sin(phase), torch.cos(phase)], dim=-1)
        embedding: Tensor = self.outer(functional.silu(self.inner(features)))
        return embedding


class ResidualBlock(nn.Module):
    """The residual block of BigGAN, which may also double or halve bins and frames.

    Without an embedding the time projection stays idle. Released networks without time carry it,
    and the published parameter counts include it.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        embedding: int,
        *,
        up: bool = False,
        down: bool = False,
    ) -> None:
        super().__init__()
        self.up, self.down = up, down
        self.norm_in = group_norm(inputs)
        self.convolution_in = convolution(inputs, outputs, 3)
        self.time = linear(embedding, outputs)
        self.norm_out = group_norm(outputs)
        self.convolution_out = convolution(outputs, outputs, 3, gain=ALMOST_ZERO)
        changes = inputs != outputs or up or down
        self.shortcut = convolution(inputs, outputs, 1) if changes else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor | None) -> Tensor:
        """``[batch, inputs, bins, frames]`` -> ``[batch, outputs, ...]``."""
        h = normalised_silu(self.norm_in, x)
        if self.up:
            h = upsample(h)
        elif self.down:
            h, x = downsample(h), downsample(x)
        h = self.convolution_in(h)
        if embedding is not None:
            h += self.time(functional.silu(embedding))[:, :, None, None]
        h = self.convolution_out(normalised_silu(self.norm_out, h))
        return average_(h, self._upsampled_shortcut(x) if self.up else self.shortcut(x))

    def _upsampled_shortcut(self, x: Tensor) -> Tensor:
        """The shortcut of the up-sampled x, at a quarter of its cost.

        A convolution of size 1 commutes with the filter, but its bias, which belongs to the border
        as well, does not.
        """
        assert isinstance(self.shortcut, nn.Conv2d)
        x = upsample(functional.conv2d(x, self.shortcut.weight))
        return x.add_(_bias(self.shortcut)[:, None, None])


class Attention(nn.Module):
    """Self-attention with one head over all positions of bins and frames."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.query = linear(channels, channels, gain=sqrt(0.1))
        self.key = linear(channels, channels, gain=sqrt(0.1))
        self.value = linear(channels, channels, gain=sqrt(0.1))
        self.output = linear(channels, channels, gain=ALMOST_ZERO)

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, channels, bins, frames]``, shape kept."""
        h = self.norm(x).flatten(2).transpose(1, 2)
        h = functional.scaled_dot_product_attention(self.query(h), self.key(h), self.value(h))
        # Not a reshape, which in a batch of 1 leaves strides that are no longer channels_last.
        return average_(self.output(h).unflatten(1, x.shape[2:]).movedim(3, 1), x)


def _filter(x: Tensor) -> Tensor:
    """The outer product of [1, 3, 3, 1] with itself, for each channel of x by itself."""
    k = torch.arange(4, device=x.device, dtype=x.dtype)
    taps = 1 + k * (3 - k)  # computed there, for a CUDA graph cannot hold a copy from the CPU
    # An int also when it is traced: ONNX wants weights of known shape.
    return torch.outer(taps, taps).expand(int(x.shape[1]), 1, 4, 4)


def _bias(layer: nn.Conv2d | nn.Linear) -> Tensor:
    assert layer.bias is not None
    return layer.bias
