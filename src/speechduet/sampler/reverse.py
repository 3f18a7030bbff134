"""The reverse process: from the noisy speech to the enhanced, one visible step at a time."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from speechduet.errors import SettingError
from speechduet.process import Process
from speechduet.sampler.fusion import fuse
from speechduet.sampler.settings import Sampling
from speechduet.sampler.transition import PREDICTORS, Denoise, langevin

Draw = Callable[[tuple[int, ...]], Tensor]
"""Gives standard complex normal numbers (total variance 1) of a shape."""


class Estimate(NamedTuple):
    """What the two decoders say of the clean speech; None where one was not evaluated."""

    generative: Tensor | None
    predictive: Tensor | None


class Estimator(Protocol):
    """A system as the sampler sees it: an anchor, and estimates of the clean spectrogram."""

    def anchor(self, y: Tensor) -> Tensor:
        """The drift target: y itself, or a prediction made from it."""
        ...

    def estimate(
        self,
        x_t: Tensor,
        y: Tensor,
        anchor: Tensor,
        t: Tensor,
        *,
        generative: bool,
        predictive: bool,
    ) -> Estimate:
        """Evaluate the decoders that are asked for, and no other."""
        ...


class Step(NamedTuple):
    """One reverse step as it happened; the enhanced spectrogram is the last step's `result`."""

    number: int
    time: float
    state: Tensor
    """The state that the step leads to, noise included."""
    result: Tensor
    """Its mean (after fusion), the answer if one stops here."""
    generative: Tensor | None
    predictive: Tensor | None


def time_grid(process: Process, settings: Sampling) -> list[tuple[float, float]]:
    """The times of the reverse steps with the size of each, from the start down."""
    if settings.steps == 1:
        times = [settings.start]
    else:
        end = min(process.t_min, settings.start)
        times = torch.linspace(settings.start, end, settings.steps, dtype=torch.float32).tolist()
    if settings.grid == "paper":
        return [(t, settings.start / settings.steps) for t in times]
    return [(t, t - following) for t, following in pairwise([*times, 0.0])]


def reverse(
    system: Estimator, process: Process | None, y: Tensor, settings: Sampling, draw: Draw
) -> Iterator[Step]:
    """Run the reverse process on noisy spectrograms y, complex ``[batch, 1, bins, frames]``.

    Yields every step. Random numbers are drawn in the order prior, then per step corrector,
    predictor; the last predictor's noise is never drawn, for its mean is the result. A start from
    the predictive estimate draws the state behind that estimate before the prior.

    The predictive decoder is evaluated only at the steps whose fusion uses it, at the predictor's
    evaluation (after the corrector), and with ``predict_once`` only at the first of them (or for
    the start). First fusion blends the *state* after the first step, noise
    included, with the predictive estimate, as eq. 12 is written; when there is one step only,
    final fusion alone applies.
    """
    anchor = system.anchor(y)

    def at(t: float) -> Tensor:
        return torch.full((y.shape[0],), t, device=y.device, dtype=y.real.dtype)

    def denoise(x_t: Tensor, t: Tensor) -> Tensor:
        made = system.estimate(x_t, y, anchor, t, generative=True, predictive=False)
        return _present(made.generative, "generative")

    if settings.steps == 0:
        state = y if process is None else process.perturb(y, anchor, at(1.0), draw(y.shape))
        only = system.estimate(state, y, anchor, at(1.0), generative=False, predictive=True)
        result = _present(only.predictive, "predictive")
        yield Step(0, 1.0, state, result, None, result)
        return
    if process is None:
        raise SettingError(
            f"{settings.steps} reverse steps asked of a purely predictive system",
            "steps 0",
            "use mode 'fast'",
        )

    if process.forgets_clean and settings.start == 1 and settings.predictor == "euler_maruyama":
        raise SettingError(
            "an Euler-Maruyama step from t = 1, where this process has an infinite drift",
            "the ancestral or the deterministic predictor, or a start below 1",
        )
    state, kept = _first_state(system, process, y, anchor, settings, draw, at)
    grid = time_grid(process, settings)
    for index, (time, size) in enumerate(grid):
        first, last = index == 0, index == len(grid) - 1
        t, step = at(time), at(size)
        for _ in range(settings.corrector_steps):
            correction = langevin(process, denoise, state, anchor, t, settings.corrector_snr)
            state = correction.sample(draw(y.shape)) if correction.noisy else correction.mean
        weight = settings.beta if last else settings.alpha if first else 1.0
        known = kept if settings.predict_once and weight < 1 else None
        anew = weight < 1 and known is None
        made = system.estimate(state, y, anchor, t, generative=True, predictive=anew)
        clean = _present(made.generative, "generative")
        prediction = made.predictive if known is None else known
        # The state's own estimate is there already, made together with the predictive one.
        following = _reusing(state, clean, denoise)
        transition = PREDICTORS[settings.predictor](process, following, state, anchor, t, step)
        result = transition.mean
        state = result if last or not transition.noisy else transition.sample(draw(y.shape))
        if weight < 1:
            kept = _present(prediction, "predictive")
            result, state = fuse(result, kept, weight), fuse(state, kept, weight)
        yield Step(index, time, state, result, made.generative, prediction)


def _first_state(
    system: Estimator,
    process: Process,
    y: Tensor,
    anchor: Tensor,
    settings: Sampling,
    draw: Draw,
    at: Callable[[float], Tensor],
) -> tuple[Tensor, Tensor | None]:
    """The state to begin with, and the predictive estimate if it is drawn around one."""
    centre, prediction = anchor, None
    if settings.start_from == "predictive":
        whole = process.perturb(anchor, anchor, at(1.0), draw(y.shape))
        made = system.estimate(whole, y, anchor, at(1.0), generative=False, predictive=True)
        centre = prediction = _present(made.predictive, "predictive")
    return process.perturb(centre, anchor, at(settings.start), draw(y.shape)), prediction


def _reusing(state: Tensor, clean: Tensor, denoise: Denoise) -> Denoise:
    """What denoises, with the estimate at one state known."""
    return lambda x_t, t: clean if x_t is state else denoise(x_t, t)


def _present(estimate: Tensor | None, name: str) -> Tensor:
    if estimate is None:
        raise SettingError(
            f"this system has no {name} estimate",
            "a system with both decoders, such as gp_unified",
            "set alpha, beta, steps and mode to what the system can do",
        )
    return estimate
