"""One channel of a recording, as it sounds: what every reader of training data takes."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speechduet import audio
from speechduet.audio.notices import Notify, warn
from speechduet.errors import AudioError, SpeechduetError

Samples = NDArray[np.float32]

SILENCE = 2.0**-15
"""What is nowhere louder than one step of 16 bits (-90 dB) is silent: dither, not sound."""

RESAMPLING = "VHQ"
"""soxr's quality, one for all sets: numbers on sets resampled otherwise do not compare."""

UNREADABLE = (
    *(SpeechduetError, OSError, ValueError, RuntimeError, LookupError, ArithmeticError),
    *(MemoryError, EOFError, AssertionError, TypeError),
)
"""What decoders raise for one bad file: it is left out, and the others are read."""


def reason(error: BaseException, name: str) -> str:
    """In a line why a recording is left out, with its name."""
    told = str(error)
    if not isinstance(error, SpeechduetError):
        told = f"{name}: {type(error).__name__}: {' '.join(told.split())}"
    return told


def read_channels(
    path: Path, *, salvage: bool = False, notify: Notify = warn
) -> tuple[Samples, int]:
    """All of a recording, ``[channels, samples]`` in floats of any level, and its rate in Hz.

    Integers are never asked of the decoder: it would cut floats in [-1, 1] off to 0.
    """
    blocks = list(audio.read_blocks(path, salvage=salvage, notify=notify))
    if not sum(map(len, blocks)):
        raise AudioError(f"{path} holds no samples", "at least one")
    return np.ascontiguousarray(np.concatenate(blocks).T), audio.probe(path).sample_rate


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
