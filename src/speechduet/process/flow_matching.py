"""Linear conditional flow matching from noisy to clean speech (FlowSE and kin)."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from speechduet.process.base import Kernel, Process, StartOfTime
from speechduet.settings import NotNegative


@dataclass(frozen=True)
class FlowMatching(Process):
    """A straight line from ``y + sigma_end z`` at t = 1 to x_0 at t = 0."""

    kind: Literal["flow_matching"] = field(default="flow_matching", kw_only=True, repr=False)
    sigma_end: NotNegative = 0.5
    t_min: StartOfTime = 0.03

    def kernel(self, t: Tensor) -> Kernel:
        """``a = 1 - t``, ``b = t``, ``s = t sigma_end``."""
        return Kernel(1 - t, t, (t * self.sigma_end).square())

    def rates(self, t: Tensor) -> Kernel:
        """Derivatives of the three weights."""
        one = torch.ones_like(t)
        return Kernel(-one, one, 2 * t * self.sigma_end**2)
