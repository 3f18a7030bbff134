"""Levels that a sample format can hold, and how many samples were beyond it."""

import numpy as np

from speechduet.audio.formats import Samples

_BITS = {
    **{"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24},
    **{"ALAC_16": 16, "ALAC_20": 20, "ALAC_24": 24},
}
_UNLIMITED = ("FLOAT", "DOUBLE")
_ENCODERS_OF_FLOATS = ("VORBIS", "OPUS", "MPEG_LAYER_III")
_MOST_ENCODED = 64.0
"""Peak that Vorbis, Opus and MP3 still encode as it is (+36 dB); far above it they give noise."""


class Limiter:
    """Rounds samples to what a sample format can hold, clips the rest, and counts it.

    Full scale is 1. A sample counts if it is beyond by more than half a step: +1 itself, which
    integers miss by one step, does not.
    """

    def __init__(self, subtype: str) -> None:
        self._subtype = subtype
        self._samples = self._beyond = 0
        self._peak = 0.0

    def __call__(self, block: Samples) -> Samples:
        """A block as it is to be stored."""
        if self._subtype in _UNLIMITED or not block.size:
            return block
        steps = np.float32(2 ** (_BITS.get(self._subtype, 32) - 1))
        magnitudes = np.abs(block)
        self._peak = max(self._peak, float(magnitudes.max()))
        self._samples += block.size
        self._beyond += int(np.count_nonzero(magnitudes > 1 + 0.5 / steps))
        if self._subtype in _ENCODERS_OF_FLOATS:
            return np.clip(block, -_MOST_ENCODED, _MOST_ENCODED)
        if self._subtype not in _BITS:
            # libsndfile wraps A-law around without this.
            return np.clip(block, np.float32(-1), np.float32(1))
        # libsndfile cuts off what is below the last bit; rounding it here keeps the mean.
        rounded: Samples = np.clip(np.rint(block * steps), -steps, steps - 1) / steps
        return rounded

    def account(self) -> str | None:
        """What was beyond full scale, if anything was."""
        if not self._beyond:
            return None
        lossy = self._subtype in _ENCODERS_OF_FLOATS
        fate = "are above full scale, where most players clip" if lossy else "clipped"
        return (
            f"{self._beyond:,} of {self._samples:,} samples {fate} "
            f"(peak {self._peak:.2f}, {20 * np.log10(self._peak):+.1f} dB)"
        )
