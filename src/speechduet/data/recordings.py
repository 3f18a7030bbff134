"""Folders of recordings, held in memory as 16-bit samples, with a sampling weight each."""

import fnmatch
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from speechduet.errors import AudioError

SUFFIXES = (".flac", ".wav", ".ogg", ".opus")
Samples = NDArray[np.float32]
_FULL_SCALE = np.float32(32768)


class Recordings:
    """All mono recordings below a folder at one sample rate.

    ``weights`` maps patterns of file names to how often such a file is drawn *per second of
    audio*; the first match counts, and what matches none has weight 1.
    """

    def __init__(
        self, folder: Path | str, sample_rate: int, weights: Mapping[str, float] | None = None
    ) -> None:
        paths = sorted(p for p in Path(folder).rglob("*") if p.suffix in SUFFIXES)
        if not paths:
            raise AudioError(
                f"no recording ({', '.join(SUFFIXES)}) in {folder}", "a folder of recordings"
            )
        self.names = [path.stem for path in paths]
        self._samples = [_read(path, sample_rate) for path in paths]
        shares = [
            len(samples) * _weight(name, weights or {})
            for name, samples in zip(self.names, self._samples, strict=True)
        ]
        self._cumulative = np.cumsum(shares) / np.sum(shares)

    @property
    def duration_samples(self) -> int:
        """Total length."""
        return sum(len(samples) for samples in self._samples)

    def draw(self, random: np.random.Generator) -> Samples:
        """One whole recording, float32 in [-1, 1]."""
        index = int(np.searchsorted(self._cumulative, random.random(), side="right"))
        return self._samples[index].astype(np.float32) / _FULL_SCALE

    def at(self, place: float) -> Samples:
        """The recording at a place in [0, 1) of the list, float32 in [-1, 1]."""
        return self._samples[int(place * len(self._samples))].astype(np.float32) / _FULL_SCALE

    def excerpt(self, random: np.random.Generator, length: int, pause: int) -> Samples:
        """So many samples: a random stretch, or short recordings joined by pauses of silence.

        A pause lasts up to ``pause`` samples.
        """
        out = np.zeros(length, dtype=np.float32)
        position = -int(random.integers(0, pause + 1)) if pause else 0
        while position < length:
            recording = self.draw(random)
            offset = int(random.integers(0, max(1, len(recording) - length + 1)))
            start = max(position, 0)
            piece = recording[offset + start - position :][: length - start]
            out[start : start + len(piece)] = piece
            position = start + len(piece) + (int(random.integers(0, pause + 1)) if pause else 0)
        return out


def _read(path: Path, sample_rate: int) -> NDArray[np.int16]:
    try:
        samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"cannot read {path} ({error.error_string})", "a recording") from error
    if rate != sample_rate:
        raise AudioError(
            f"{path} has {rate} Hz", f"{sample_rate} Hz", "resample the training set first"
        )
    if not len(samples):
        raise AudioError(f"{path} holds no samples", "at least one")
    mono: NDArray[np.int16] = samples[:, 0].copy()
    return mono


def _weight(name: str, weights: Mapping[str, float]) -> float:
    return next((w for pattern, w in weights.items() if fnmatch.fnmatch(name, pattern)), 1.0)
