"""Linear conditional flow matching from noisy to clean speech (FlowSE and kin)."""

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from speechduet.errors import SettingError
from speechduet.process.base import Kernel, Process, StartOfTime
from speechduet.settings import NotNegative


@dataclass(frozen=True)
class FlowMatching(Process):
    """A straight line from ``y + sigma_end z`` at t = 1 to x_0 at t = 0."""

    kind: Literal["flow_matching"] = field(default="flow_matching", kw_only=True, repr=False)
    sigma_end: NotNegative = 0.5
    t_min: StartOfTime = 0.03

    def check(self) -> None:
        """The square of the noise is 0 or a number of 32 bits."""
        if 0 < self.sigma_end < 1e-6:
            raise SettingError(f"sigma_end is {self.sigma_end}", "0, or 1e-06 or more")

    def kernel(self, t: Tensor) -> Kernel:
        """``a = 1 - t``, ``b = t``, ``s = t sigma_end``."""
        return Kernel(1 - t, t, (t * self.sigma_end).square())
