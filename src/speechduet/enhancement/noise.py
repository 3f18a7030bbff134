"""The sampler's noise as a function of place, the same however a recording is cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from math import ceil

import numpy as np
import torch
from torch import Tensor

from speechduet.audio import Samples
from speechduet.errors import SettingError
from speechduet.sampler import Draw
from speechduet.settings import MOST_SEED


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

    def frames(self, draw: int, start: int, stop: int) -> Tensor:
        """Noise of the draw with this number in frames start to stop, ``[1, bins, frames]``."""
        first, last = start // self._BLOCK, ceil(stop / self._BLOCK)
        blocks = np.concatenate([self._block(draw, i) for i in range(first, last)])
        offset = first * self._BLOCK
        chosen = torch.from_numpy(blocks[start - offset : stop - offset])
        noise: Tensor = torch.view_as_complex(chosen).T.unsqueeze(0) * 0.5**0.5
        return noise

    def draws(self, starts: Sequence[int], device: torch.device) -> Draw:
        """The draws for a batch of segments that start at these frames, one after another."""
        numbers = count()

        def draw(shape: tuple[int, ...]) -> Tensor:
            number = next(numbers)
            drawn = {start: self.frames(number, start, start + shape[-1]) for start in set(starts)}
            return torch.stack([drawn[start] for start in starts]).to(device)

        return draw

    def _block(self, draw: int, block: int) -> Samples:
        # A counter-based generator: its counter is the place, so that no state is carried along.
        counter = np.array([0, 0, block, draw], np.uint64)
        generator = np.random.Generator(np.random.Philox(key=self.seed, counter=counter))
        return generator.standard_normal((self._BLOCK, self.bins, 2), dtype=np.float32)
