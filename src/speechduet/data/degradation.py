"""What rooms, microphones and lines do to speech: reverberation, clipping, limited bandwidth.

All take and give ``[samples]``, and leave speech where it was in time.
"""

import numpy as np

from speechduet.data.filtering import convolved, low_pass
from speechduet.data.mono import Samples


def in_room(speech: Samples, impulse: Samples, early_samples: int) -> tuple[Samples, Samples]:
    """Speech with the early sound of a room, and with all of it.

    The early sound (the direct one and what follows it within ``early_samples``) is what a
    listener takes for the voice itself, and is the target of dereverberation. The direct sound
    arrives without delay, and the early one with the level of the speech.
    """
    direct = int(np.argmax(np.abs(impulse)))
    early = impulse[: direct + 1 + early_samples]
    gain = 1 / float(np.sqrt(np.sum(np.square(early, dtype=np.float64))))
    target, whole = (
        (gain * convolved(speech, response)[direct : direct + len(speech)]).astype(np.float32)
        for response in (early, impulse)
    )
    return target, whole


def clipped(samples: Samples, threshold_db: float) -> Samples:
    """Cut off at a level in dB against the largest magnitude."""
    threshold = np.abs(samples).max() * 10 ** (threshold_db / 20)
    return np.clip(samples, -threshold, threshold)


def low_passed(samples: Samples, cutoff_hz: float, sample_rate: int) -> Samples:
    """Without what lies above a frequency; from half the sample rate on nothing is changed."""
    if cutoff_hz >= sample_rate / 2:
        return samples
    response = low_pass(255, cutoff_hz, sample_rate)
    return convolved(samples, response)[127 : 127 + len(samples)].astype(np.float32)
