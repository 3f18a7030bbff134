"""Waveform <-> compressed complex spectrogram in NumPy, as `speechduet.spectrogram` makes it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from speechduet.audio import Samples
from speechduet.enhancement.noise import Complexes
from speechduet.framing import covering_length


@dataclass(frozen=True)
class Transform:
    """The transform of a model; the fields are those of `speechduet.spectrogram.Spectrogram`."""

    sample_rate: int
    n_fft: int
    hop: int
    exponent: float
    factor: float
    published: bool

    @property
    def bins(self) -> int:
        """Number of frequency bins."""
        return self.n_fft // 2 + 1

    @cached_property
    def window(self) -> Samples:
        """The periodic Hann window."""
        turn = np.arange(self.n_fft) * (2 * np.pi / self.n_fft)
        window: Samples = (0.5 - 0.5 * np.cos(turn)).astype(np.float32)
        return window

    def encode(self, waveform: Samples) -> Complexes:
        """Real ``[batch, samples]`` -> complex ``[batch, 1, bins, frames]``.

        The waveform is first continued by its mirror image, so that each sample is under full
        overlap (`covering_length`).
        """
        samples = waveform.shape[-1]
        length = samples if self.published else covering_length(samples, self.n_fft, self.hop)
        continued = np.pad(waveform, ((0, 0), (0, length - samples)), mode="reflect")
        half = self.n_fft // 2
        # Reflection needs more samples than half a window; zeros serve shorter input.
        beyond = ((0, 0), (half, half))
        padded = (
            np.pad(continued, beyond, mode="reflect")
            if length > half
            else np.pad(continued, beyond)
        )
        frames = sliding_window_view(padded, self.n_fft, axis=-1)[:, :: self.hop] * self.window
        transform = np.fft.rfft(frames).astype(np.complex64).swapaxes(1, 2)
        return _rescaled(transform, self.exponent, self.factor)[:, None]

    def decode(self, spectrogram: Complexes, samples: int) -> Samples:
        """Complex ``[batch, 1, bins, frames]`` -> real ``[batch, samples]``."""
        transform = _rescaled(spectrogram[:, 0] / np.float32(self.factor), 1 / self.exponent, 1.0)
        frames = np.fft.irfft(transform.swapaxes(1, 2), self.n_fft) * self.window
        weights = np.broadcast_to(self.window**2, frames[:1].shape)
        added, weight = (self._overlapped(parts.astype(np.float32)) for parts in (frames, weights))
        begin = self.n_fft // 2
        waveform = added[:, begin : begin + samples] / weight[:, begin : begin + samples]
        missing = samples - waveform.shape[-1]
        return np.pad(waveform, ((0, 0), (0, max(missing, 0))))

    def _overlapped(self, frames: Samples) -> Samples:
        """Frames ``[batch, frames, n_fft]`` each a hop later than the one before, added up."""
        batch, count, _ = frames.shape
        hops = -(-self.n_fft // self.hop)
        parts = np.pad(frames, ((0, 0), (0, 0), (0, hops * self.hop - self.n_fft)))
        total = np.zeros((batch, count + hops - 1, self.hop), np.float32)
        for part in range(hops):
            total[:, part : part + count] += parts[..., part * self.hop : (part + 1) * self.hop]
        length = (count - 1) * self.hop + self.n_fft
        joined: Samples = total.reshape(batch, -1)[:, :length]
        return joined


def _rescaled(values: Complexes, exponent: float, factor: float) -> Complexes:
    # |S|^(e-1) instead of polar form: no arctangent, and 0 stays 0.
    magnitude = np.sqrt(np.square(values.real) + np.square(values.imag) + np.float32(1e-24))
    gain = np.float32(factor) * magnitude ** np.float32(exponent - 1)
    rescaled: Complexes = values * gain.astype(np.float32)
    return rescaled
