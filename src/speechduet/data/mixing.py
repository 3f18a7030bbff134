"""Noisy speech mixed on the fly: random speech, noise, signal-to-noise ratio, colour and level."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.signal import fftconvolve
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from speechduet.data.recordings import Recordings, Samples


@dataclass(frozen=True)
class Mixing:
    """How mixtures are made. Probabilities are in [0, 1], levels and ratios in dB."""

    excerpt_s: float = 2.04
    snr_db: tuple[float, float] = (-5.0, 20.0)
    colour_db: float = 6.0
    """Largest gain or cut of the random equaliser on speech and on noise, each on its own."""
    level_db: tuple[float, float] = (-12.0, 0.0)
    """Peak of the excerpt against full scale: an excerpt rarely holds its file's peak."""
    pause_s: float = 0.5
    second_noise: float = 0.2
    coloured_noise: float = 0.1
    """Probability of stationary noise with a random slope of -6..0 dB per octave instead."""
    babble: float = 0.1
    """Probability of three to eight talkers from the speech recordings instead."""


class Mixtures(IterableDataset[tuple[Tensor, Tensor]]):
    """An endless stream of ``(clean, noisy)`` waveforms, float32 ``[samples]`` each.

    Example number n is a function of (seed, n) alone, so that a run can be stopped at any example
    and resumed, with any number of workers.
    """

    def __init__(
        self, speech: Recordings, noise: Recordings, settings: Mixing, sample_rate: int, seed: int
    ) -> None:
        super().__init__()
        self.speech = speech
        self.noise = noise
        self.settings = settings
        self.sample_rate = sample_rate
        self.seed = seed
        self.first = 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        worker = get_worker_info()
        index = self.first + (worker.id if worker else 0)
        while True:
            clean, noisy = self.example(index)
            yield torch.from_numpy(clean), torch.from_numpy(noisy)
            index += worker.num_workers if worker else 1

    def example(self, index: int) -> tuple[Samples, Samples]:
        """Mixture number ``index``."""
        random = np.random.default_rng([self.seed, index])
        settings = self.settings
        length = round(settings.excerpt_s * self.sample_rate)
        pause = round(settings.pause_s * self.sample_rate)
        clean = self._coloured(random, self.speech.excerpt(random, length, pause))
        noise = self._coloured(random, self._noise(random, length))
        snr_db = random.uniform(*settings.snr_db)
        gain = _active_rms(clean) / (_rms(noise) * 10 ** (snr_db / 20) + 1e-9)
        noisy = clean + gain * noise
        peak = 10 ** (random.uniform(*settings.level_db) / 20) / (np.abs(noisy).max() + 1e-9)
        return (clean * peak).astype(np.float32), (noisy * peak).astype(np.float32)

    def _noise(self, random: np.random.Generator, length: int) -> Samples:
        kind = random.random()
        if kind < self.settings.coloured_noise:
            return _slanted(random, length)
        if kind < self.settings.coloured_noise + self.settings.babble:
            pause = round(self.settings.pause_s * self.sample_rate)
            talkers = [
                self.speech.excerpt(random, length, pause) for _ in range(random.integers(3, 9))
            ]
            return np.sum([t / (_rms(t) + 1e-4) for t in talkers], axis=0, dtype=np.float32)
        noise = self.noise.excerpt(random, length, 0)
        if random.random() < self.settings.second_noise:
            other = self.noise.excerpt(random, length, 0)
            balance = 10 ** (random.uniform(-10, 10) / 20)
            noise = noise + other * (_rms(noise) / (_rms(other) + 1e-6) * balance)
        return noise

    def _coloured(self, random: np.random.Generator, samples: Samples) -> Samples:
        """Filtered by a smooth random response of at most ``colour_db`` up or down."""
        points = random.uniform(-self.settings.colour_db, self.settings.colour_db, 6)
        gain_db = np.interp(np.linspace(0, 5, 65), np.arange(6), points)
        response = np.fft.irfft(10 ** (gain_db / 20))
        response = np.roll(response, 64) * np.hanning(128)
        filtered: Samples = fftconvolve(samples, response, mode="same").astype(np.float32)
        return filtered


def _slanted(random: np.random.Generator, length: int) -> Samples:
    spectrum = np.fft.rfft(random.standard_normal(length))
    slope = random.uniform(-1, 0)
    spectrum *= np.maximum(np.arange(len(spectrum)), length / 400) ** slope
    noise = np.fft.irfft(spectrum, length)
    scaled: Samples = (0.1 * noise / (noise.std() + 1e-9)).astype(np.float32)
    return scaled


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _active_rms(samples: Samples, frame: int = 320) -> float:
    """Root mean square over the 20 ms frames within 40 dB of the loudest: speech, not pauses."""
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    return float(np.sqrt(power[power >= power.max() * 1e-4].mean()))
