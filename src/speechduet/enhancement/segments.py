"""Long recordings in overlapping segments of equal length that are faded into each other.

Segments start on frames of the spectrogram, so that a frame of a segment is a frame of the whole
recording, and the noise of a frame is the same in every segment that holds it.
"""

from collections.abc import Iterable, Iterator, Sequence
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

OVERLAP_S = 2.0
"""Least overlap of neighbouring segments; the fade takes its middle half."""


@dataclass(frozen=True)
class Segmentation:
    """Where the segments of a recording lie; every number counts samples at the model's rate."""

    samples: int
    length: int
    """Length of every segment."""
    starts: tuple[int, ...]
    fade: int

    @classmethod
    def plan(cls, samples: int, hop: int, frames: int, overlap_frames: int) -> "Segmentation":
        """Segments of so many frames, spread evenly; one piece if the recording fits one."""
        if 1 + samples // hop <= frames:
            return cls(samples, samples, (0,), 0)
        length = (frames - 1) * hop
        beyond_first = ceil((samples - length) / hop)
        count = 1 + ceil(beyond_first / (frames - 1 - overlap_frames))
        starts = tuple(hop * ceil(i * beyond_first / (count - 1)) for i in range(count))
        return cls(samples, length, starts, hop * max(overlap_frames // 2, 1))

    def borders(self) -> list[int]:
        """Where one segment takes over from the one before: the middles of their overlaps."""
        middles = [(start + before + self.length) // 2 for before, start in self._neighbours()]
        return [0, *middles, self.samples]

    def _neighbours(self) -> list[tuple[int, int]]:
        return list(zip(self.starts, self.starts[1:], strict=False))

    def join(self, pieces: Iterable[Samples]) -> Iterator[Samples]:
        """Segments ``[channels, length]`` in order -> blocks ``[channels, samples]`` end to end.

        Holds two segments at a time. The two weights of a fade add up to one, for neighbours
        see the same recording and the same noise, and so make much the same sound.
        """
        rising = np.sin(np.linspace(0, np.pi / 2, self.fade, dtype=np.float32)) ** 2
        borders = self.borders()
        fading: Samples | None = None
        done = 0
        for index, piece in enumerate(pieces):
            start = self.starts[index]
            if fading is not None:
                into = piece[:, done - start : done - start + self.fade]
                yield fading * (1 - rising) + into * rising
                done += self.fade
            if index + 1 == len(self.starts):
                yield piece[:, done - start : self.samples - start]
                return
            fade_start = borders[index + 1] - self.fade // 2
            yield piece[:, done - start : fade_start - start]
            fading = piece[:, fade_start - start : fade_start - start + self.fade]
            done = fade_start


@dataclass(frozen=True)
class NoiseField:
    """Standard complex normal noise (total variance 1) for any stretch of frames, without end.

    Every number is a function of the seed, the number of the draw, and its place, whichever
    stretch is asked for: overlapping segments agree, and nothing needs to be kept.
    """

    seed: int
    bins: int

    _BLOCK = 64

    def __post_init__(self) -> None:
        seed: object = self.seed  # callers outside the type checker's reach give anything
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
