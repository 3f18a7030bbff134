"""The time and the noise of a training example, as functions of the seed and its number alone.

So a resumed run, several processes and any size of batch see the same numbers as one process that
was never stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class TrainingTime:
    """How the diffusion time of an example is drawn.

    Uniform from the process's t_min to 1 (paper eq. 8), but exactly 1 for a share ``at_start`` of
    the examples: the first reverse step, and all that a purely predictive answer ever sees.
    """

    at_start: float = 0.0

    def of(self, chance: Tensor, t_min: float) -> Tensor:
        """Times ``[batch]`` of numbers ``[batch, 2]``, uniform in [0, 1)."""
        t = t_min + (1 - t_min) * chance[:, 0]
        return torch.where(chance[:, 1] < self.at_start, torch.ones_like(t), t)


def draw(
    seed: int, examples: Sequence[int], shape: Sequence[int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Uniform numbers ``[batch, 2]`` and standard complex noise ``[batch, *shape]``."""
    chance, noise = [], []
    for example in examples:
        mixed = np.random.SeedSequence([seed, example]).generate_state(1, np.uint64)[0]
        generator = torch.Generator(device).manual_seed(int(mixed >> np.uint64(1)))
        chance.append(torch.rand(2, generator=generator, device=device))
        noise.append(
            torch.randn(tuple(shape), generator=generator, device=device, dtype=torch.complex64)
        )
    return torch.stack(chance), torch.stack(noise)
