"""One reverse process, and everything that is read off its end.

Settings that differ only in the weight of the final fusion share all that comes before it. The
last step's result for any weight is a point on the line from the predictive estimate to the
generative result (paper eq. 13), and weight 0 is the predictive estimate itself.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from speechduet import audio
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.piece import enhance_whole
from speechduet.errors import AudioError, SettingError
from speechduet.evaluation import Failure, Pair, Scores, score_samples
from speechduet.metrics import MetricError
from speechduet.metrics.signals import Samples
from speechduet.sampler import Sampling, Step


class Trajectory(NamedTuple):
    """What one call computes: a file, enhanced once, with several weights of the final fusion."""

    model: str | None
    """What ``--model`` takes; None for the noisy recording as it is."""
    sampling: Sampling | None
    """Its beta does not matter."""
    betas: tuple[float, ...]
    seed: int
    pair: Pair
    """``noisy`` is the input; ``enhanced`` is not used."""
    device: str = "cpu"


class Result(NamedTuple):
    """What became of one weight of the final fusion."""

    outcome: Scores | Failure
    seconds_per_s: float
    """Time that the whole trajectory took per second of audio, scores not included: on a CPU that
    of its threads together, else what went by."""


def results(trajectory: Trajectory) -> list[Result]:
    """Enhance and score: one ending for each beta, in order."""
    name = trajectory.pair.name
    assert trajectory.pair.noisy is not None
    try:
        clean, rate = _mono(trajectory.pair.clean)
        noisy, noisy_rate = _mono(trajectory.pair.noisy)
        if rate != noisy_rate:
            raise AudioError(f"clean has {rate} Hz and noisy {noisy_rate} Hz", "one sample rate")
        if not noisy.any():
            raise AudioError(f"{trajectory.pair.noisy} is silent", "sound in it")
        # Not what a busy machine makes it wait; other devices' work is not this process's time.
        clock = process_time if trajectory.device == "cpu" else perf_counter
        enhancer = _enhancer(trajectory.model, trajectory.device) if trajectory.model else None
        begun = clock()
        made = _made(trajectory, enhancer, noisy, rate)
        seconds_per_s = (clock() - begun) / (len(noisy) / rate)
    except (AudioError, SettingError) as error:
        return [Result(Failure(name, str(error)), 0.0) for _ in trajectory.betas]
    return [Result(_scored(name, clean, enhanced, noisy, rate), seconds_per_s) for enhanced in made]


def endings(
    enhancer: Enhancer, noisy: Samples, sampling: Sampling, betas: Sequence[float], seed: int
) -> list[Samples]:
    """The waveform enhanced with each beta, as `Enhancer` does it in one piece at the model's rate.

    It must not be silent.
    """
    run = betas[0] if len(betas) == 1 else 0.5

    def result_of(step: Step, framing: int) -> Tensor:
        """A spectrogram for each beta: points on the line between the step's two estimates."""
        if len(betas) == 1 or step.predictive is None:
            return step.result
        ways = [beta / run * (step.result - step.predictive) for beta in betas]
        return torch.cat([step.predictive + way for way in ways])

    made = enhance_whole(
        enhancer.system,
        enhancer.spectrogram,
        noisy.astype(np.float32),
        replace(sampling, beta=run),
        seed,
        result_of,
    )
    return [enhanced.astype(np.float64) for enhanced in made]


def check(enhancer: Enhancer, sampling: Sampling) -> None:
    """Raise SettingError if a model cannot do these settings."""
    enhancer.sampling(next(iter(enhancer.pretrained.modes)), **vars(sampling))


def _made(
    trajectory: Trajectory, enhancer: Enhancer | None, noisy: Samples, rate: int
) -> list[Samples]:
    if enhancer is None or trajectory.sampling is None:
        return [noisy for _ in trajectory.betas]
    expected = enhancer.spectrogram.sample_rate
    if rate != expected:
        remedy = "resample with: speechduet prepare pairs"
        raise AudioError(f"{trajectory.pair.noisy} has {rate} Hz", f"{expected} Hz", remedy)
    return endings(enhancer, noisy, trajectory.sampling, trajectory.betas, trajectory.seed)


def _scored(
    name: str, clean: Samples, enhanced: Samples, noisy: Samples, rate: int
) -> Scores | Failure:
    try:
        return score_samples(name, clean, enhanced, noisy, sample_rate=rate)
    except (AudioError, MetricError) as error:
        return Failure(name, str(error))


@lru_cache(maxsize=1)
def _enhancer(model: str, device: str) -> Enhancer:
    """The enhancer of this process: trajectories come model by model."""
    return Enhancer.from_pretrained(model, device, precision="float32")


def _mono(path: Path) -> tuple[Samples, int]:
    samples, sample_rate = audio.read(path)
    if len(samples) != 1:
        raise AudioError(f"{path} has {len(samples)} channels", "one")
    return samples[0].astype(np.float64), sample_rate
