"""What a recording is: format, length, level, clipping, tags, tracks, damage."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechduet.audio.reading import probe, read_blocks
from speechduet.audio.tags import read_tags

_FULL = 1 - 2**-15
"""From here on a sample is at full scale, of whatever sample format."""
_RUN = 3
"""Samples in a row at full scale that count as clipped: a peak alone may just touch it."""


@dataclass(frozen=True)
class SoundFacts:
    """What is known of a recording once it has been read; levels in dB, full scale is 0."""

    file: str
    bytes: int
    container: str
    """As soundfile names it, or else as FFmpeg does."""
    sample_format: str
    sample_rate: int
    channels: int
    tracks: int
    """Sound tracks; all else is said of the one that was read."""
    duration_s: float
    samples: int
    silent_channels: int
    peak_db: float | None
    """None for silence."""
    level_db: float | None
    """Of the root mean square over all channels."""
    clipped: float
    """Share of samples that lie in a row of at least three at full scale."""
    tags: dict[str, str]
    notices: tuple[str, ...]
    """What is damaged, or not as the header says."""


def inspect(path: Path, *, track: int | None = None) -> SoundFacts:
    """Read a recording once, in little memory, whatever a damaged one still holds.

    Raises AudioError for a file that is missing, empty, or not audio, or has no such track.
    """
    source = probe(path, track=track)
    notices: list[str] = []
    samples = clipped = 0
    power = 0.0
    peaks = np.zeros(source.channels)
    run = np.zeros(source.channels, np.int64)
    for block in read_blocks(path, track=track, salvage=True, notify=notices.append):
        magnitude = np.abs(block)
        samples += len(block)
        power += float(np.square(block, dtype=np.float64).sum())
        peaks = np.maximum(peaks, magnitude.max(axis=0, initial=0))
        if peaks.max() >= _FULL:
            some, run = _clipped(magnitude >= _FULL, run)
            clipped += some
    container, tracks = _container(path, source.container)
    peak, count = peaks.max(initial=0), max(samples * source.channels, 1)
    return SoundFacts(
        *(str(path), path.stat().st_size, container, source.subtype),
        *(source.sample_rate, source.channels, tracks),
        *(samples / source.sample_rate, samples, int((peaks == 0).sum())),
        peak_db=_decibels(peak**2),
        level_db=_decibels(power / count),
        clipped=clipped / count,
        tags=dict(read_tags(path, track=track).common),
        notices=tuple(notices),
    )


def _clipped(
    full: "np.typing.NDArray[np.bool_]", run: "np.typing.NDArray[np.int64]"
) -> tuple[int, "np.typing.NDArray[np.int64]"]:
    """How many samples of a block ``[samples, channels]`` are clipped; the rows that go on.

    ``run`` is how long the row at the end of the block before was, in each channel.
    """
    count = 0
    following = run.copy()
    for channel in range(full.shape[1]):
        edges = np.flatnonzero(np.diff(np.r_[False, full[:, channel], False].astype(np.int8)))
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            before = int(run[channel]) if start == 0 else 0
            if before + stop - start >= _RUN:
                count += stop - start + (before if before < _RUN else 0)
        at_end = len(edges) and edges[-1] == len(full)
        whole = len(edges) == 2 and edges[0] == 0
        length = edges[-1] - edges[-2] if at_end else 0
        following[channel] = length + (run[channel] if at_end and whole else 0)
    return count, following


def _container(path: Path, known: str) -> tuple[str, int]:
    """The container's name, and how many sound tracks it has."""
    if known not in ("", "OGG"):
        return known, 1
    from speechduet.audio.ffmpeg_reading import opened

    with opened(path) as container:
        return known or container.format.name, len(container.streams.audio)


def _decibels(power: float) -> float | None:
    return float(10 * np.log10(power)) if power > 0 else None
