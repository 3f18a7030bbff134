"""What every diffusion process here has in common: a Gaussian kernel with three weights of time.

    x_t | x_0, y  ~  N( a(t) x_0 + b(t) y,  s(t)^2 )

Drift, diffusion, score and loss weight all follow from a, b, s^2 and their derivatives, so that a
process is its `Process.kernel` and its constants. In place of the noisy speech y the process may
drift to another target, its *anchor* (a prediction made from y: StoRM). States are complex
``[batch, 1, bins, frames]``; a time is a float tensor ``[batch]`` in [0, 1].
"""

from abc import ABC, abstractmethod
from typing import Annotated, NamedTuple

import torch
from annotated_types import Ge, Le
from torch import Tensor

from speechduet.settings import Settings


class Kernel(NamedTuple):
    """Weights of the perturbation kernel, or their rates; each of the shape of the time."""

    clean: Tensor
    anchor: Tensor
    variance: Tensor

    @property
    def std(self) -> Tensor:
        """Standard deviation s(t) per complex coefficient."""
        return self.variance.clamp_min(0).sqrt()


def over_state(weight: Tensor, state: Tensor) -> Tensor:
    """A weight per example ``[batch]``, shaped to multiply a state ``[batch, ...]``."""
    return weight.reshape(-1, *(1,) * (state.ndim - 1))


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """``numerator / denominator``, and 0 where the denominator is 0 (the ends of a bridge)."""
    safe = torch.where(denominator > 0, denominator, torch.ones_like(denominator))
    return torch.where(denominator > 0, numerator / safe, torch.zeros_like(numerator))


StartOfTime = Annotated[float, Ge(1e-5), Le(0.9)]


class Process(Settings, ABC):
    """A process from clean speech x_0 at t = 0 towards its anchor at t = 1."""

    t_min: StartOfTime
    """Smallest time at which the networks are trained and evaluated (t_eps of SGMSE+)."""

    @abstractmethod
    def kernel(self, t: Tensor) -> Kernel:
        """The weights a, b and s^2 at time t, in differentiable operations."""

    def rates(self, t: Tensor) -> Kernel:
        """Time derivatives of a, b and s^2 at time t."""
        again = t.requires_grad and torch.is_grad_enabled()  # to be differentiated themselves

        def rate(weight: Tensor) -> Tensor:
            if not weight.requires_grad:
                return torch.zeros_like(t)
            one = torch.ones_like(weight)
            (slope,) = torch.autograd.grad(weight, time, one, retain_graph=True, create_graph=again)
            return slope

        # Not torch.func.jvp, whose first call takes seconds for all that it imports.
        with torch.inference_mode(False), torch.enable_grad():
            time = t if again else t.clone().detach().requires_grad_()
            return Kernel(*map(rate, self.kernel(time)))

    @property
    def forgets_clean(self) -> bool:
        """Whether a is 0 at t = 1, where drift and score are then infinite or undefined."""
        return bool(self.kernel(torch.ones(1, device="cpu", dtype=torch.float32)).clean == 0)

    def mean(self, x_0: Tensor, anchor: Tensor, t: Tensor) -> Tensor:
        """Mean of the kernel, ``a x_0 + b y`` (paper eq. 5)."""
        a, b, _ = self.kernel(t)
        return over_state(a, x_0) * x_0 + over_state(b, anchor) * anchor

    def perturb(self, x_0: Tensor, anchor: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """A draw from the kernel: ``mean + s z`` with z standard complex normal."""
        return self.mean(x_0, anchor, t) + over_state(self.kernel(t).std, z) * z

    def forward_equation(self, x_t: Tensor, anchor: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Drift f and diffusion coefficient g of the stochastic differential equation (eq. 1).

        ``f = (a'/a) (x_t - b y) + b' y``, of the state's shape, and
        ``g^2 = (s^2)' - 2 (a'/a) s^2``, ``[batch]``.
        """
        a, b, variance = self.kernel(t)
        a_rate, b_rate, variance_rate = self.rates(t)
        decay = ratio(a_rate, a)
        centred = x_t - over_state(b, anchor) * anchor
        drift = over_state(decay, x_t) * centred + over_state(b_rate, anchor) * anchor
        return drift, (variance_rate - 2 * decay * variance).clamp_min(0).sqrt()

    def score_from_clean(self, clean: Tensor, x_t: Tensor, anchor: Tensor, t: Tensor) -> Tensor:
        """The score ``(mean(clean, y, t) - x_t) / s^2``; 0 where s is 0."""
        a, b, variance = self.kernel(t)
        precision = ratio(torch.ones_like(variance), variance)
        pull = over_state(a, clean) * clean + over_state(b, anchor) * anchor - x_t
        return over_state(precision, x_t) * pull

    def clean_from_score(self, score: Tensor, x_t: Tensor, anchor: Tensor, t: Tensor) -> Tensor:
        """The clean estimate ``(x_t - b y + s^2 score) / a`` (Tweedie)."""
        a, b, variance = self.kernel(t)
        mean = x_t - over_state(b, anchor) * anchor + over_state(variance, score) * score
        return mean / over_state(a, mean)

    def score_weight(self, t: Tensor) -> Tensor:
        """``(a/s)^2``: turns ``|clean - x_0|^2`` into the score-matching loss (paper eq. 9)."""
        a, _, variance = self.kernel(t)
        return ratio(a.square(), variance)
