"""Pictures without axes or margins, over which the page shows the place of the sound."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from speechduet.audio import Samples
from speechduet.extras import missing
from speechduet.picture import DYNAMIC_RANGE_DB, level_db

COLUMNS = 1200
"""Most columns of a picture; those of a long recording are means of several frames."""
_PIECE_FRAMES = 4096
_UNSURE = (0.0, 0.9, 1.0)
"""A colour that the spectrograms do not have."""

Values = npt.NDArray[np.float32]


class Levels:
    """The level of waveforms over time and frequency, of any length, in at most `COLUMNS`.

    ``samples`` is how many there will be of each waveform.
    """

    def __init__(self, samples: int, sample_rate: int, waveforms: int) -> None:
        self._sample_rate = sample_rate
        self._hop = sample_rate * 8 // 1000
        self._frames = 1 + samples // self._hop
        columns = min(self._frames, COLUMNS)
        bins = 1 + sample_rate * 16 // 1000
        self._power = np.zeros((waveforms, bins, columns), np.float32)
        self._counts = np.zeros(columns, np.int64)
        self._held = np.zeros((0, waveforms), np.float32)
        self._done = 0

    def push(self, block: Samples) -> None:
        """Take in samples ``[samples, waveforms]``."""
        self._held = np.concatenate([self._held, block])
        piece = _PIECE_FRAMES * self._hop
        # What is left over is not empty, for the last piece has a frame more.
        while len(self._held) > piece:
            self._add(self._held[:piece], _PIECE_FRAMES)
            self._held = self._held[piece:]

    def finish(self) -> list[Values]:
        """The levels in dB, ``[bins, columns]`` of each waveform."""
        if len(self._held):
            self._add(self._held, 1 + len(self._held) // self._hop)
        mean = self._power / np.maximum(self._counts, 1)
        return list(10 * np.log10(np.maximum(mean, 1e-20)))

    def _add(self, piece: Samples, frames: int) -> None:
        columns = self._power.shape[2]
        place = (self._done + np.arange(frames)) * columns // self._frames
        self._done += frames
        place = np.minimum(place, columns - 1)
        starts = np.flatnonzero(np.diff(place, prepend=-1))
        self._counts[place[starts]] += np.diff([*starts, frames])
        for power, waveform in zip(self._power, piece.T, strict=True):
            level = level_db(torch.from_numpy(waveform.copy()), self._sample_rate)
            frame_power = 10 ** (level[:, :frames].numpy() / 10)
            power[:, place[starts]] += np.add.reduceat(frame_power, starts, axis=1)


def draw_levels(levels: Sequence[Values], paths: Sequence[Path], loudest: float) -> None:
    """Write levels in dB as pictures (.png) on one colour scale, whose top is ``loudest``."""
    for level, path in zip(levels, paths, strict=True):
        _write(path, level - loudest, cmap="magma", vmin=-DYNAMIC_RANGE_DB, vmax=0)


def draw_unsure(disagreements: Values, end_hz: float, sample_rate: int, path: Path) -> None:
    """Write a map of `DisagreementMap` to be laid over a picture of a recording at this rate.

    It is transparent where the decoders agree. ``end_hz`` is the frequency of its last bin.
    """
    bins, frames = disagreements.shape
    columns = min(frames, COLUMNS)
    starts = np.arange(columns) * frames // columns
    means = np.add.reduceat(disagreements, starts, axis=1) / np.diff([*starts, frames])
    rows = max(1, round(bins * sample_rate / 2 / end_hz))
    picture = np.zeros((rows, columns, 4), np.float32)
    picture[..., :3] = _UNSURE
    shared = min(rows, bins)
    picture[:shared, :, 3] = means[:shared].clip(0, 1)
    _write(path, picture)


def _write(path: Path, values: npt.NDArray[np.floating], **scale: Any) -> None:
    try:
        from matplotlib.image import imsave
    except ImportError as error:
        raise missing(error, "matplotlib", "app") from error
    imsave(path, values, origin="lower", **scale)
