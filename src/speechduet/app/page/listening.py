"""What the page lets a user hear and see of a job that is done: one file of sound, pictures."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from speechduet.app.job import Job
from speechduet.app.page.pictures import Levels, draw_levels, draw_unsure
from speechduet.audio import Samples, probe, read_blocks
from speechduet.audio.resampling import resampled

SOUND = "sound.flac"
UNSURE = "unsure.png"
PICTURES = ("noisy.png", "enhanced.png", "removed.png")
_LOWEST_RATE, _HIGHEST_RATE = 8_000, 48_000
"""Rates in Hz that every browser plays."""


class Listening(NamedTuple):
    """What was made of a recording for the page."""

    duration_s: float
    end_hz: float
    """The highest frequency in the pictures."""
    sample_rate: int
    """The recording's own, in Hz."""
    channels: int
    has_map: bool


def page_folder(job: Job) -> Path:
    """The folder for what the page shows of a job; it goes when the job's files go."""
    folder = job.folder / "page"
    folder.mkdir(exist_ok=True)
    return folder


def prepare(job: Job, check: Callable[[], None]) -> Listening:
    """Write what the page plays and shows of a job that has kept its ``unmixed`` samples.

    `SOUND` has two channels, the noisy recording and its enhanced speech, each the mean of all
    channels: one player then mixes and switches between them without losing its place. ``check``
    is called now and then, and what it raises ends the work.
    """
    assert job.unmixed is not None
    folder = page_folder(job)
    source = probe(job.source)
    rate = min(max(source.sample_rate, _LOWEST_RATE), _HIGHEST_RATE)
    samples = job.unmixed.stat().st_size // (4 * source.channels) * rate // source.sample_rate
    levels = Levels(samples, rate, 3)
    written = 0
    with soundfile.SoundFile(folder / SOUND, "w", rate, 2, "PCM_16", format="FLAC") as sound:
        pairs = _pairs(job.source, job.unmixed, source.channels, job.request.salvage)
        for pair in resampled(pairs, source.sample_rate, rate):
            check()
            sound.write(pair.clip(-1, 1))
            levels.push(np.c_[pair, pair[:, 0] - pair[:, 1]])
            written += len(pair)
    pictures = levels.finish()
    loudest = float(max(level.max() for level in pictures))
    draw_levels(pictures, [folder / name for name in PICTURES], loudest)
    if job.confidence is not None:
        with np.load(job.confidence) as stored:
            end_hz = float(stored["frequencies_hz"][-1])
            draw_unsure(stored["map"], end_hz, rate, folder / UNSURE)
    return Listening(
        written / rate, rate / 2, source.sample_rate, source.channels, job.confidence is not None
    )


def _pairs(source: Path, unmixed: Path, channels: int, salvage: bool) -> Iterator[Samples]:
    """The means over the channels of the recording and of the enhanced one, ``[samples, 2]``."""
    with unmixed.open("rb") as file:
        for block in read_blocks(source, salvage=salvage, notify=lambda _: None):
            data = file.read(4 * block.size)
            enhanced = np.frombuffer(data, np.float32).reshape(-1, channels)
            yield np.stack([block[: len(enhanced)].mean(axis=1), enhanced.mean(axis=1)], axis=1)
