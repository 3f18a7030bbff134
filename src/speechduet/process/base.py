"""What every diffusion process here has in common: a Gaussian kernel with three weights of time.

    x_t | x_0, y  ~  N( a(t) x_0 + b(t) y,  s(t)^2 )

Drift, diffusion, score and loss weight all follow from a, b, s^2 and their derivatives.
States are complex ``[batch, 1, bins, frames]``; a time is a float tensor ``[batch]`` in [0, 1].
"""

from abc import ABC, abstractmethod
from typing import Annotated, NamedTuple

import torch
from annotated_types import Gt, Lt
from torch import Tensor

from speechduet.settings import Settings


class Kernel(NamedTuple):
    """Weights of the perturbation kernel, each of the shape of the time they were asked at."""

    clean: Tensor
    noisy: Tensor
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


StartOfTime = Annotated[float, Gt(0), Lt(1)]


class Process(Settings, ABC):
    """A process from clean speech x_0 at t = 0 towards the noisy speech y at t = 1."""

    t_min: StartOfTime
    """Smallest time at which the networks are trained and evaluated (t_eps of SGMSE+)."""

    @abstractmethod
    def kernel(self, t: Tensor) -> Kernel:
        """The weights a, b and s^2 at time t."""

    @abstractmethod
    def rates(self, t: Tensor) -> Kernel:
        """Time derivatives of a, b and s^2 at time t."""

    @property
    def forgets_clean(self) -> bool:
        """Whether a is 0 at t = 1, where drift and score are then infinite or undefined."""
        return bool(self.kernel(torch.ones(1, device="cpu", dtype=torch.float32)).clean == 0)

    def mean(self, x_0: Tensor, y: Tensor, t: Tensor) -> Tensor:
        """Mean of the kernel, ``a x_0 + b y`` (paper eq. 5)."""
        a, b, _ = self.kernel(t)
        return over_state(a, x_0) * x_0 + over_state(b, y) * y

    def perturb(self, x_0: Tensor, y: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """A draw from the kernel: ``mean + s z`` with z standard complex normal."""
        return self.mean(x_0, y, t) + over_state(self.kernel(t).std, z) * z

    def drift(self, x_t: Tensor, y: Tensor, t: Tensor) -> Tensor:
        """Drift f of the forward stochastic differential equation (paper eq. 1)."""
        a, b, _ = self.kernel(t)
        a_rate, b_rate, _ = self.rates(t)
        decay = ratio(a_rate, a)
        return over_state(decay, x_t) * (x_t - over_state(b, y) * y) + over_state(b_rate, y) * y

    def diffusion(self, t: Tensor) -> Tensor:
        """Diffusion coefficient g(t), ``g^2 = (s^2)' - 2 (a'/a) s^2``."""
        a, _, variance = self.kernel(t)
        a_rate, _, variance_rate = self.rates(t)
        return (variance_rate - 2 * ratio(a_rate, a) * variance).clamp_min(0).sqrt()

    def score_from_clean(self, clean: Tensor, x_t: Tensor, y: Tensor, t: Tensor) -> Tensor:
        """The score ``(mean(clean, y, t) - x_t) / s^2``; 0 where s is 0."""
        a, b, variance = self.kernel(t)
        precision = ratio(torch.ones_like(variance), variance)
        pull = over_state(a, clean) * clean + over_state(b, y) * y - x_t
        return over_state(precision, x_t) * pull

    def clean_from_score(self, score: Tensor, x_t: Tensor, y: Tensor, t: Tensor) -> Tensor:
        """The clean estimate ``(x_t - b y + s^2 score) / a`` (Tweedie)."""
        a, b, variance = self.kernel(t)
        mean = x_t - over_state(b, y) * y + over_state(variance, score) * score
        return mean / over_state(a, mean)

    def score_weight(self, t: Tensor) -> Tensor:
        """``(a/s)^2``: turns ``|clean - x_0|^2`` into the score-matching loss (paper eq. 9)."""
        a, _, variance = self.kernel(t)
        return ratio(a.square(), variance)
