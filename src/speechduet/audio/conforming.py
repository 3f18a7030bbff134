"""Sound whose rate or channels change midway, brought to those of its beginning."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from speechduet.audio.formats import Samples
from speechduet.audio.resampling import Resampler
from speechduet.errors import AudioError

_BLOCK = 1 << 16
_LARGEST_CHANGE = 1000
"""Ratio of two rates; between more, a few samples would become hours."""


def change_remark(kind: tuple[int, int]) -> str:
    """What to say of sound that changes to another rate in Hz and number of channels."""
    rate, channels = kind
    return (
        f"changes to {rate} Hz with {channels} channel{'' if channels == 1 else 's'} midway; "
        "all is brought to the rate and channels of its beginning"
    )


class Conformer:
    """Takes blocks of any rate and number of channels, gives one rate and number of channels.

    One channel becomes many by being copied, many become one as their mean; between other numbers
    the mean is copied. What stays as it is is passed on untouched. ``path`` is for errors.
    """

    def __init__(self, path: Path, sample_rate: int, channels: int) -> None:
        self._path = path
        self.sample_rate = sample_rate
        self.channels = channels
        self._resampler: Resampler | None = None
        self._rate = sample_rate

    def push(self, block: Samples, sample_rate: int) -> Iterator[Samples]:
        """What is ready after this block ``[samples, channels]`` at this rate.

        Raises AudioError for a rate that is over `_LARGEST_CHANGE` times the first, or under.
        """
        if sample_rate != self._rate:
            self._check(sample_rate)
            yield from self.flush()
            self._rate = sample_rate
        block = self._mixed(block)
        if sample_rate == self.sample_rate:
            yield block
            return
        if self._resampler is None:
            self._resampler = Resampler(sample_rate, self.sample_rate, self.channels)
        yield from self._resampler.pushed(block)

    def silence(self, duration_s: float) -> Iterator[Samples]:
        """Silence behind all that was pushed."""
        yield from self.flush()
        samples = round(duration_s * self.sample_rate)
        for start in range(0, samples, _BLOCK):
            yield np.zeros((min(_BLOCK, samples - start), self.channels), np.float32)

    def flush(self) -> Iterator[Samples]:
        """The rest of what was pushed."""
        if self._resampler is not None:
            yield self._resampler.flush()
            self._resampler = None

    def _check(self, rate: int) -> None:
        low, high = sorted((rate, self.sample_rate))
        if high > _LARGEST_CHANGE * low:
            raise AudioError(
                f"{self._path} changes from {self.sample_rate:,} to {rate:,} Hz midway",
                f"at most {_LARGEST_CHANGE:,} times as many",
                "it is damaged there",
            )

    def _mixed(self, block: Samples) -> Samples:
        if block.shape[1] == self.channels:
            return block
        mean = block.mean(axis=1, keepdims=True, dtype=np.float32)
        return np.ascontiguousarray(np.broadcast_to(mean, (len(block), self.channels)))
