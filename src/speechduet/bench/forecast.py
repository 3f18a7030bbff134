"""What enhancing a recording will take on this machine, from a measurement of two seconds."""

from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from speechduet.audio.formats import Samples
from speechduet.bench.memory import resident
from speechduet.enhancement.enhancer import Enhancer
from speechduet.network.cost import evaluations

MEASURED_S = 2.0


@dataclass(frozen=True)
class Forecast:
    """What would be done with a recording, and the time and memory that are expected for it."""

    model: str
    mode: str
    model_rate: int
    """The rate that it is resampled to, and back from."""
    segments: int
    segment_s: float
    evaluations: int
    """Network evaluations, all segments and channels taken together."""
    time_s: float
    real_time_factor: float
    memory_bytes: int | None
    """The most that the process holds, PyTorch included; None where nothing counts it."""
    device: str
    basis: str
    """Where time and memory come from."""


def forecast(
    enhancer: Enhancer, duration_s: float, channels: int, mode: str = "balanced"
) -> Forecast:
    """Enhance two seconds of noise, of many reverse steps one, and say what all would take.

    ``channels`` counts those with any sound, for silence never reaches the network.
    """
    rate, layout = enhancer.spectrogram.sample_rate, enhancer.system.layout
    sampling = enhancer.sampling(mode)
    short = replace(sampling, steps=min(sampling.steps, 1), framings=1)
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, round(MEASURED_S * rate))
    ready = resident(enhancer.device)
    taken_s = min(_timed(enhancer, samples.astype(np.float32), mode, short.steps) for _ in range(2))
    peak = resident(enhancer.device)
    plan = enhancer.plan(round(duration_s * rate))
    each = evaluations(layout, sampling)
    seen_s = len(plan.starts) * plan.length / rate * channels
    time_s = taken_s * each / evaluations(layout, short) * seen_s / MEASURED_S
    memory = None
    if ready is not None and peak is not None:
        # What a run adds grows with what is enhanced at once.
        growth = max(1.0, enhancer.batch_size * plan.length / rate / MEASURED_S)
        memory = round(ready + (peak - ready) * growth)
    return Forecast(
        *(enhancer.pretrained.name, mode, rate),
        *(len(plan.starts), plan.length / rate, len(plan.starts) * channels * each),
        time_s=time_s,
        real_time_factor=time_s / duration_s,
        memory_bytes=memory,
        device=str(enhancer.device),
        basis=f"measured here on {MEASURED_S:g} s of noise, and extrapolated",
    )


def _timed(enhancer: Enhancer, samples: Samples, mode: str, steps: int) -> float:
    start = perf_counter()
    enhancer(samples, enhancer.spectrogram.sample_rate, mode, steps=steps, framings=1)
    return perf_counter() - start
