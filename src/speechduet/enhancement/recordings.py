"""A recording through a model, segment by segment, whatever it is that evaluates the model."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from speechduet.audio import Samples
from speechduet.audio.recording import Recording
from speechduet.enhancement.segments import Segmentation
from speechduet.errors import SettingError

EnhanceBatch = Callable[[Samples, Sequence[int]], Samples]
"""Enhances segments ``[batch, samples]`` of peak 1 that start at these samples."""


class Transform(Protocol):
    """What a recording has to know of a model's spectrogram."""

    @property
    def sample_rate(self) -> int:
        """The model's, in Hz."""

    @property
    def published(self) -> bool:
        """Whether it is made as published: with the direct current."""


def recording_for(
    transform: Transform,
    blocks: Iterable[Samples],
    sample_rate: int,
    storage: BinaryIO,
    name: str = "the waveform",
) -> Recording:
    """Blocks ``[samples, channels]``, kept as a model reads them; see `Recording`."""
    model_rate, published = transform.sample_rate, transform.published
    return Recording(blocks, sample_rate, model_rate, storage, name, keep_offset=published)


def enhanced_recording(
    recording: Recording, plan: Segmentation, size: int, enhance: EnhanceBatch
) -> Iterator[Samples]:
    """Blocks ``[samples, channels]`` at the recording's own rate; ``size`` segments at once."""
    segments = _segments(recording, plan, size, enhance)
    return recording.restored(block.T for block in plan.join(segments))


LOUDEST = 100.0
"""No speech in a segment of peak 1 is that loud: what is has diverged."""


def bounded(enhanced: Samples) -> NDArray[np.bool_]:
    """Of each segment ``[batch, samples]``, whether it is finite and no louder than `LOUDEST`."""
    found: NDArray[np.bool_] = np.all(np.abs(enhanced) <= LOUDEST, axis=-1)  # NaN is not
    return found


def check_finite(enhanced: Samples) -> None:
    """Raise SettingError if what came out of a reverse process is not finite.

    What is only too loud may be that of a model at the beginning of its training.
    """
    if not np.isfinite(enhanced).all():
        raise SettingError(
            "the reverse process left all bounds",
            "settings with which it converges",
            "take fewer corrector steps, a lower corrector_snr, or the mode's own settings",
        )


def _segments(
    recording: Recording, plan: Segmentation, size: int, enhance: EnhanceBatch
) -> Iterator[Samples]:
    """The enhanced segments ``[channels, length]`` in order."""
    segment = np.zeros((recording.channels, plan.length), np.float32)
    audible = [int(channel) for channel in np.flatnonzero(recording.peaks)]
    if not audible:
        # Silence stays silence, and never reaches the network.
        yield from (segment for _ in plan.starts)
        return
    jobs = [(start, channel) for start in plan.starts for channel in audible]
    for first in range(0, len(jobs), size):
        batch = jobs[first : first + size]
        starts = [start for start, _ in batch]
        noisy = [_read(recording, start, plan.length)[c] for start, c in batch]
        peaks = np.array([[recording.peaks[c]] for _, c in batch])
        clean = enhance(np.stack(noisy) / peaks, starts)
        for (_, channel), piece in zip(batch, clean * peaks, strict=True):
            segment[channel] = piece
            if channel == audible[-1]:
                yield segment
                segment = np.zeros_like(segment)


def _read(recording: Recording, start: int, length: int) -> Samples:
    """A segment ``[channels, length]``; beyond the recording's end, its mirror image."""
    there = min(length, recording.length - start)
    # As one piece is continued, so that the end is the same however a recording is cut.
    return np.pad(recording.read(start, start + there), ((0, 0), (0, length - there)), "reflect")
