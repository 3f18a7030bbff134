"""Systems with known answers under the reverse process, and draws that can be looked at."""

import torch
from torch import Tensor

from speechduet.process import OrnsteinUhlenbeck, Process
from speechduet.sampler import Sampling, Step, reverse
from stand_ins import Rule, Ruled

SHAPE = (1, 1, 3, 2)
OUVE = OrnsteinUhlenbeck()


def oracle(generative: Tensor | None, predictive: Tensor | None = None) -> Ruled:
    """A system that knows the clean spectrogram; its other decoder says something else."""
    rules = (answer if answer is None else knowing(answer) for answer in (generative, predictive))
    return Ruled(*rules)


def knowing(answer: Tensor) -> Rule:
    return lambda x_t, y: answer


class Noise:
    """Draws that remember themselves."""

    def __init__(self) -> None:
        self.drawn: list[Tensor] = []

    def __call__(self, shape: tuple[int, ...]) -> Tensor:
        self.drawn.append(torch.randn(shape, dtype=torch.complex128))
        return self.drawn[-1]


def spectrogram() -> Tensor:
    return torch.randn(SHAPE, dtype=torch.complex128)


def run(
    system: Ruled, settings: Sampling, y: Tensor, process: Process | None = OUVE, seed: int = 1
) -> list[Step]:
    torch.manual_seed(seed)
    return list(reverse(system, process, y, settings, Noise()))
