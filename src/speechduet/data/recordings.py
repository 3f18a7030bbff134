"""Folders of recordings, held in memory as 16-bit samples, with a sampling weight each."""

import fnmatch
from collections.abc import Mapping, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechduet import audio
from speechduet.attempt import Attempt
from speechduet.audio.folders import find_recordings
from speechduet.audio.notices import Notify, warn
from speechduet.data import findings as found
from speechduet.data.findings import Findings
from speechduet.data.mono import (
    Samples,
    check_finite,
    has_offset,
    is_heard,
    resampled,
    sounding,
    without_offset,
)
from speechduet.errors import AudioError, SettingError

_FULL_SCALE = 32768
_CUT_OFF_SHARE = 1e-3
"""Share of samples at full scale from which a recording looks cut off there."""

_MANY = 1000
"""Recordings that take longer to read than people wait without a word."""


class _Held(NamedTuple):
    """16-bit samples, and what one step of them is worth."""

    steps: NDArray[np.int16]
    step: np.float32

    def samples(self, start: int = 0, count: int | None = None) -> Samples:
        """All of them, or ``count`` from ``start`` on as far as there are any."""
        stop = None if count is None else start + count
        return self.steps[start:stop].astype(np.float32) * self.step


class Recordings:
    """All recordings below a folder at one sample rate; of several channels the first with sound.

    ``weights`` maps patterns of file names to how often such a file is drawn *per second of
    audio*; the first match counts, and what matches none has weight 1. SettingError if none of the
    patterns matches, or if nothing would be drawn. Whatever has 16 bits is
    held as it is, all else in 65,535 steps of its own peak, so that nothing is too quiet and
    nothing too loud; a constant offset is taken out. ``notify`` learns in a line per kind what is
    odd: silence, other sample rates, files that cannot be used and are left out. Raises AudioError
    if no recording can be used, or if all are silent.
    """

    def __init__(
        self,
        folder: Path | str,
        sample_rate: int,
        weights: Mapping[str, float] | None = None,
        notify: Notify = warn,
    ) -> None:
        paths = _drawn(find_recordings(Path(folder)), folder, weights or {}, notify)
        findings = Findings(str(folder), len(paths))
        if len(paths) >= _MANY:
            notify(f"reading {len(paths)} recordings in {folder}")
        self.names: list[str] = []
        self._held: list[_Held] = []
        for path in paths:
            # One bad file is left out, whatever decoders raise for it, and the others are read.
            with Attempt(path.name) as attempt:
                self._held.append(_hold(path, sample_rate, findings))
                self.names.append(path.stem)
            if attempt.failure:
                findings.add(found.LEFT_OUT, attempt.failure)
        if not self._held:
            raise AudioError(
                f"none of the {len(paths)} recordings in {folder} can be used",
                remedy=findings.first(found.LEFT_OUT),
            )
        if findings.count(found.SILENT) == len(self._held):
            raise AudioError(f"all {len(self._held)} recordings in {folder} are silent", "sound")
        findings.report(notify)
        shares = [
            len(held.steps) * _weight(name, weights or {})
            for name, held in zip(self.names, self._held, strict=True)
        ]
        self._cumulative = np.cumsum(shares) / np.sum(shares)

    @property
    def samples(self) -> int:
        """Of all recordings together."""
        return sum(len(held.steps) for held in self._held)

    def split(self, share: float) -> "tuple[Recordings, Recordings]":
        """The same recordings up to a share of each, and from there on; at least a sample each."""
        parts = copy(self), copy(self)
        held = [(one, round(share * len(one.steps))) for one in self._held]
        parts[0]._held = [_Held(one.steps[: max(place, 1)], one.step) for one, place in held]
        # From the end, so that a single sample is in both.
        parts[1]._held = [
            _Held(one.steps[min(place - len(one.steps), -1) :], one.step) for one, place in held
        ]
        return parts

    def draw(self, random: np.random.Generator) -> Samples:
        """One whole recording, float32; as loud as it is."""
        return self._drawn_from(random).samples()

    def at(self, place: float) -> Samples:
        """The recording at a place in [0, 1) of the list, float32; as loud as it is."""
        return self._held[int(place * len(self._held))].samples()

    def excerpt(self, random: np.random.Generator, length: int, pause: int) -> Samples:
        """``length`` samples: a random stretch, or short recordings joined by pauses of silence.

        A pause lasts up to ``pause`` samples.
        """
        out = np.zeros(length, dtype=np.float32)
        position = -int(random.integers(0, pause + 1)) if pause else 0
        while position < length:
            recording = self._drawn_from(random)
            offset = int(random.integers(0, max(1, len(recording.steps) - length + 1)))
            start = max(position, 0)
            # Of long recordings little is needed.
            piece = recording.samples(offset + start - position, length - start)
            out[start : start + len(piece)] = piece
            position = start + len(piece) + (int(random.integers(0, pause + 1)) if pause else 0)
        return out

    def _drawn_from(self, random: np.random.Generator) -> _Held:
        return self._held[int(np.searchsorted(self._cumulative, random.random(), side="right"))]


def _drawn(
    paths: Sequence[Path], folder: Path | str, weights: Mapping[str, float], notify: Notify
) -> list[Path]:
    """Those that are ever drawn: reading the others would take minutes for nothing."""
    if not paths:
        raise AudioError(f"no recording in {folder}", "a folder of recordings")
    names = [path.stem for path in paths]
    unused = [pattern for pattern in weights if not fnmatch.filter(names, pattern)]
    if unused:
        message = f"weights of {', '.join(map(repr, unused))} match no recording in {folder}"
        if len(unused) == len(weights):
            raise SettingError(message, "patterns of names without suffix, such as 'talk_*'")
        notify(message)
    drawn = [path for path in paths if _weight(path.stem, weights)]
    if not drawn:
        raise SettingError(f"the weights of all recordings in {folder} are 0", "more for some")
    return drawn


def _hold(path: Path, sample_rate: int, findings: Findings) -> _Held:
    channels, rate = audio.read(path, salvage=True, notify=partial(findings.add, found.SHORTENED))
    which = sounding(channels)
    if which:
        findings.add(found.OTHER_CHANNEL, f"{path.name}: channel {which + 1}")
    samples = channels[which]
    check_finite(samples, path)
    if has_offset(samples):
        findings.add(found.OFFSET, path.name)
        samples = without_offset(samples, rate)
    _find(samples, path.name, findings)
    if rate != sample_rate:
        kind = found.RESAMPLED if rate > sample_rate else found.NARROW
        findings.add(kind.format(f"{sample_rate} Hz"), f"{path.name}: {rate} Hz")
        samples = resampled(samples, rate, sample_rate)
        if not len(samples):
            raise AudioError(f"{path} holds no samples at {sample_rate} Hz", "at least one")
    return _in_steps(samples)


def _find(samples: Samples, name: str, findings: Findings) -> None:
    magnitudes = np.abs(samples)
    peak = float(magnitudes.max())
    if not is_heard(samples):
        findings.add(found.SILENT, name)
    elif peak > 1:
        findings.add(found.LOUD, f"{name}: {peak:.3g}")
    elif np.mean(magnitudes >= 1 - 1 / _FULL_SCALE) > _CUT_OFF_SHARE:
        findings.add(found.CUT_OFF, name)


def _in_steps(samples: Samples) -> _Held:
    steps = samples * np.float32(_FULL_SCALE)
    whole = np.rint(steps)
    if np.array_equal(steps, whole) and -_FULL_SCALE <= steps.min() <= steps.max() < _FULL_SCALE:
        return _Held(whole.astype(np.int16), np.float32(1 / _FULL_SCALE))
    # Not below the smallest normal number, or what is all but zero would be divided by zero.
    step = max(np.float32(np.abs(samples).max() / (_FULL_SCALE - 1)), np.finfo(np.float32).tiny)
    return _Held(np.rint(samples / step).astype(np.int16), step)


def _weight(name: str, weights: Mapping[str, float]) -> float:
    return next((w for pattern, w in weights.items() if fnmatch.fnmatch(name, pattern)), 1.0)
