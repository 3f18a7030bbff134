"""Blocks in, enhanced blocks out, a stated time later: what a microphone or a pipe needs.

A window slides over the sound at the model's rate. It holds a past whose sound was given out
before (the context), the stretch that is given out now (the hop), and a future (the look-ahead)::

    |---------- context ----------|---- hop ----|-- look-ahead --|

Every window is enhanced like a recording of its own, and only its hop is given out. So each hop
costs the evaluation of a whole window, and a sample waits for hop and look-ahead to be complete.
"""

from collections import deque
from collections.abc import Callable, Mapping
from math import ceil
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from speechduet.audio import Samples
from speechduet.audio.offset import centred
from speechduet.audio.resampling import Resampler, resampling_lag_s
from speechduet.audio.waveform import Waveform, columns_of, like
from speechduet.errors import AudioError, SettingError
from speechduet.spectrogram import Spectrogram

LATENCY_S = 0.5
LONGEST_LATENCY_S = 60.0
CONTEXT_S = 0.6
"""Least context; it is as long as the look-ahead if that is longer."""
LOOKAHEAD_S = 1.2
"""Longest look-ahead: as far as the bundled model sees. With this much on both sides a hop is the
same as in the whole recording."""
LEVEL_S = 30.0
"""How long the largest magnitude is remembered, by which windows are scaled."""

PASSED = "input"
"""The level of a stream that passes its input on."""

Enhance = Callable[[Samples, int], Samples]
"""Windows ``[channels, samples]`` of peak 1 that start at this sample -> enhanced."""


class Window(NamedTuple):
    """Lengths of a window's parts, in frames of the spectrogram."""

    context: int
    hop: int
    lookahead: int

    @classmethod
    def within(cls, latency_s: float, frames_per_s: float) -> "Window":
        """The window for a latency, half of which is look-ahead; a hop of 0 if it is too short."""
        frames = int(latency_s * frames_per_s + 1e-6)
        lookahead = max(0, min(frames // 2, round(LOOKAHEAD_S * frames_per_s)))
        context = max(round(CONTEXT_S * frames_per_s), lookahead)
        return cls(context, max(0, frames - lookahead), lookahead)


class Live:
    """Enhances a stream: `process` takes a block and returns what is ready, `finish` the rest.

    All that comes back, put end to end, is aligned with the input and as long. At any moment at
    most ``latency_samples`` of the input have not come back: that is ``latency_s``, at most what
    was asked for, resampling included and the time of computing not.
    """

    def __init__(
        self,
        enhance: Enhance,
        spectrogram: Spectrogram,
        sample_rate: int,
        channels: int = 1,
        latency_s: float = LATENCY_S,
        name: str = "enhanced",
        cheaper: Mapping[str, Enhance] = MappingProxyType({}),
    ) -> None:
        if sample_rate < 1 or channels < 1:
            raise SettingError(
                f"a stream of {channels} channels at {sample_rate} Hz",
                "at least 1 channel and 1 Hz",
            )
        if not latency_s <= LONGEST_LATENCY_S:
            raise SettingError(f"a latency of {latency_s} s", f"at most {LONGEST_LATENCY_S:g} s")
        model_rate = spectrogram.sample_rate
        lag_s = resampling_lag_s(sample_rate, model_rate) + resampling_lag_s(
            model_rate, sample_rate
        )
        frame_s = spectrogram.hop / model_rate
        window = Window.within(latency_s - lag_s, 1 / frame_s)
        if not window.hop:
            raise SettingError(
                f"a latency of {latency_s} s at {sample_rate} Hz",
                f"at least {ceil(1000 * (frame_s + lag_s)) / 1000:.3f} s",
            )
        self.sample_rate = sample_rate
        self.channels = channels
        self.window = window
        self.latency_s = lag_s + (window.hop + window.lookahead) * frame_s
        self.latency_samples = ceil(self.latency_s * sample_rate)
        self.levels = (name, *cheaper, PASSED)
        self.level = 0
        self._enhance: tuple[Enhance, ...] = (enhance, *cheaper.values(), lambda noisy, _: noisy)
        self._context, self._hop, self._lookahead = (spectrogram.hop * part for part in window)
        self._inwards = Resampler(sample_rate, model_rate, channels)
        self._outwards = Resampler(model_rate, sample_rate, channels)
        self._model_rate = model_rate
        self._keep_offset = spectrogram.published
        self._taken = self._given = 0
        """Samples at the stream's rate."""
        self._held = np.zeros((channels, 0), np.float32)
        """What the next window may need, at the model's rate, from sample `_start` on."""
        self._start = self._measured = self._done = 0
        """Samples at the model's rate: before what is held, with a known peak, and given out."""
        self._fading = self._held
        """The last window's sound after its hop, out of which the next window fades in."""
        self._fade = min(spectrogram.hop, self._lookahead)
        self._peaks = deque[Samples](maxlen=ceil(LEVEL_S * model_rate / self._hop))
        self._kind: Any = np.zeros((channels, 0), np.float32)
        self._finished = False

    @property
    def duration_s(self) -> float:
        """Seconds taken in so far."""
        return self._taken / self.sample_rate

    def process(self, block: Waveform) -> Waveform:
        """What is ready after this block, ``[samples]`` or ``[channels, samples]`` of any length.

        The same type, dtype and number of axes comes back. Raises AudioError for unusable samples,
        and then the stream is as it was before.
        """
        columns = columns_of(block)
        self._check(columns)
        self._kind = block[..., :0]
        self._taken += len(columns)
        enhanced = self._advanced(self._inwards.push(columns))
        return like(block, self._counted(self._outwards.push(enhanced)))

    def finish(self) -> Any:
        """The rest, of the last block's kind; after it the stream takes no more."""
        self._check(np.zeros((0, self.channels), np.float32))
        self._finished = True
        length = ceil(self._taken * self._model_rate / self.sample_rate)
        missing = length - self._start - self._held.shape[1]
        rest = self._inwards.flush()[:missing]
        enhanced = [self._advanced(np.pad(rest, ((0, missing - len(rest)), (0, 0))))]
        if self._done < length:
            # No future is missing at the end: the last window's hop goes up to it.
            enhanced.append(self._next_hop(length, length).T)
        last = [self._outwards.push(np.concatenate(enhanced)), self._outwards.flush()]
        remaining = self._taken - self._given
        columns = np.concatenate(last)[:remaining]
        columns = np.pad(columns, ((0, remaining - len(columns)), (0, 0)))
        return like(self._kind, self._counted(columns))

    def _check(self, columns: Samples) -> None:
        if self._finished:
            raise AudioError("the stream is finished", remedy="begin another")
        if columns.shape[1] != self.channels:
            raise AudioError(
                f"a block of {columns.shape[1]} channels", f"the {self.channels} of the stream"
            )
        finite = np.isfinite(columns).all(axis=1)
        if not finite.all():
            first = self._taken + int(np.argmin(finite))
            raise AudioError(f"sample {first} of the stream is NaN or infinite", "finite samples")

    def _counted(self, columns: Samples) -> Samples:
        self._given += len(columns)
        return columns

    def _advanced(self, columns: Samples) -> Samples:
        """Take in samples at the model's rate, and give out every hop that they complete."""
        self._held = np.concatenate([self._held, columns.T], axis=1)
        hops = [self._held[:, :0]]
        while self._start + self._held.shape[1] >= self._done + self._hop + self._lookahead:
            upto = self._done + self._hop
            hops.append(self._next_hop(upto, upto + self._lookahead))
        return np.concatenate(hops, axis=1).T

    def _next_hop(self, upto: int, end: int) -> Samples:
        """The enhanced stretch ``[channels, samples]`` up to a sample, by a window to the end."""
        start = max(0, self._done - self._context)
        self._held = self._held[:, start - self._start :]
        self._start = start
        noisy = self._held[:, : end - start]
        if not self._keep_offset:
            noisy = centred(noisy.T, self._model_rate).T
        self._peaks.append(np.abs(noisy[:, self._measured - start :]).max(axis=1, initial=0))
        self._measured = end
        clean = self._enhanced(noisy)
        stretch = clean[:, self._done - start : upto - start]
        fade = min(self._fading.shape[1], stretch.shape[1])
        rising = np.sin(np.linspace(0, np.pi / 2, fade, dtype=np.float32)) ** 2
        stretch[:, :fade] *= rising
        stretch[:, :fade] += (1 - rising) * self._fading[:, :fade]
        self._fading = clean[:, upto - start :][:, : self._fade]
        self._done = upto
        return stretch

    def _enhanced(self, noisy: Samples) -> Samples:
        """A window at the level of the stream; silence stays silence without the network."""
        peaks = np.max(self._peaks, axis=0)
        clean = np.zeros_like(noisy)
        audible = np.flatnonzero(peaks)
        if len(audible):
            level = peaks[audible, None]
            enhance = self._enhance[self.level]
            clean[audible] = enhance(noisy[audible] / level, self._start) * level
        return clean
