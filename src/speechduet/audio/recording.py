"""A recording at the model's sample rate, of any length, and the way back to its own rate."""

from collections.abc import Iterable, Iterator
from math import ceil
from typing import BinaryIO

import numpy as np

from speechduet.audio.formats import Samples
from speechduet.audio.offset import without_offset
from speechduet.audio.resampling import resampled
from speechduet.errors import AudioError, SettingError

LARGEST = 1e30
"""Magnitude of a sample: the filters and networks that it goes through stay within float32."""


class Recording:
    """Samples at the model's rate in a file on disk or in memory, any stretch of which is read.

    They are without the recording's direct current (see `without_offset`), unless that is kept.

    Made from blocks ``[samples, channels]`` at their own rate, each of which is seen once, so
    that a long recording takes no more memory than a short one. Raises AudioError if there is no
    sample, or one that is not a number or beyond `LARGEST`.
    """

    def __init__(
        self,
        blocks: Iterable[Samples],
        sample_rate: int,
        model_rate: int,
        storage: BinaryIO,
        name: str = "the waveform",
        keep_offset: bool = False,
    ) -> None:
        if sample_rate < 1:
            raise AudioError(f"{name} has a sample rate of {sample_rate} Hz", "at least 1 Hz")
        self.sample_rate = sample_rate
        self.model_rate = model_rate
        self.samples = 0
        """Length at its own rate."""
        self.channels = 0
        self._storage = storage
        self.name = name
        peaks = np.zeros(1, np.float32)
        checked = self._checked(blocks)
        steady = checked if keep_offset else without_offset(checked, sample_rate)
        for block in resampled(steady, sample_rate, model_rate):
            if len(block):
                peaks = np.maximum(peaks, np.abs(block).max(axis=0))
                storage.write(np.ascontiguousarray(block).data)
        if not self.samples:
            raise AudioError(f"{name} holds no samples", "at least one")
        self.peaks = np.broadcast_to(peaks, self.channels)
        """Largest magnitude of each channel, at the model's rate."""
        self.length = ceil(self.samples * model_rate / sample_rate)
        """Length at the model's rate."""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples / self.sample_rate

    def read(self, start: int, stop: int) -> Samples:
        """Samples at the model's rate, ``[channels, stop - start]``, zero beyond the end."""
        frame = 4 * self.channels
        self._storage.seek(start * frame)
        held = np.frombuffer(self._storage.read((stop - start) * frame), np.float32)
        stretch = np.zeros((stop - start, self.channels), np.float32)
        stretch.reshape(-1)[: held.size] = held
        return stretch.T

    def restored(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        """Blocks at the model's rate -> blocks at the recording's rate, of its exact length."""
        remaining = self.samples
        for block in resampled(blocks, self.model_rate, self.sample_rate):
            yield block[:remaining]
            remaining -= min(remaining, len(block))
        if remaining:
            yield np.zeros((remaining, self.channels), np.float32)

    def _checked(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        for block in blocks:
            usable = (np.abs(block) <= LARGEST).all(axis=1)
            if not usable.all():
                first = int(np.argmin(usable))
                finite = np.isfinite(block[first]).all()
                raise AudioError(
                    f"sample {self.samples + first} of {self.name} is "
                    + (f"beyond {LARGEST:g}" if finite else "NaN or infinite"),
                    "finite samples, full scale at 1",
                )
            self.samples += len(block)
            self.channels = block.shape[1]
            yield block


def check_strength(strength: float) -> None:
    """Raise SettingError unless a strength lies between 0 and 1."""
    value: object = strength  # callers outside the type checker's reach give anything
    if not isinstance(value, int | float | np.number) or not 0 <= strength <= 1:
        raise SettingError(f"strength is {strength}", "0 (input) to 1 (enhanced)")


def mixed(
    enhanced: Iterable[Samples], original: Iterator[Samples], strength: float
) -> Iterator[Samples]:
    """``strength`` of the enhanced blocks and the rest of the original, of whatever block sizes."""
    if strength == 1:
        yield from enhanced
        return
    for block, same in paired(enhanced, original):
        yield strength * block + (1 - strength) * same


def paired(
    blocks: Iterable[Samples], original: Iterator[Samples]
) -> Iterator[tuple[Samples, Samples]]:
    """Each block with the same part of the original, whose blocks may have other sizes."""
    held: Samples | None = None
    for block in blocks:
        while held is None or len(held) < len(block):
            following = next(original)
            held = following if held is None else np.concatenate([held, following])
        yield block, held[: len(block)]
        held = held[len(block) :]
