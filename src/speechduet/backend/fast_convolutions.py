"""PyTorch on x86 processors, with a quarter of the multiplications in large 3x3 convolutions."""

from copy import copy

import torch
from torch import Tensor, nn

from speechduet.backend.winograd import (
    STRIP_TILES,
    TILE,
    thread_count,
    winograd_convolution,
)
from speechduet.network.system import Program, System

FEWEST_CHANNELS = 80
"""Input and output channels from which on the products save more than the mappings cost."""

MOST_THREADS = 8
"""Beyond these PyTorch's own convolutions are taken: Python hands out the strips one at a time."""

FEWEST_PER_THREAD = 400_000_000
"""Multiplications of the plain convolution per thread, from which on several threads gain."""


class FastConvolutions:
    """A system's own networks, with those convolutions replaced that gain from it.

    They share parameters and buffers with the system, also after these are trained or moved to
    another device. In training the gradients of the inputs are computed as fast.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self._fast = _replaced(system)

    def __call__(
        self, program: Program, spectrograms: Tensor, t: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Outputs of `System.forward`."""
        training = next(self._system.children()).training
        if self._fast.training != training:
            self._fast.train(training)
        outputs: tuple[Tensor, ...] = self._fast(program, spectrograms, t)
        return outputs


def fast_convolutions(system: System) -> FastConvolutions | None:
    """That backend; None where nothing would gain from it, on this processor or in this system."""
    fast = is_available() and any(map(_may_gain, system.modules()))
    return FastConvolutions(system) if fast else None


def is_available() -> bool:
    """Whether this PyTorch multiplies matrices by MKL, without which nothing is gained."""
    return bool(torch.backends.mkl.is_available())  # type: ignore[no-untyped-call]


class FastConvolution(nn.Module):
    """A 3x3 convolution that is computed in whichever way is faster for its input."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, inputs, height, width]`` -> ``[batch, outputs, height, width]``."""
        weight, bias = self.layer.weight, self.layer.bias
        if bias is not None and _gains(x, weight):
            return winograd_convolution(x, weight, bias)
        convolved: Tensor = self.layer(x)
        return convolved


def _may_gain(module: nn.Module) -> bool:
    """Whether a layer is of the kind and size that is replaced."""
    return (
        isinstance(module, nn.Conv2d)
        and (module.kernel_size, module.stride, module.padding) == ((3, 3), (1, 1), (1, 1))
        and (module.dilation, module.groups, module.padding_mode) == ((1, 1), 1, "zeros")
        and module.bias is not None
        and min(module.in_channels, module.out_channels) >= FEWEST_CHANNELS
    )


def _gains(x: Tensor, weight: Tensor) -> bool:
    """Whether an input is large enough, and where and what it must be."""
    if x.device.type != "cpu" or not x.dtype == weight.dtype == torch.float32:
        return False
    batch, _, height, width = x.shape
    places = batch * height * width
    if torch.is_autocast_enabled("cpu") or width % TILE or places < STRIP_TILES * TILE**2:
        return False
    threads = thread_count()
    enough = threads == 1 or places * weight.numel() >= FEWEST_PER_THREAD * threads
    return enough and threads <= MOST_THREADS


def _replaced(module: nn.Module) -> nn.Module:
    """The module with other layers in it, but with its own tensors."""
    made = copy(module)  # shares the very tables of its parameters and buffers
    made._modules = {
        name: FastConvolution(child)
        if isinstance(child, nn.Conv2d) and _may_gain(child)
        else child and _replaced(child)
        for name, child in module._modules.items()
    }
    return made
