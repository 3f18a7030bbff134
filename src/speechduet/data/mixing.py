"""Noisy speech mixed on the fly: random speech, noise, signal-to-noise ratio, colour and level."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from speechduet.data.degradation import clipped, in_room, low_passed
from speechduet.data.filtering import convolved
from speechduet.data.mono import Samples
from speechduet.data.recordings import Recordings
from speechduet.errors import SettingError
from speechduet.settings import Decibels, Positive, Settings, Share

_FRAME_S = 0.02
"""Length of the frames by which pauses are distinguished from speech."""
_LONGEST_S = 600
"""Beyond this an excerpt is a mistake rather than a wish."""

Extent = Annotated[float, Ge(0), Le(_LONGEST_S)]
Range = tuple[Decibels, Decibels]
"""A lower and an upper end, in this order."""
NotAbove0 = Annotated[float, Ge(-200), Le(0)]


@dataclass(frozen=True)
class Mixing(Settings):
    """How mixtures are made. Probabilities are in [0, 1], levels and ratios in dB."""

    excerpt_s: Annotated[float, Ge(0.01), Le(_LONGEST_S)] = 2.04
    snr_db: Range = (-5.0, 20.0)
    colour_db: Extent = 6.0
    """Largest gain or cut of the random equaliser on speech and on noise, each on its own."""
    level_db: Range = (-12.0, 0.0)
    """Peak of the excerpt against full scale: an excerpt rarely holds its file's peak."""
    pause_s: Extent = 0.5
    second_noise: Share = 0.2
    coloured_noise: Share = 0.1
    """Probability of stationary noise with a random slope of -6..0 dB per octave instead."""
    babble: Share = 0.1
    """Probability of three to eight talkers from the speech recordings instead."""
    murmur: Share = 0.0
    """Probability of stationary noise with the spectrum of an excerpt of speech instead."""
    rumble: Share = 0.0
    """Probability of low-frequency noise beside the noise: what wind, traffic and stands do to
    microphones, and collections of noise are often rid of."""
    rumble_db: Range = (-10.0, 10.0)
    """Its level against that of the noise."""
    reverberation: Share = 0.0
    """Probability of a room for the speech; the target keeps its early sound."""
    early_s: Extent = 0.05
    """How much of the room's sound stays in the target, from the direct one on."""
    clipping: Share = 0.0
    """Probability of cutting off what is noisy at a level against its peak."""
    clipping_db: tuple[NotAbove0, NotAbove0] = (-15.0, -3.0)
    band_limit: Share = 0.0
    """Probability of a low-pass on what is noisy."""
    band_limit_hz: tuple[Positive, Positive] = (2000.0, 7000.0)
    band_limit_target: Share = 0.5
    """Share of low-passed examples whose target is too, so that nothing must be invented."""

    def check(self) -> None:
        """Ranges are in order, and of kinds of noise that exclude each other one is drawn."""
        for name in ("snr_db", "level_db", "rumble_db", "clipping_db", "band_limit_hz"):
            lower, upper = getattr(self, name)
            if lower > upper:
                raise SettingError(f"{name} is {[lower, upper]}", "a lower and an upper end")
        instead = self.coloured_noise + self.babble + self.murmur
        if instead > 1 + 1e-9:  # Decimals add up to a little more.
            raise SettingError(
                f"coloured_noise, babble and murmur together are {instead:g}",
                "1 or less, as they exclude each other",
            )


class Mixtures:
    """Mixtures of speech and noise, without end: `Examples`.

    ``rooms`` holds impulse responses for reverberation. Raises SettingError if that is asked for
    without them.
    """

    def __init__(
        self,
        speech: Recordings,
        noise: Recordings,
        settings: Mixing,
        sample_rate: int,
        seed: int,
        rooms: Recordings | None = None,
    ) -> None:
        if settings.reverberation and rooms is None:
            raise SettingError(
                f"reverberation is {settings.reverberation}", "a folder of room impulse responses"
            )
        self.speech = speech
        self.noise = noise
        self.settings = settings
        self.sample_rate = sample_rate
        self.seed = seed
        self.rooms = rooms

    def example(self, index: int) -> tuple[Samples, Samples]:
        """Mixture number ``index``."""
        random = np.random.default_rng([self.seed, index])
        degrading = degradation_generator(self.seed, index)
        settings = self.settings
        length = round(settings.excerpt_s * self.sample_rate)
        pause = round(settings.pause_s * self.sample_rate)
        clean = self._coloured(random, self.speech.excerpt(random, length, pause))
        noise = self._coloured(random, self._noise(random, length))
        if settings.rumble and random.random() < settings.rumble:
            balance = 10 ** (random.uniform(*settings.rumble_db) / 20)
            noise = noise + _rumble(random, length, self.sample_rate) * (_rms(noise) * balance)
        clean, reverberant = self._in_room(degrading, clean)
        snr_db = random.uniform(*settings.snr_db)
        noisy = add_noise(reverberant, noise, snr_db, self.sample_rate)
        clean, noisy = distorted(degrading, clean, noisy, settings, self.sample_rate)
        return levelled(clean, noisy, random.uniform(*settings.level_db))

    def _in_room(self, random: np.random.Generator, speech: Samples) -> tuple[Samples, Samples]:
        draw, room = random.random(2)
        if draw >= self.settings.reverberation or self.rooms is None:
            return speech, speech
        early_samples = round(self.settings.early_s * self.sample_rate)
        return in_room(speech, self.rooms.at(room), early_samples)

    def _noise(self, random: np.random.Generator, length: int) -> Samples:
        settings, kind = self.settings, random.random()
        if kind < settings.coloured_noise:
            return _slanted(random, length)
        if kind < settings.coloured_noise + settings.babble:
            pause = round(self.settings.pause_s * self.sample_rate)
            talkers = [
                self.speech.excerpt(random, length, pause) for _ in range(random.integers(3, 9))
            ]
            babble: Samples = np.sum([t / (_rms(t) + 1e-4) for t in talkers], 0, np.float32)
            return babble
        if kind < settings.coloured_noise + settings.babble + settings.murmur:
            return _murmur(random, self.speech.excerpt(random, length, 0))
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
        # As many as before, from the middle.
        middle = (len(response) - 1) // 2
        return convolved(samples, response)[middle : middle + len(samples)].astype(np.float32)


def degradation_generator(seed: int, index: int) -> np.random.Generator:
    """What an example's degradations are drawn from: switching one on changes no other draw."""
    return np.random.default_rng([seed, index, 1])


def add_noise(speech: Samples, noise: Samples, snr_db: float, sample_rate: int) -> Samples:
    """The sum at a ratio of the speech's level, without its pauses, to the noise's."""
    gain = _active_rms(speech, sample_rate) / (_rms(noise) * 10 ** (snr_db / 20) + 1e-9)
    noisy: Samples = speech + gain * noise
    return noisy


def distorted(
    random: np.random.Generator, clean: Samples, noisy: Samples, settings: Mixing, sample_rate: int
) -> tuple[Samples, Samples]:
    """Clean and noisy waveforms after the clipping and the low-pass that may befall them."""
    threshold_db = random.uniform(*settings.clipping_db)
    cutoff_hz = random.uniform(*settings.band_limit_hz)
    draws = random.random(3)
    if draws[0] < settings.clipping:
        noisy = clipped(noisy, threshold_db)
    if draws[1] < settings.band_limit:
        noisy = low_passed(noisy, cutoff_hz, sample_rate)
        if draws[2] < settings.band_limit_target:
            clean = low_passed(clean, cutoff_hz, sample_rate)
    return clean, noisy


def levelled(clean: Samples, noisy: Samples, level_db: float) -> tuple[Samples, Samples]:
    """Both scaled alike, to a peak of the noisy one in dB against full scale."""
    peak = 10 ** (level_db / 20) / (np.abs(noisy).max() + 1e-9)
    return (clean * peak).astype(np.float32), (noisy * peak).astype(np.float32)


def _slanted(random: np.random.Generator, length: int) -> Samples:
    spectrum = np.fft.rfft(random.standard_normal(length))
    slope = random.uniform(-1, 0)
    spectrum *= np.maximum(np.arange(len(spectrum)), length / 400) ** slope
    noise = np.fft.irfft(spectrum, length)
    scaled: Samples = (0.1 * noise / (noise.std() + 1e-9)).astype(np.float32)
    return scaled


def _murmur(random: np.random.Generator, speech: Samples) -> Samples:
    """Speech with random phases: what many talkers far away sound like."""
    spectrum = np.fft.rfft(speech)
    spectrum *= np.exp(2j * np.pi * random.random(len(spectrum)))
    murmur: Samples = np.fft.irfft(spectrum, len(speech)).astype(np.float32)
    return murmur


def _rumble(random: np.random.Generator, length: int, sample_rate: int) -> Samples:
    """Noise of level 1 that falls by 12 dB per octave from a corner between 10 and 80 Hz on."""
    spectrum = np.fft.rfft(random.standard_normal(length))
    corner_hz = random.uniform(10, 80)
    spectrum /= 1 + (np.fft.rfftfreq(length, 1 / sample_rate) / corner_hz) ** 2
    rumble = np.fft.irfft(spectrum, length)
    level: Samples = (rumble / rumble.std()).astype(np.float32)
    return level


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def _active_rms(samples: Samples, sample_rate: int) -> float:
    """Root mean square over the frames within 40 dB of the loudest: speech, not pauses."""
    frame = min(round(_FRAME_S * sample_rate), len(samples))
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    return float(np.sqrt(power[power >= power.max() * 1e-4].mean()))
