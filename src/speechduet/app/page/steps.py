"""The reverse process step by step, as pictures."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from speechduet.app.page.pictures import Values, draw_levels
from speechduet.audio import Samples, probe, read_blocks
from speechduet.enhancement.enhancer import Enhancer
from speechduet.spectrogram import Spectrogram

SECONDS = 8.0
"""How much of a recording is shown step by step."""
PARTS = {
    "state": "State, noise included",
    "generative": "Generative decoder’s estimate",
    "predictive": "Predictive decoder’s estimate",
    "result": "Result if one stopped here",
}


class DrawnStep(NamedTuple):
    """One reverse step in pictures."""

    number: int
    time: float
    parts: tuple[str, ...]
    """The keys of `PARTS` of which there is a picture: not every step needs both decoders."""


def step_picture(number: int, part: str) -> str:
    """The name of the picture of a part of a step."""
    return f"step-{number}-{part}.png"


def stepping_mode(enhancer: Enhancer, mode: str) -> str | None:
    """The given mode if it takes reverse steps, or else another that does; None if none does."""
    modes = enhancer.pretrained.modes
    return next((name for name in (mode, *modes) if modes[name].steps), None)


def draw_steps(
    enhancer: Enhancer, recording: Path, mode: str, steps: int, salvage: bool, folder: Path
) -> Iterator[DrawnStep]:
    """Draw each reverse step of the beginning of a recording, as it happens.

    Of its first `SECONDS`, the mean of its channels, with seed 0. All pictures have one colour
    scale, whose top is the loudest point of the first step's result.
    """
    sample_rate = probe(recording).sample_rate
    waveform = _beginning(recording, salvage, round(SECONDS * sample_rate))
    loudest = None
    for step in enhancer.stream(waveform, sample_rate, mode, steps=steps):
        values = {part: getattr(step, part) for part in PARTS}
        levels = {
            part: _level(value, enhancer.spectrogram)
            for part, value in values.items()
            if value is not None
        }
        if loudest is None:
            loudest = float(levels["result"].max())
        paths = [folder / step_picture(step.number, part) for part in levels]
        draw_levels(list(levels.values()), paths, loudest)
        yield DrawnStep(step.number, step.time, tuple(levels))


def _beginning(recording: Path, salvage: bool, samples: int) -> Samples:
    """The mean over the channels, ``[samples]``, of as many as there are."""
    blocks, read = [], 0
    for block in read_blocks(recording, salvage=salvage, notify=lambda _: None):
        blocks.append(block.mean(axis=1))
        read += len(block)
        if read >= samples:
            break
    return np.concatenate(blocks)[:samples]


def _level(compressed: Tensor, transform: Spectrogram) -> Values:
    """The level in dB of a compressed spectrogram, ``[1, 1, bins, frames]``."""
    magnitude = (compressed[0, 0].abs().cpu() / transform.factor).clamp_min(1e-4)
    level: Values = (20 / transform.exponent * magnitude.log10()).numpy()
    return level
