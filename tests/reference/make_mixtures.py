#!/usr/bin/env python3
"""Write mixtures.safetensors: samples of mixtures of every kind, for the test of their values.

    python tests/reference/make_mixtures.py

To be run when mixing is meant to change, and after no other change: a run that is resumed then
goes on with other examples than it would have had.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from safetensors.numpy import save_file

from speechduet.data import Mixing, Mixtures, Recordings

HERE = Path(__file__).parent
RATE = 16_000
EVERY = 97
"""Of so many samples one is kept."""

PLAIN = Mixing(excerpt_s=0.5, second_noise=0, coloured_noise=0, babble=0)
KINDS = {
    "plain": PLAIN,
    "coloured": replace(PLAIN, coloured_noise=1.0),
    "babble": replace(PLAIN, babble=1.0),
    "murmur": replace(PLAIN, murmur=1.0),
    "second": replace(PLAIN, second_noise=1.0),
    "rumble": replace(PLAIN, rumble=1.0),
    "reverberant": replace(PLAIN, reverberation=1.0),
    "clipped": replace(PLAIN, clipping=1.0),
    "limited": replace(PLAIN, band_limit=1.0, band_limit_target=0.5),
    "default": Mixing(excerpt_s=0.5),
}


def write_recordings(folder: Path) -> None:
    """Speech that comes and goes, noise, and a room, from a fixed seed."""
    random = np.random.default_rng(0)
    for name, seconds in (("speech/a", 2.0), ("speech/b", 0.7), ("noise/a", 1.5), ("noise/b", 3.0)):
        samples = 0.2 * random.standard_normal(round(seconds * RATE))
        if name.startswith("speech"):
            samples *= np.sin(np.arange(len(samples)) * 2 * np.pi * 3 / RATE).clip(0.001)
        else:
            samples = np.convolve(samples, np.ones(8) / 8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{name}.flac", samples, RATE)
    (folder / "rooms").mkdir()
    decay = 0.1 * np.exp(-np.arange(4000) / 800) * random.standard_normal(4000)
    decay[0] = 0.9
    soundfile.write(folder / "rooms/hall.flac", decay, RATE)


def mixture_values() -> dict[str, NDArray[np.float32]]:
    """Clean and noisy samples ``[examples, 2, samples]`` of three examples of each kind."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_recordings(folder)
        speech, noise, rooms = (
            Recordings(folder / kind, RATE) for kind in ("speech", "noise", "rooms")
        )
        values = {}
        for kind, settings in KINDS.items():
            made = Mixtures(speech, noise, settings, RATE, seed=5, rooms=rooms)
            examples = np.array([made.example(index) for index in range(3)], np.float32)
            values[kind] = examples[..., ::EVERY].copy()
        return values


if __name__ == "__main__":
    save_file(mixture_values(), HERE / "mixtures.safetensors")
