"""PyTorch as it is, with its convolutions and matrix products in bfloat16."""

import torch
from torch import Tensor

from speechduet.network.system import Program, System


class Bfloat16:
    """A system's own forward under autocast."""

    def __init__(self, system: System) -> None:
        self._system = system

    def __call__(
        self, program: Program, spectrograms: Tensor, t: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Outputs of `System.forward`, converted back to float32."""
        # Autocast's cache of weights would tie the calls of several threads and of CUDA graphs to
        # each other, and a weight is used once in an evaluation.
        device = spectrograms.device.type
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):
            outputs: tuple[Tensor, ...] = self._system(program, spectrograms, t)
        return tuple(output.float() for output in outputs)
