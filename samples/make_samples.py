"""Makes the bundled samples: text-to-speech in synthetic noise, 16 kHz.

    python samples/make_samples.py

needs espeak-ng. Every random number is seeded, so the same espeak-ng gives the same files.
"""

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

Waveform = NDArray[np.float64]

FOLDER = Path(__file__).parent
SAMPLE_RATE = 16_000
PEAK = 0.5


class Sample(NamedTuple):
    """One mixture: who says what, in which noise, how loud."""

    name: str
    voice: str
    words_per_minute: int
    text: str
    noise: Callable[[np.random.Generator, int], Waveform]
    snr_db: float


def speak(voice: str, words_per_minute: int, text: str) -> Waveform:
    """The text spoken by a voice of espeak-ng, without the silence around it."""
    command = ["espeak-ng", "--stdout", "-v", voice, "-s", str(words_per_minute), text]
    spoken = subprocess.run(command, check=True, capture_output=True).stdout
    waveform, sample_rate = soundfile.read(io.BytesIO(spoken))
    loud = np.flatnonzero(np.abs(waveform) > 1e-3)
    waveform = waveform[loud[0] : loud[-1] + 1]
    resampled: Waveform = soxr.resample(waveform, sample_rate, SAMPLE_RATE)
    return resampled


def shaped_noise(rng: np.random.Generator, samples: int, gain: Callable[..., Waveform]) -> Waveform:
    """White noise whose spectrum is multiplied by ``gain(frequency in Hz)``, of unit variance."""
    frequencies = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.standard_normal(samples)) * gain(frequencies)
    noise: Waveform = np.fft.irfft(spectrum, samples)
    noise /= noise.std()
    return noise


def pink(frequencies: Waveform) -> Waveform:
    """Falls by 3 dB per octave above 50 Hz."""
    return 1 / np.sqrt(np.maximum(frequencies, 50.0))


def in_a_room(rng: np.random.Generator, dry: Waveform, rt60_s: float) -> Waveform:
    """The sound in a small furnished room, and with less of a synthesiser's treble."""
    times = np.arange(int(rt60_s * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(times.size) * 10 ** (-3 * times / rt60_s)
    tail[: SAMPLE_RATE // 500] = 0  # the first reflection comes after 2 ms
    response = 0.35 * tail / np.linalg.norm(tail)
    response[0] = 1
    length = dry.size + times.size
    frequencies = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    treble = 1 / np.sqrt(1 + (frequencies / 3_500) ** 2)
    wet = np.fft.irfft(np.fft.rfft(dry, length) * np.fft.rfft(response, length) * treble, length)
    return wet[: dry.size]


def rain(rng: np.random.Generator, samples: int) -> Waveform:
    """A steady hiss, and drops that ring shortly where they fall."""
    hiss = shaped_noise(rng, samples, lambda f: np.sqrt(f / (1 + (f / 3_000) ** 2)))
    drops = np.zeros(samples)
    ring = np.arange(400) / SAMPLE_RATE
    for start in rng.integers(samples - ring.size, size=40 * samples // SAMPLE_RATE):
        tone = np.sin(2 * np.pi * rng.uniform(1_500, 5_000) * ring) * np.exp(-ring * 300)
        drops[start : start + ring.size] += rng.uniform(0.5, 4.0) * tone
    return hiss + drops


def street(rng: np.random.Generator, samples: int) -> Waveform:
    """Traffic: a rumble, and two cars that pass."""
    rumble = shaped_noise(rng, samples, lambda f: pink(f) ** 2.5)
    times = np.arange(samples) / samples
    passing = sum(np.exp(-(((times - centre) / 0.15) ** 2)) for centre in (0.3, 0.8))
    return 1.2 * rumble + passing * shaped_noise(rng, samples, pink)


def workshop(rng: np.random.Generator, samples: int) -> Waveform:
    """Mains hum with harmonics, and the fan of a machine."""
    times = np.arange(samples) / SAMPLE_RATE
    phases = rng.uniform(0, 2 * np.pi, 12)
    harmonics = np.arange(1, 13)
    hum = np.sin(2 * np.pi * 50 * np.outer(harmonics, times) + phases[:, None])
    blades = 1 + 0.4 * np.sin(2 * np.pi * 17 * times)
    noise: Waveform = (hum / harmonics[:, None]).sum(axis=0)
    return noise + blades * shaped_noise(rng, samples, pink)


def cafe(rng: np.random.Generator, samples: int) -> Waveform:
    """Six synthetic guests who talk at once in a reverberant place."""
    voices = ("en-us+f2", "en-gb+m1", "en-gb-x-rp+f4", "en-us+m4", "en-gb-scotland+f1", "en-us+m7")
    text = (
        "the soup came late again so we talked about the weather, the trains, and who would "
        "water the plants in August while everybody else was at the lake with the children"
    )
    babble = np.zeros(samples)
    for voice in voices:
        talk = speak(voice, int(rng.integers(150, 190)), " ".join(rng.permutation(text.split())))
        talk = np.resize(np.roll(talk, int(rng.integers(talk.size))), samples)
        babble += in_a_room(rng, talk / talk.std(), rt60_s=0.6)
    return babble + 0.6 * shaped_noise(rng, samples, pink)


TRAIN = "The train to the coast leaves at half past nine."
PARCEL = "Please leave the parcel with my neighbour upstairs."
MEASURE = "We measured every part twice before we cut it."
SPOON = "Could you bring another spoon and two glasses?"
SAMPLES = (
    Sample("rain", "en-gb-x-rp+f3", 165, TRAIN, rain, 5.0),
    Sample("street", "en-us+m3", 160, PARCEL, street, 0.0),
    Sample("workshop", "en-gb+f2", 160, MEASURE, workshop, 2.5),
    Sample("cafe", "en-us+m1", 160, SPOON, cafe, 7.5),
)


def mix(sample: Sample, rng: np.random.Generator) -> tuple[Waveform, Waveform]:
    """Clean and noisy speech of one length, the louder of both at the peak level."""
    pause = np.zeros(SAMPLE_RATE // 4)
    spoken = np.concatenate((pause, speak(*sample[1:4]), pause))
    clean = in_a_room(rng, spoken, rt60_s=0.2)
    noise = sample.noise(rng, clean.size)
    noise *= np.linalg.norm(clean) / np.linalg.norm(noise) * 10 ** (-sample.snr_db / 20)
    level = PEAK / max(np.abs(clean).max(), np.abs(clean + noise).max())
    return level * clean, level * (clean + noise)


def main() -> None:
    for seed, sample in enumerate(SAMPLES):
        pair = mix(sample, np.random.default_rng(seed))
        for folder, waveform in zip(("clean", "noisy"), pair, strict=True):
            path = FOLDER / folder / f"{sample.name}.flac"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, waveform, SAMPLE_RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
