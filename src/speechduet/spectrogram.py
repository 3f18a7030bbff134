"""Waveform <-> compressed complex spectrogram."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor
from torch.nn import functional

from speechduet.errors import SettingError
from speechduet.framing import covering_length
from speechduet.settings import Even, Positive, Settings, Size


def _hann(length: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    # What is made while a program is traced stands for a tensor and must not outlive that.
    make = _made.__wrapped__ if torch.compiler.is_compiling() else _made
    return make(length, device, dtype)


@lru_cache(maxsize=8)
def _made(length: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    # A window made in inference mode would be refused by autograd later, when it is reused.
    with torch.inference_mode(False):
        return torch.hann_window(length, periodic=True, device=device, dtype=dtype)


@dataclass(frozen=True)
class Spectrogram(Settings):
    """The short-time Fourier transform of SGMSE+ with its amplitude compression.

    A coefficient S becomes ``factor * |S|**exponent * exp(i arg S)``. Frames are centred and
    periodic-Hann windowed, so ``1 + samples // hop`` of them cover a waveform. The default has
    256 frequency bins, 128 samples (8 ms at 16 kHz) apart in time.
    """

    sample_rate: Annotated[int, Ge(1000), Le(768_000)] = 16_000
    n_fft: Even = 510
    hop: Size = 128
    exponent: Annotated[float, Ge(0.1), Le(1)] = 0.5
    factor: Positive = 0.15
    published: bool = False
    """Recordings are prepared as by the code of SGMSE+ and StoRM, to the last sample: their direct
    current stays, and they are not continued at their end, where the last ``samples % hop`` then
    lie under the falling half of the last frame alone."""

    def check(self) -> None:
        """Windows overlap."""
        most = min(self.bins, self.n_fft - 1)
        if self.hop > most:
            raise SettingError(
                f"hop is {self.hop}",
                f"1 to {most} samples, so that windows of n_fft {self.n_fft} overlap",
            )

    @property
    def bins(self) -> int:
        """Number of frequency bins."""
        return self.n_fft // 2 + 1

    def frames(self, samples: int) -> int:
        """Number of frames that `encode` makes of this many samples."""
        return 1 + samples // self.hop

    def covering(self, samples: int) -> int:
        """The length to which samples are continued, so that each lies under full overlap."""
        return samples if self.published else covering_length(samples, self.n_fft, self.hop)

    def framing_offsets(self, count: int) -> list[int]:
        """How many zeros go before a waveform in each of several framings: 0 to almost a hop."""
        return [number * self.hop // count for number in range(count)]

    def encode(self, waveform: Tensor) -> Tensor:
        """Real ``[batch, samples]`` -> complex ``[batch, 1, bins, frames]``."""
        transform = torch.stft(
            waveform,
            self.n_fft,
            self.hop,
            window=_hann(self.n_fft, waveform.device, waveform.dtype),
            center=True,
            # Reflection needs more samples than half a window; zeros serve shorter input.
            pad_mode="reflect" if waveform.shape[-1] > self.n_fft // 2 else "constant",
            return_complex=True,
        )
        return self._rescale(transform, self.exponent, self.factor).unsqueeze(1)

    def decode(self, spectrogram: Tensor, samples: int) -> Tensor:
        """Complex ``[batch, 1, bins, frames]`` -> real ``[batch, samples]``."""
        # Not torch.istft: it waits for a GPU to look whether the windows leave a gap.
        transform = self.expanded(spectrogram)
        window = _hann(self.n_fft, transform.device, transform.real.dtype)
        frames = torch.fft.irfft(transform.transpose(1, 2), self.n_fft) * window
        weight = window.square().expand(1, *frames.shape[1:])
        start, covered = self.n_fft // 2, self.n_fft + self.hop * (frames.shape[1] - 1)
        heard = slice(start, min(start + samples, covered))
        waveform = self._joined(frames)[:, heard] / self._joined(weight)[:, heard]
        return functional.pad(waveform, (0, samples - waveform.shape[-1]))

    def _joined(self, frames: Tensor) -> Tensor:
        """Frames ``[batch, frames, n_fft]`` added up a hop apart, ``[batch, samples]``."""
        hops = -(-self.n_fft // self.hop)
        parts = functional.pad(frames, (0, hops * self.hop - self.n_fft))
        parts = parts.reshape(*parts.shape[:-1], hops, self.hop)
        whole = frames.new_zeros(len(parts), parts.shape[1] + hops - 1, self.hop)
        # What frame m has in its part number i belongs to hop m + i of the whole.
        for i in range(hops):
            whole[:, i : i + parts.shape[1]] += parts[:, :, i]
        return whole.flatten(1)

    def expanded(self, spectrogram: Tensor) -> Tensor:
        """The Fourier transform ``[batch, bins, frames]`` behind a compressed spectrogram."""
        return self._rescale(spectrogram.squeeze(1) / self.factor, 1 / self.exponent, 1.0)

    @staticmethod
    def _rescale(values: Tensor, exponent: float, factor: float) -> Tensor:
        # |S|^(e-1) instead of polar form: no arctangent, and 0 stays 0 with a finite gradient.
        magnitude = (values.real.square() + values.imag.square() + 1e-24).sqrt()
        return values * (factor * magnitude.pow(exponent - 1))
