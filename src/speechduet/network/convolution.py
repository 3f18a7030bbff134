"""The 3x3 convolution of all networks, computed in the way that is fastest where it runs."""

import torch
from torch import Tensor, nn

from speechduet.backend.winograd import STRIP_TILES, TILE, winograd_convolution

FEWEST_CHANNELS = 80
"""Read or made, from which on Winograd's products gain more than its mappings cost."""

MOST_THREADS = 8
"""Threads up to which it is used: Python hands out its strips, one at a time."""

FEWEST_PER_THREAD = 400_000_000
"""Multiplications of the plain convolution for each of several threads, from which on it is."""


class Convolution(nn.Conv2d):
    """A 3x3 convolution that keeps height and width."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, inputs, height, width]`` -> ``[batch, outputs, height, width]``."""
        assert self.bias is not None
        if has_fast_path(x, self.weight):
            return winograd_convolution(x, self.weight, self.bias)
        return super().forward(x)


def has_fast_path(x: Tensor, weight: Tensor) -> bool:
    """Whether x is convolved with a quarter of the multiplications.

    So in float32 on x86 processors, unless a program is only recorded for another backend.
    """
    # First, for torch.compile then reads no further.
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        return False
    if x.device.type != "cpu" or not x.dtype == weight.dtype == torch.float32:
        return False
    if torch.is_autocast_enabled("cpu") or not torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]
        return False
    batch, _, height, width = x.shape
    places = batch * height * width
    if width % TILE or places < STRIP_TILES * TILE**2 or min(weight.shape[:2]) < FEWEST_CHANNELS:
        return False
    threads = torch.get_num_threads()
    enough = threads == 1 or places * weight.numel() >= FEWEST_PER_THREAD * threads
    return enough and threads <= MOST_THREADS
