"""Schroedinger bridge with variance exploding (Jukic et al. 2024): noise vanishes at both ends."""

from dataclasses import dataclass, field
from math import log
from typing import Annotated, Literal

import torch
from annotated_types import Gt
from torch import Tensor

from speechduet.process.base import Kernel, Process, StartOfTime
from speechduet.settings import Positive


@dataclass(frozen=True)
class SchroedingerBridge(Process):
    """A bridge from x_0 to y with ``sigma_t^2 = c (k^(2t) - 1) / (2 log k)``."""

    kind: Literal["schroedinger_bridge"] = field(
        default="schroedinger_bridge", kw_only=True, repr=False
    )
    k: Annotated[float, Gt(1)] = 2.6
    c: Positive = 0.4
    t_min: StartOfTime = 1e-4

    def kernel(self, t: Tensor) -> Kernel:
        """``a = 1 - p``, ``b = p``, ``s^2 = p (1 - p) sigma_1^2``; ``p = (sigma_t/sigma_1)^2``."""
        progress, total = self._progress(t), self._total()
        # Exactly 0 at t = 1, where rounding would leave a tiny weight on x_0.
        clean = torch.where(t >= 1, torch.zeros_like(t), 1 - progress)
        return Kernel(clean, 1 - clean, total * clean * (1 - clean))

    def rates(self, t: Tensor) -> Kernel:
        """Derivatives of the three weights."""
        progress = self._progress(t)
        rate = 2 * log(self.k) * torch.exp(2 * log(self.k) * t) / (self.k**2 - 1)
        return Kernel(-rate, rate, self._total() * rate * (1 - 2 * progress))

    def _progress(self, t: Tensor) -> Tensor:
        return torch.expm1(2 * log(self.k) * t) / (self.k**2 - 1)

    def _total(self) -> float:
        return self.c * (self.k**2 - 1) / (2 * log(self.k))
