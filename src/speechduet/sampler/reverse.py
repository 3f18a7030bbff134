"""The reverse process: from the noisy speech to the enhanced, one visible step at a time."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from speechduet.errors import SettingError
from speechduet.process import Process
from speechduet.sampler.fusion import fuse
from speechduet.sampler.transition import PREDICTORS, ReverseStep, Transition, langevin
from speechduet.sampling import Sampling

Draw = Callable[[tuple[int, ...]], Tensor]
"""Gives standard complex normal numbers (total variance 1) of a shape."""


class Estimate(NamedTuple):
    """Clean spectrograms by the two decoders; None where one was not evaluated."""

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
        """Evaluate the decoders that are asked for, and no others."""
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
    system: Estimator,
    process: Process | None,
    y: Tensor,
    settings: Sampling,
    draw: Draw,
    predictor: ReverseStep | None = None,
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

    ``predictor`` takes the place of the one that the settings name.
    """
    anchor = system.anchor(y)
    if settings.steps == 0:
        yield _prediction_alone(system, process, y, anchor, draw)
        return
    predictor = predictor or PREDICTORS[settings.predictor]
    path = _Path(system, _checked(process, settings), predictor, y, anchor, settings, draw)
    state, kept = path.start()
    grid = time_grid(path.process, settings)
    for index, (time, size) in enumerate(grid):
        first, last = index == 0, index == len(grid) - 1
        weight = settings.beta if last else settings.alpha if first else 1.0
        reused = kept if settings.predict_once else None
        t, step = path.at(time), path.at(size)
        state = path.corrected(state, t)
        predictive = weight < 1 and reused is None
        estimate = system.estimate(state, y, anchor, t, generative=True, predictive=predictive)
        transition = path.transition(estimate, state, t, step)
        result = transition.mean
        state = result if last else path.drawn(transition)
        prediction = None
        if weight < 1:
            prediction = _present(estimate.predictive, "predictive") if predictive else reused
            assert prediction is not None
            result, state = fuse(result, prediction, weight), fuse(state, prediction, weight)
            kept = prediction
        yield Step(index, time, state, result, estimate.generative, prediction)


class _Path(NamedTuple):
    """What all steps of a reverse process have in common."""

    system: Estimator
    process: Process
    predictor: ReverseStep
    y: Tensor
    anchor: Tensor
    settings: Sampling
    draw: Draw

    def at(self, t: float) -> Tensor:
        """The time for each example, ``[batch]``."""
        return _at(t, self.y)

    def denoise(self, x_t: Tensor, t: Tensor) -> Tensor:
        """The generative estimate alone."""
        estimate = self.system.estimate(
            x_t, self.y, self.anchor, t, generative=True, predictive=False
        )
        return _present(estimate.generative, "generative")

    def drawn(self, transition: Transition) -> Tensor:
        """A state drawn from a transition; without noise nothing is drawn."""
        return transition.sample(self.draw(self.y.shape)) if transition.noisy else transition.mean

    def start(self) -> tuple[Tensor, Tensor | None]:
        """The first state, and the predictive estimate if it is drawn around one."""
        centre, prediction = self.anchor, None
        if self.settings.start_from == "predictive":
            prediction = _prediction_alone(
                self.system, self.process, self.y, self.anchor, self.draw
            ).result
            centre = prediction
        t, z = self.at(self.settings.start), self.draw(self.y.shape)
        return self.process.perturb(centre, self.anchor, t, z), prediction

    def corrected(self, state: Tensor, t: Tensor) -> Tensor:
        """The state after the corrector's steps at this time."""
        snr = self.settings.corrector_snr
        for _ in range(self.settings.corrector_steps):
            state = self.drawn(langevin(self.process, self.denoise, state, self.anchor, t, snr))
        return state

    def transition(self, estimate: Estimate, state: Tensor, t: Tensor, step: Tensor) -> Transition:
        """The predictor's step from a state whose own estimate is known."""
        clean = _present(estimate.generative, "generative")

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            return clean if x_t is state else self.denoise(x_t, t)

        return self.predictor(self.process, denoise, state, self.anchor, t, step)


def _prediction_alone(
    system: Estimator, process: Process | None, y: Tensor, anchor: Tensor, draw: Draw
) -> Step:
    """The predictive estimate at t = 1, where the state is the anchor and noise."""
    t = _at(1.0, y)
    # A purely predictive system has no process and reads no state.
    state = y if process is None else process.perturb(anchor, anchor, t, draw(y.shape))
    estimate = system.estimate(state, y, anchor, t, generative=False, predictive=True)
    prediction = _present(estimate.predictive, "predictive")
    return Step(0, 1.0, state, prediction, None, prediction)


def _at(t: float, y: Tensor) -> Tensor:
    return torch.full((y.shape[0],), t, device=y.device, dtype=y.real.dtype)


def _checked(process: Process | None, settings: Sampling) -> Process:
    """The process, if steps of these settings can be taken with it."""
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
    return process


def _present(estimate: Tensor | None, name: str) -> Tensor:
    if estimate is None:
        raise SettingError(
            f"this system has no {name} estimate",
            "a system with both decoders, such as gp_unified",
            "set alpha, beta, steps and mode to what the system can do",
        )
    return estimate
