"""Schroedinger bridge with variance exploding (Jukic et al. 2024): noise vanishes at both ends."""

from dataclasses import dataclass, field
from math import log
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor

from speechduet.process.base import Kernel, Process, StartOfTime
from speechduet.settings import Positive


@dataclass(frozen=True)
class SchroedingerBridge(Process):
    """A bridge from x_0 to y with ``sigma_t^2 = c (k^(2t) - 1) / (2 log k)``."""

    kind: Literal["schroedinger_bridge"] = field(
        default="schroedinger_bridge", kw_only=True, repr=False
    )
    k: Annotated[float, Ge(1.001), Le(1000)] = 2.6
    c: Positive = 0.4
    t_min: StartOfTime = 1e-4

    def kernel(self, t: Tensor) -> Kernel:
        """``a = 1 - p``, ``b = p``, ``s^2 = p (1 - p) sigma_1^2``; ``p = (sigma_t/sigma_1)^2``."""
        remaining = 1 - torch.expm1(2 * log(self.k) * t) / (self.k**2 - 1)
        # Exactly 0 at t = 1, where rounding would leave a tiny weight on x_0; the rate stays.
        rounding = torch.where(t >= 1, remaining.detach(), torch.zeros_like(t))
        clean = remaining - rounding
        variance = self.c * (self.k**2 - 1) / (2 * log(self.k)) * clean * (1 - clean)
        return Kernel(clean, 1 - clean, variance)
