"""One channel of a recording, as it sounds: what every reader of training data takes."""

import numpy as np
from numpy.typing import NDArray

from speechduet.errors import AudioError

Samples = NDArray[np.float32]

SILENCE = 2.0**-15
"""A recording nowhere louder than one step of 16 bits (-90 dB) is silent: that is dither."""

RESAMPLING = "VHQ"
"""soxr's quality, one for all sets: numbers on sets resampled otherwise do not compare."""


def sounding(channels: Samples) -> int:
    """The first of some channels that is not silent; the first one if all are."""
    return next((index for index, one in enumerate(channels) if is_heard(one)), 0)


def is_heard(samples: Samples) -> bool:
    """Whether there is any sound in it; NaN is none."""
    return bool((np.abs(samples) > SILENCE).any())


def check_finite(samples: Samples, name: object) -> None:
    """AudioError for NaN and infinite samples."""
    if not np.isfinite(samples).all():
        raise AudioError(f"{name} holds NaN or infinite samples", "finite ones")


def resampled(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """``[samples]`` at another rate."""
    if from_rate == to_rate:
        return samples
    import soxr  # a bare machine that only trains may lack it

    made: Samples = soxr.resample(samples, from_rate, to_rate, RESAMPLING)
    return made
