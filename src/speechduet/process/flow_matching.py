"""Linear conditional flow matching from noisy to clean speech (FlowSE and kin)."""

from dataclasses import dataclass

from torch import Tensor

from speechduet.process.base import Kernel, Process


@dataclass(frozen=True)
class FlowMatching(Process):
    """A straight line from ``y + sigma_end z`` at t = 1 to x_0 at t = 0."""

    sigma_end: float = 0.5
    t_min: float = 0.03

    def kernel(self, t: Tensor) -> Kernel:
        """``a = 1 - t``, ``b = t``, ``s = t sigma_end``."""
        return Kernel(1 - t, t, (t * self.sigma_end).square())
