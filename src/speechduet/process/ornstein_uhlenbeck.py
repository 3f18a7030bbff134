"""Ornstein-Uhlenbeck process with variance exploding (OUVE), of SGMSE+, StoRM and GP-Unified."""

from dataclasses import dataclass, field
from math import log
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor

from speechduet.errors import SettingError
from speechduet.process.base import Kernel, Process, StartOfTime
from speechduet.settings import Positive


@dataclass(frozen=True)
class OrnsteinUhlenbeck(Process):
    """The state decays towards y at rate theta while its noise grows (paper eq. 1, 5 and 6)."""

    kind: Literal["ornstein_uhlenbeck"] = field(
        default="ornstein_uhlenbeck", kw_only=True, repr=False
    )
    theta: Annotated[float, Ge(1e-3), Le(20)] = 1.5
    sigma_min: Positive = 0.05
    sigma_max: Positive = 0.5
    t_min: StartOfTime = 0.03

    def check(self) -> None:
        """The noise grows."""
        if self.sigma_min >= self.sigma_max:
            raise SettingError(
                f"sigma_min is {self.sigma_min}", f"less than sigma_max, {self.sigma_max}"
            )

    def kernel(self, t: Tensor) -> Kernel:
        """``a = exp(-theta t)``, ``b = 1 - a`` and the variance of eq. 6."""
        a = torch.exp(-self.theta * t)
        growth = log(self.sigma_max / self.sigma_min)
        scale = self.sigma_min**2 * growth / (self.theta + growth)
        return Kernel(a, 1 - a, scale * (torch.exp(2 * growth * t) - a.square()))
