"""One channel of a recording, as it sounds: what every reader of training data takes."""

import numpy as np
from numpy.typing import NDArray

from speechduet.audio.offset import centred
from speechduet.errors import AudioError

Samples = NDArray[np.float32]

SILENCE = 2.0**-15
"""A recording nowhere louder than one step of 16 bits (-90 dB) is silent: that is dither."""

_OFFSET_SHARE = 0.01
"""Share of the energy from which an offset counts: less changes ratios by less than 0.05 dB."""

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


def has_offset(samples: Samples) -> bool:
    """Whether a constant makes up so much of it that its level is not that of its sound."""
    constant = np.square(samples.mean(dtype=np.float64))
    return bool(constant > _OFFSET_SHARE * np.mean(np.square(samples, dtype=np.float64)))


def without_offset(samples: Samples, sample_rate: int) -> Samples:
    """``[samples]`` less their offset if they have one: a ratio is one of what is heard."""
    if not has_offset(samples):
        return samples
    return centred(samples[:, None], sample_rate)[:, 0]


def resampled(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """``[samples]`` at another rate."""
    if from_rate == to_rate:
        return samples
    import soxr  # a bare machine that only trains may lack it

    made: Samples = soxr.resample(samples, from_rate, to_rate, RESAMPLING)
    return made
