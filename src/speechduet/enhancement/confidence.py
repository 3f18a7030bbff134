"""How sure a result is: a confidence for each frame, and a map of where the decoders disagree.

The confidence is made of the energy that was removed from a frame and that which was kept. On
recordings whose clean speech is known it ranks the true errors as well as the disagreement of the
decoders does, and needs no second decoder (docs/results.md).
"""

from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from torch import Tensor

from speechduet.audio import Samples
from speechduet.audio.recording import paired
from speechduet.enhancement.segments import Segmentation
from speechduet.errors import AudioError, SettingError
from speechduet.expected_error import FRAME_S, expected_error
from speechduet.files.atomic import replacing
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram

_FLOOR = 0.01
"""Sum of the two magnitudes below which estimates count as silent and thus as agreeing."""
_PICTURE_FRAMES = 4000

Map = npt.NDArray[np.float32]


def confidence(spectrogram: Spectrogram, result: Tensor, y: Tensor) -> Tensor:
    """``1 / (1 + expected error)`` of each frame, from 0 to 1: ``[batch, 1, 1, frames]``.

    From compressed spectrograms ``[batch, 1, bins, frames]`` of the enhanced and the noisy speech.
    """
    kept, noisy = spectrogram.expanded(result), spectrogram.expanded(y)
    energies = (part.abs().square().sum(-2) for part in (kept, noisy - kept))
    return (1 / (1 + expected_error(*energies)))[:, None, None]


def disagreement(generative: Tensor, predictive: Tensor) -> Tensor:
    """``|G - P| / (|G| + |P|)`` of two estimates of the clean speech: 0 agree, 1 contradict.

    From compressed spectrograms ``[batch, 1, bins, frames]`` at the model's level to
    ``[batch, bins, frames]``.
    """
    magnitude = generative.abs() + predictive.abs()
    return ((generative - predictive).abs() / magnitude.clamp_min(_FLOOR)).squeeze(1)


class MeanConfidence:
    """``1 / (1 + mean expected error)`` of a recording, from its blocks as they pass.

    Frames of 32 ms count by the energy that was kept of them.
    """

    def __init__(self, sample_rate: int) -> None:
        self._length = max(1, round(FRAME_S * sample_rate))
        self._errors = self._kept = 0.0

    def of(self, enhanced: Iterable[Samples], noisy: Iterator[Samples]) -> Iterator[Samples]:
        """The enhanced blocks as they are, while they are compared with the noisy ones."""
        rest: Samples | None = None
        for block, same in paired(enhanced, noisy):
            both = np.stack([block, block - same])
            both = both if rest is None else np.concatenate([rest, both], axis=1)
            frames = both.shape[1] // self._length
            whole, rest = np.split(both, [frames * self._length], axis=1)
            if frames:
                self._add(whole, frames)
            yield block
        if rest is not None and rest.size:
            self._add(rest, 1)

    def _add(self, kept_removed: Samples, frames: int) -> None:
        """Take in two signals ``[2, samples, channels]`` cut into so many frames."""
        squares = np.square(kept_removed, dtype=np.float64)
        kept, removed = squares.reshape(2, frames, -1).sum(-1)
        self._errors += float(kept @ expected_error(kept, removed))
        self._kept += float(kept.sum())

    @property
    def mean(self) -> float | None:
        """From 0 to 1; None where nothing was kept."""
        return self._kept / (self._kept + self._errors) if self._kept else None


class DisagreementMap:
    """The map of a whole recording, put together from its segments; the mean over channels.

    Unlike everything else about a long recording it is held in memory: ``map``,
    ``[bins, frames]`` from 0 to 1, takes 0.5 GB per hour.
    """

    def __init__(self, plan: Segmentation, spectrogram: Spectrogram, channels: int) -> None:
        self.map: Map = np.zeros((spectrogram.bins, spectrogram.frames(plan.samples)), np.float32)
        self._weight = 1 / max(channels, 1)
        self._extents = _extents(plan, spectrogram)

    def add(self, starts: Sequence[int], disagreements: Tensor) -> None:
        """Take in maps ``[batch, bins, frames]`` of segments that start at these samples."""
        for start, part in zip(starts, disagreements.cpu().numpy(), strict=True):
            offset, begin, end = self._extents[start]
            self.map[:, begin:end] += self._weight * part[:, begin - offset : end - offset]


def _extents(plan: Segmentation, spectrogram: Spectrogram) -> dict[int, tuple[int, int, int]]:
    """Of each segment, by its start: the frame it begins at, and those that count of it."""
    borders = [border // spectrogram.hop for border in plan.borders()]
    borders[-1] = spectrogram.frames(plan.samples)
    return {
        start: (start // spectrogram.hop, borders[index], borders[index + 1])
        for index, start in enumerate(plan.starts)
    }


def check_compared(sampling: Sampling) -> None:
    """Raise SettingError if no step of these settings evaluates both decoders."""
    if sampling.steps and (sampling.beta < 1 or (sampling.alpha < 1 and sampling.steps > 1)):
        return
    raise SettingError(
        f"with steps {sampling.steps}, alpha {sampling.alpha} and beta {sampling.beta} "
        "no step evaluates both decoders",
        "a step at which they can be compared",
        "take a mode with a step, such as balanced, and beta below 1",
    )


def save(path: Path, disagreements: Map, spectrogram: Spectrogram) -> None:
    """Write a map ``[bins, frames]`` as a picture (.png) or as numbers (.npz).

    The .npz holds ``map``, ``times_s`` of the frames and ``frequencies_hz`` of the bins.
    """
    with replacing(path, AudioError) as partial:
        save_partial(partial, path, disagreements, spectrogram)


def save_partial(partial: Path, path: Path, disagreements: Map, spectrogram: Spectrogram) -> None:
    """As `save`, into a file that will be called ``path`` once others are complete too.

    Raises AudioError if the disk is full.
    """
    times_s = np.arange(disagreements.shape[1]) * spectrogram.hop / spectrogram.sample_rate
    frequencies_hz = np.fft.rfftfreq(spectrogram.n_fft, 1 / spectrogram.sample_rate)
    try:
        with partial.open("wb") as file:
            if path.suffix.lower() == ".npz":
                np.savez_compressed(
                    file, map=disagreements, times_s=times_s, frequencies_hz=frequencies_hz
                )
            else:
                _picture(file, disagreements, times_s[-1], frequencies_hz[-1])
    except OSError as error:
        raise AudioError(f"cannot write {path}: {error.strerror or error}") from error


def check_file(path: Path) -> None:
    """Raise SettingError if no map can be written under this name."""
    suffix = path.suffix.lower()
    if suffix not in (".png", ".npz"):
        raise SettingError(f"a confidence map in {path.name}", "a .png or .npz file")
    if suffix == ".png" and find_spec("matplotlib") is None:
        raise SettingError(
            "matplotlib, which draws the map, is not installed",
            remedy="pip install matplotlib, or ask for a .npz file",
        )


def _picture(file: IO[bytes], disagreements: Map, end_s: float, end_hz: float) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.add_subplot()
    thinning = 1 + disagreements.shape[1] // _PICTURE_FRAMES
    image = axes.imshow(
        disagreements[:, ::thinning],
        origin="lower",
        aspect="auto",
        extent=(0, max(end_s, 1e-3), 0, end_hz / 1000),
        vmin=0,
        vmax=1,
        cmap="magma_r",
    )
    axes.set_xlabel("time in s")
    axes.set_ylabel("frequency in kHz")
    axes.set_title("Where the decoders disagree")
    figure.colorbar(image, label="disagreement (0 agree, 1 contradict)")
    figure.savefig(file, format="png", dpi=120)
