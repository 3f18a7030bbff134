"""The sampler's noise as a function of place, the same however a recording is cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from speechduet.audio import Samples
from speechduet.errors import SettingError
from speechduet.seed import MOST_SEED

Complexes = NDArray[np.complex64]
"""Complex spectrograms, or noise for them."""


@dataclass(frozen=True)
class NoiseField:
    """Standard complex normal noise (total variance 1) for any stretch of frames, without end.

    Every number is a function of the seed, the number of the draw, and its place, in whichever
    stretch it is asked for: overlapping segments agree, and nothing needs to be kept.
    """

    seed: int
    bins: int

    _BLOCK = 64

    def __post_init__(self) -> None:
        seed: object = self.seed  # callers that are not type-checked may give anything
        if not isinstance(seed, int | np.integer) or not 0 <= seed <= MOST_SEED:
            raise SettingError(f"seed is {seed!r}", f"a whole number from 0 to {MOST_SEED}")

    def frames(self, draw: int, start: int, stop: int) -> Complexes:
        """Noise of the draw with this number in frames start to stop, ``[1, bins, frames]``."""
        first, last = start // self._BLOCK, ceil(stop / self._BLOCK)
        blocks = np.concatenate([self._block(draw, i) for i in range(first, last)])
        offset = first * self._BLOCK
        chosen = blocks[start - offset : stop - offset].view(np.complex64)
        return chosen[..., 0].T[None] * np.complex64(0.5**0.5)

    def batch(self, draw: int, starts: Sequence[int], frames: int) -> Complexes:
        """The same for stretches that start at these frames, ``[batch, 1, bins, frames]``."""
        drawn = {start: self.frames(draw, start, start + frames) for start in set(starts)}
        return np.stack([drawn[start] for start in starts])

    def _block(self, draw: int, block: int) -> Samples:
        # A counter-based generator: its counter is the place, so that no state is carried along.
        counter = np.array([0, 0, block, draw], np.uint64)
        generator = np.random.Generator(np.random.Philox(key=self.seed, counter=counter))
        return generator.standard_normal((self._BLOCK, self.bins, 2), dtype=np.float32)
