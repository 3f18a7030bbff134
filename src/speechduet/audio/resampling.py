"""Streams of blocks at another sample rate, without a seam between them."""

from collections.abc import Iterable, Iterator
from math import ceil

import numpy as np

from speechduet.audio.formats import Samples

_MOST_VALUES = 1 << 20
"""Of a piece, but for what soxr keeps back and then gives at once."""


class Resampler:
    """A stream of blocks ``[samples, channels]`` at another rate, without a seam between them."""

    def __init__(self, from_rate: int, to_rate: int, channels: int) -> None:
        self._nothing = np.zeros((0, channels), np.float32)
        self._stream = None
        self._growth = to_rate / from_rate
        if from_rate != to_rate:
            import soxr  # a bare machine that only trains may lack it

            self._stream = soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32")

    def push(self, block: Samples) -> Samples:
        """What is ready after this block."""
        if self._stream is None:
            return block
        made: Samples = self._stream.resample_chunk(np.ascontiguousarray(block))
        return made

    def pushed(self, block: Samples) -> Iterator[Samples]:
        """The same in pieces of bounded size: a block of a low rate may become a very long one."""
        length = max(1, int(_MOST_VALUES / (self._growth * block.shape[1])))
        for start in range(0, len(block), length):
            yield self.push(block[start : start + length])

    def flush(self) -> Samples:
        """The rest, after the last block."""
        if self._stream is None:
            return self._nothing
        made: Samples = self._stream.resample_chunk(self._nothing, last=True)
        return made


def resampled(blocks: Iterable[Samples], from_rate: int, to_rate: int) -> Iterator[Samples]:
    """Blocks ``[samples, channels]`` at another rate, without a seam between them."""
    resampler = None
    for block in blocks:
        resampler = resampler or Resampler(from_rate, to_rate, block.shape[1])
        yield from resampler.pushed(block)
    if resampler is not None:
        yield resampler.flush()


def resampling_lag_s(from_rate: int, to_rate: int) -> float:
    """How long a sound waits in a `Resampler` at most, found by pushing silence through one."""
    if from_rate == to_rate:
        return 0.0
    resampler = Resampler(from_rate, to_rate, 1)
    block = np.zeros((ceil(from_rate / 1000), 1), np.float32)
    lag_s, made = 0.0, 0
    for pushed in range(1, 1001):
        made += len(resampler.push(block))
        lag_s = max(lag_s, pushed * len(block) / from_rate - made / to_rate)
    # A smaller block than these may come just before the one that sets sound free.
    return lag_s + len(block) / from_rate
