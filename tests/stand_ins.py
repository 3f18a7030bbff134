"""What stands in for networks: a system that knows the answers and remembers the questions."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from speechduet.enhancement.enhancer import Enhancer
from speechduet.model.folder import Pretrained
from speechduet.network.layout import Layout
from speechduet.network.system import Backend
from speechduet.process import OrnsteinUhlenbeck, Process
from speechduet.sampler import Estimate, Sampling
from speechduet.spectrogram import Spectrogram

Rule = Callable[[Tensor, Tensor], Tensor]
"""The clean spectrogram, of the state x_t and the noisy one."""


def noisy(x_t: Tensor, y: Tensor) -> Tensor:
    """Taking the noisy spectrogram for clean."""
    return y


class Ruled(nn.Module):
    """A joint system whose estimates follow rules; None for a decoder that knows no answer."""

    layout = Layout(generative=True, predictive="shared", parametrisation="clean")
    process: Process | None = OrnsteinUhlenbeck()

    def __init__(
        self,
        generative: Rule | None = noisy,
        predictive: Rule | None = noisy,
        frame_multiple: int = 1,
    ) -> None:
        super().__init__()
        self.rules = generative, predictive
        self.frame_multiple = frame_multiple
        self.batches: list[tuple[int, ...]] = []
        self.asked: list[tuple[bool, bool]] = []
        self.times: list[float] = []

    def placed(self, device: torch.device) -> Any:
        return self

    def evaluated_by(self, backend: Backend | None) -> Any:
        return self

    def anchor(self, y: Tensor) -> Tensor:
        self.batches.append(tuple(y.shape))
        return y

    def estimate(
        self,
        x_t: Tensor,
        y: Tensor,
        anchor: Tensor,
        t: Tensor,
        *,
        generative: bool,
        predictive: bool,
    ) -> Estimate:
        self.asked.append((generative, predictive))
        self.times.append(round(t[0].item(), 6))
        wanted = zip(self.rules, (generative, predictive), strict=True)
        return Estimate(*(rule(x_t, y) if rule and wants else None for rule, wants in wanted))


def ruled(system: Ruled, modes: dict[str, Sampling], **machine: Any) -> Enhancer:
    """An enhancer with such a system."""
    stand_in: Any = system
    return Enhancer(Pretrained("ruled", stand_in, Spectrogram(), modes), **machine)
