"""One reverse process, and everything that is read off its end.

Settings that differ only in the weight of the final fusion share all that comes before it. The
last step's result for any weight is a point on the line from the predictive estimate to the
generative result (paper eq. 13), and weight 0 is the predictive estimate itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from speechduet.audio import read_mono
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.piece import enhance_whole
from speechduet.errors import AudioError, SettingError
from speechduet.evaluation import ScoredPair, UnscoredFile, score_samples
from speechduet.metrics import MetricError
from speechduet.metrics.signals import Samples
from speechduet.sampler import Sampling, Step
from speechduet.study.cache import TimedScores


class Trajectory(NamedTuple):
    """What one call computes: a file, enhanced once, with several weights of the final fusion."""

    model: str | None
    """What ``--model`` takes; None for the noisy recording as it is."""
    sampling: Sampling | None
    """Its beta does not matter."""
    betas: tuple[float, ...]
    seed: int
    pair: ScoredPair
    """``noisy`` is the input; ``enhanced`` is not used."""
    device: str = "cpu"


def input_of(pair: ScoredPair) -> Path:
    """The noisy recording of a pair, which here is always there."""
    assert pair.noisy is not None
    return pair.noisy


def enhance_and_score(trajectory: Trajectory) -> list[TimedScores | UnscoredFile]:
    """Scores for each beta, in order, or why there are none.

    Their time is that of the whole trajectory per second of audio, scoring not included: on a CPU
    that of its threads together, else what went by.
    """
    name, betas = trajectory.pair.name, trajectory.betas
    try:
        clean, rate = read_mono(trajectory.pair.clean)
        noisy, noisy_rate = read_mono(input_of(trajectory.pair))
        if rate != noisy_rate:
            raise AudioError(f"clean has {rate} Hz and noisy {noisy_rate} Hz", "one sample rate")
        if not noisy.any():
            raise AudioError(f"{trajectory.pair.noisy} is silent", "sound in it")
        # Not what a busy machine makes it wait; other devices' work is not this process's time.
        clock = process_time if trajectory.device == "cpu" else perf_counter
        enhance = _enhancement(trajectory, rate)
        begun = clock()
        results = enhance(noisy)
        seconds_per_s = (clock() - begun) / (len(noisy) / rate)
    except (AudioError, SettingError) as error:
        return [UnscoredFile(name, str(error)) for _ in betas]
    outcomes: list[TimedScores | UnscoredFile] = []
    for enhanced in results:
        try:
            scores = score_samples(name, clean, enhanced, noisy, sample_rate=rate)
            outcomes.append(TimedScores(scores, seconds_per_s))
        except (AudioError, MetricError) as error:
            outcomes.append(UnscoredFile(name, str(error)))
    return outcomes


def enhance_with_each(
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

    waveforms = enhance_whole(
        enhancer.system,
        enhancer.spectrogram,
        noisy.astype(np.float32),
        replace(sampling, beta=run),
        seed,
        result_of,
    )
    return [waveform.astype(np.float64) for waveform in waveforms]


def _enhancement(trajectory: Trajectory, rate: int) -> Callable[[Samples], list[Samples]]:
    """What makes a waveform for each beta out of a noisy one at this rate."""
    _, sampling, betas, seed, pair, device = trajectory
    if trajectory.model is None or sampling is None:
        return lambda noisy: [noisy for _ in betas]
    enhancer = _enhancer(trajectory.model, device)
    expected = enhancer.spectrogram.sample_rate
    if rate != expected:
        remedy = "resample with: speechduet prepare pairs"
        raise AudioError(f"{pair.noisy} has {rate} Hz", f"{expected} Hz", remedy)
    return lambda noisy: enhance_with_each(enhancer, noisy, sampling, betas, seed)


@lru_cache(maxsize=1)
def _enhancer(model: str, device: str) -> Enhancer:
    """The enhancer of this process: trajectories come model by model."""
    return Enhancer.from_pretrained(model, device, backend="pytorch", precision="float32")
