"""Long recordings in overlapping segments of equal length that are faded into each other.

Segments start on frames of the spectrogram, so that a frame of a segment is a frame of the whole
recording, and the noise of a frame is the same in every segment that holds it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np

from speechduet.audio import Samples

OVERLAP_S = 2.0
"""Least overlap of neighbouring segments; the fade takes its middle half."""


def segment_frames(segment_s: float, frames_per_s: float, multiple: int) -> tuple[int, int]:
    """Frames of a segment, a multiple of the network's, and of the overlap of two."""
    frames = multiple * max(1, round(segment_s * frames_per_s / multiple))
    return frames, min(round(OVERLAP_S * frames_per_s), frames // 4)


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
        """Segments of this many frames, spread evenly; one piece if the recording fits one."""
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
