"""One reverse step, as a Gaussian: where it leads on average, and how much noise it adds.

Each function takes a process, what denoises, the state x_t, the drift target (the *anchor*: the
noisy speech, or StoRM's prediction), and time and step size as float tensors ``[batch]``.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from speechduet.process import Process, over_state, ratio
from speechduet.sampling import Predictor

Denoise = Callable[[Tensor, Tensor], Tensor]
"""Takes a state and its time ``[batch]``, and returns the clean estimate D of the network."""

_ROUNDING = 1e-5
"""Of times in single precision."""


class Transition(NamedTuple):
    """A Gaussian step: mean of the state's shape, std ``[batch]`` (0 for a deterministic one)."""

    mean: Tensor
    std: Tensor

    @property
    def noisy(self) -> bool:
        """Whether a draw from it needs noise."""
        return bool((self.std > 0).any())

    def sample(self, z: Tensor) -> Tensor:
        """``mean + std z`` with z standard complex normal."""
        return self.mean + over_state(self.std, z) * z


def deterministic(
    process: Process, denoise: Denoise, x_t: Tensor, anchor: Tensor, t: Tensor, step: Tensor
) -> Transition:
    """Keep the noise direction and rescale it: DDIM, the bridge's ODE, Euler for flow matching."""
    earlier = (t - step).clamp_min(0)
    return Transition(
        _along_noise(process, denoise(x_t, t), x_t, anchor, t, earlier), torch.zeros_like(t)
    )


def heun(
    process: Process, denoise: Denoise, x_t: Tensor, anchor: Tensor, t: Tensor, step: Tensor
) -> Transition:
    """The deterministic step with the mean of the estimates at both its ends: second order.

    That is the trapezoid rule in a/s, in which the exact path is linear for a constant estimate
    (DPM-Solver-2, and Heun's rule of EDM). A step to before ``process.t_min``, where no network has
    been trained, is of first order.
    """
    earlier = (t - step).clamp_min(0)
    clean = denoise(x_t, t)
    mean = _along_noise(process, clean, x_t, anchor, t, earlier)
    if bool((earlier > process.t_min - _ROUNDING).all()):
        clean = (clean + denoise(mean, earlier)) / 2
        mean = _along_noise(process, clean, x_t, anchor, t, earlier)
    return Transition(mean, torch.zeros_like(t))


def _along_noise(
    process: Process, clean: Tensor, x_t: Tensor, anchor: Tensor, t: Tensor, earlier: Tensor
) -> Tensor:
    """The state at an earlier time with the same clean estimate and the same noise."""
    now, then = process.kernel(t), process.kernel(earlier)
    noise = x_t - process.mean(clean, anchor, t)
    target = process.mean(clean, anchor, earlier)
    return target + over_state(ratio(then.std, now.std), noise) * noise


def ancestral(
    process: Process, denoise: Denoise, x_t: Tensor, anchor: Tensor, t: Tensor, step: Tensor
) -> Transition:
    """The posterior of the earlier state given x_t and the clean estimate (the bridge's SDE)."""
    earlier, clean = (t - step).clamp_min(0), denoise(x_t, t)
    now, then = process.kernel(t), process.kernel(earlier)
    # keep: how much of the deviation from the mean survives the step.
    keep = ratio(now.clean, then.clean) * ratio(then.variance, now.variance)
    deviation = x_t - process.mean(clean, anchor, t)
    target = process.mean(clean, anchor, earlier)
    variance = then.variance * (1 - keep * ratio(now.clean, then.clean)).clamp(0, 1)
    return Transition(target + over_state(keep, deviation) * deviation, variance.sqrt())


def euler_maruyama(
    process: Process, denoise: Denoise, x_t: Tensor, anchor: Tensor, t: Tensor, step: Tensor
) -> Transition:
    """One Euler-Maruyama step of the reverse equation: SGMSE+'s reverse-diffusion predictor."""
    # First, for a GPU then works on it while the coefficients are computed.
    clean = denoise(x_t, t)
    drift, diffusion = process.forward_equation(x_t, anchor, t)
    score = process.score_from_clean(clean, x_t, anchor, t)
    slope = drift - over_state(diffusion.square(), score) * score
    return Transition(x_t - over_state(step, slope) * slope, diffusion * step.sqrt())


def langevin(
    process: Process, denoise: Denoise, x_t: Tensor, anchor: Tensor, t: Tensor, snr: float
) -> Transition:
    """One annealed-Langevin corrector step of size ``2 (snr s)^2``, which stays at time t."""
    size = 2 * (snr * process.kernel(t).std).square()
    score = process.score_from_clean(denoise(x_t, t), x_t, anchor, t)
    return Transition(x_t + over_state(size, score) * score, (2 * size).sqrt())


class ReverseStep(Protocol):
    """A predictor's step from t to ``t - step``."""

    def __call__(
        self,
        process: Process,
        denoise: Denoise,
        x_t: Tensor,
        anchor: Tensor,
        t: Tensor,
        step: Tensor,
    ) -> Transition:
        """The transition."""
        ...


PREDICTORS: Mapping[Predictor, ReverseStep] = MappingProxyType(
    {
        "deterministic": deterministic,
        "heun": heun,
        "ancestral": ancestral,
        "euler_maruyama": euler_maruyama,
    }
)
