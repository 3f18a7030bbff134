"""Spectrum and level of a recording of any length, in as much memory as a picture needs."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from speechduet.audio.formats import Samples

MOST_COLUMNS = 2048
"""Columns of a spectrum, over time; whoever has more would not see them."""
_WINDOW_S, _HOP_S = 0.032, 0.008
_SILENCE = 1e-12
"""Power below which nothing is shown: -120 dB."""

Numbers = npt.NDArray[np.float64]


class Overview(NamedTuple):
    """What a picture shows of a recording."""

    spectrum_db: Numbers
    """``[bins, columns]`` from 0 Hz to half the rate; a sine of full scale is 0 dB."""
    level_db: Numbers
    """``[columns]``, of the root mean square; full scale is 0 dB."""
    duration_s: float
    column_s: float
    """Seconds from one column to the next."""


def overview(blocks: Iterable[Samples], sample_rate: int) -> Overview:
    """Measure a waveform that comes in blocks ``[samples]``.

    Windows of 32 ms are 8 ms apart. The longer the recording, the more of them one column holds
    (1, 2, 4, ...), as the mean of their power.
    """
    hop = max(1, round(_HOP_S * sample_rate))
    window = np.hanning(max(2 * hop, round(_WINDOW_S * sample_rate)) + 1)[:-1]
    around = len(window) - hop
    columns = _Columns(len(window) // 2 + 2)
    # The first window is centred on the first hop, as the last is on the last.
    held: Numbers = np.zeros(around // 2)
    samples = 0
    for block in blocks:
        held = np.concatenate([held, block])
        samples += len(block)
        held = held[columns.take(held, window, hop) * hop :]
    missing = -(-samples // hop) - columns.windows
    end = missing * hop + around
    columns.take(np.pad(held[:end], (0, max(0, end - len(held)))), window, hop)
    power = np.maximum(columns.mean(), _SILENCE)
    decibels: Numbers = 10 * np.log10(power).T
    return Overview(
        decibels[:-1], decibels[-1], samples / sample_rate, columns.each * hop / sample_rate
    )


class _Columns:
    """Power of windows, summed in columns of which two become one when there are too many."""

    def __init__(self, rows: int) -> None:
        self.each = 1
        """Windows in a column."""
        self.windows = 0
        self._sums: Numbers = np.zeros((MOST_COLUMNS, rows))

    def take(self, samples: Numbers, window: Numbers, hop: int) -> int:
        """Take in all whole windows of these samples; how many they were."""
        if len(samples) < len(window):
            return 0
        frames = np.lib.stride_tricks.sliding_window_view(samples, len(window))[::hop]
        middle = (len(window) - hop) // 2
        for first in range(0, len(frames), 512):
            some = frames[first : first + 512]
            spectrum = np.abs(np.fft.rfft(some * window)) * (2 / window.sum())
            level = np.square(some[:, middle : middle + hop]).mean(axis=1)
            self._add(np.column_stack([np.square(spectrum), level]))
        return len(frames)

    def mean(self) -> Numbers:
        """``[columns, rows]``: the mean power of each column."""
        count = -(-self.windows // self.each)
        filled = np.full(count, self.each)
        if count:
            filled[-1] = self.windows - self.each * (count - 1)
        mean: Numbers = self._sums[:count] / filled[:, None]
        return mean

    def _add(self, power: Numbers) -> None:
        while self.windows + len(power) > self.each * MOST_COLUMNS:
            half = MOST_COLUMNS // 2
            self._sums[:half] = self._sums[::2] + self._sums[1::2]
            self._sums[half:] = 0
            self.each *= 2
        places = (self.windows + np.arange(len(power))) // self.each
        np.add.at(self._sums, places, power)
        self.windows += len(power)
