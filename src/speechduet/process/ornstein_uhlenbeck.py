"""Ornstein-Uhlenbeck process with variance exploding (OUVE), of SGMSE+, StoRM and GP-Unified."""

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from speechduet.process.base import Kernel, Process


@dataclass(frozen=True)
class OrnsteinUhlenbeck(Process):
    """The state decays towards y at rate theta while its noise grows (paper eq. 1, 5 and 6)."""

    theta: float = 1.5
    sigma_min: float = 0.05
    sigma_max: float = 0.5
    t_min: float = 0.03

    def kernel(self, t: Tensor) -> Kernel:
        """``a = exp(-theta t)``, ``b = 1 - a`` and the variance of eq. 6."""
        a = torch.exp(-self.theta * t)
        growth = log(self.sigma_max / self.sigma_min)
        scale = self.sigma_min**2 * growth / (self.theta + growth)
        return Kernel(a, 1 - a, scale * (torch.exp(2 * growth * t) - a.square()))
