"""One reverse step, as a Gaussian: where it leads on average, and how much noise it adds.

Each function takes the state x_t, the clean estimate D of the network, the drift target y (the
*anchor*: the noisy speech, or StoRM's prediction) and times as float tensors ``[batch]``.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from speechduet.process import Process, over_state, ratio

Predictor = Literal["deterministic", "ancestral", "euler_maruyama"]


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
    process: Process, x_t: Tensor, clean: Tensor, y: Tensor, t: Tensor, step: Tensor
) -> Transition:
    """Keep the noise direction and rescale it: DDIM, the bridge's ODE, Euler for flow matching."""
    now, then = process.kernel(t), process.kernel((t - step).clamp_min(0))
    noise = x_t - process.mean(clean, y, t)
    target = over_state(then.clean, clean) * clean + over_state(then.noisy, y) * y
    mean = target + over_state(ratio(then.std, now.std), noise) * noise
    return Transition(mean, torch.zeros_like(t))


def ancestral(
    process: Process, x_t: Tensor, clean: Tensor, y: Tensor, t: Tensor, step: Tensor
) -> Transition:
    """The posterior of the earlier state given x_t and the clean estimate (the bridge's SDE)."""
    now, then = process.kernel(t), process.kernel((t - step).clamp_min(0))
    # keep: how much of the deviation from the mean survives the step.
    keep = ratio(now.clean, then.clean) * ratio(then.variance, now.variance)
    deviation = x_t - process.mean(clean, y, t)
    target = over_state(then.clean, clean) * clean + over_state(then.noisy, y) * y
    variance = then.variance * (1 - keep * ratio(now.clean, then.clean)).clamp(0, 1)
    return Transition(target + over_state(keep, deviation) * deviation, variance.sqrt())


def euler_maruyama(
    process: Process, x_t: Tensor, clean: Tensor, y: Tensor, t: Tensor, step: Tensor
) -> Transition:
    """One Euler-Maruyama step of the reverse equation: SGMSE+'s reverse-diffusion predictor."""
    diffusion = process.diffusion(t)
    score = process.score_from_clean(clean, x_t, y, t)
    slope = process.drift(x_t, y, t) - over_state(diffusion.square(), score) * score
    return Transition(x_t - over_state(step, slope) * slope, diffusion * step.sqrt())


def langevin(
    process: Process, x_t: Tensor, clean: Tensor, y: Tensor, t: Tensor, snr: float
) -> Transition:
    """One annealed-Langevin corrector step of size ``2 (snr s)^2``, which stays at time t."""
    size = 2 * (snr * process.kernel(t).std).square()
    score = process.score_from_clean(clean, x_t, y, t)
    return Transition(x_t + over_state(size, score) * score, (2 * size).sqrt())


def predict(
    predictor: Predictor,
    process: Process,
    x_t: Tensor,
    clean: Tensor,
    y: Tensor,
    t: Tensor,
    step: Tensor,
) -> Transition:
    """The named predictor's transition from t to ``t - step``."""
    if predictor == "deterministic":
        return deterministic(process, x_t, clean, y, t, step)
    if predictor == "ancestral":
        return ancestral(process, x_t, clean, y, t, step)
    return euler_maruyama(process, x_t, clean, y, t, step)
