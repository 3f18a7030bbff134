"""Rooms that do not exist: impulse responses by the image source method."""

from pathlib import Path

import numpy as np

from speechduet import audio
from speechduet.data.mono import Samples
from speechduet.extras import missing

_HEADROOM = 0.9
_WALL_M = 0.5


def simulate(folder: Path, count: int, seed: int, sample_rate: int) -> None:
    """Write the responses of a number of random rooms to a folder; what is there is kept.

    Shoeboxes of 3-10 m by 3-8 m by 2.5-4 m that reverberate for 0.2-0.8 s, with a talker and a
    microphone at random places. Needs pyroomacoustics, or raises SettingError.
    """
    for index in range(count):
        path = folder / f"room_{index:04d}.wav"
        if not path.exists():
            impulse = _impulse(np.random.default_rng([seed, index]), sample_rate)
            audio.write(path, impulse * (_HEADROOM / np.abs(impulse).max()), sample_rate, "PCM_24")


def _impulse(random: np.random.Generator, sample_rate: int) -> Samples:
    try:
        from pyroomacoustics import Material, ShoeBox, inverse_sabine
    except ImportError as error:
        raise missing(error, "pyroomacoustics", "rooms") from error
    size_m = random.uniform((3, 3, 2.5), (10, 8, 4))
    volume, (x, y, z) = float(np.prod(size_m)), size_m
    # Below this time no wall could absorb enough (Sabine).
    shortest_s = 0.161 * volume / (2 * (x * y + y * z + x * z))
    absorption, reflections = inverse_sabine(
        max(random.uniform(0.2, 0.8), 1.1 * shortest_s), size_m
    )
    room = ShoeBox(
        size_m,
        fs=sample_rate,
        materials=Material(absorption),
        max_order=reflections,
    )
    room.add_source(random.uniform(_WALL_M, size_m - _WALL_M))
    room.add_microphone(random.uniform(_WALL_M, size_m - _WALL_M))
    room.compute_rir()
    return np.asarray(room.rir[0][0], np.float32)
