"""Enhance a file into another, in memory that does not grow with its length."""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from speechduet.audio import Samples, probe, read_blocks, target_format
from speechduet.audio.notices import Notify, warn
from speechduet.audio.recording import Recording, check_strength, mixed
from speechduet.audio.tags import read_tags
from speechduet.audio.writing import write_blocks
from speechduet.enhancement.confidence import (
    DisagreementMap,
    check_compared,
    check_file,
    save_partial,
)
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.recordings import recording_for
from speechduet.enhancement.rewriting import Progress, rewrite_file
from speechduet.sampling import SettingValue

_MIXED_SAMPLES = 1 << 16


def enhance_file(
    source: str | Path,
    target: str | Path,
    enhancer: Enhancer | None = None,
    mode: str = "balanced",
    *,
    strength: float = 1.0,
    seed: int = 0,
    confidence: str | Path | None = None,
    track: int | None = None,
    salvage: bool = False,
    notify: Notify = warn,
    verbose: bool = False,
    progress: Progress | None = None,
    unmixed: BinaryIO | None = None,
    **expert: SettingValue,
) -> float:
    """Enhance a recording from disk to disk, and return its duration in seconds.

    The target's suffix chooses its container; sample rate, channels, length, level, tags and,
    where it can be, the sample format are the source's. It replaces a file of that name, but only
    once it is complete. Without ``enhancer`` the bundled model is loaded. ``confidence`` names a
    .png or .npz file for a map of where the decoders disagree, which appears together with the
    target. ``track`` chooses one of several sound tracks, counted from 1; ``salvage`` enhances
    what a truncated file holds; ``notify`` is called with what is wrong with the source and, if
    ``verbose``, with what the target's container does not keep. ``unmixed`` is given the enhanced
    samples as they were before the input was mixed in, as interleaved float32 at the source's
    rate, so that `mix_file` can write another strength. The rest is as for `Enhancer`.

    Raises AudioError, SettingError or ModelError, and then leaves nothing behind.
    """
    source, target = Path(source), Path(target)
    enhancer = enhancer or Enhancer.from_pretrained()
    sampling = enhancer.sampling(mode, **expert)
    rewrite = partial(
        rewrite_file,
        source,
        target,
        partial(recording_for, enhancer.spectrogram),
        strength=strength,
        track=track,
        salvage=salvage,
        notify=notify,
        verbose=verbose,
        progress=progress,
    )

    def enhanced(
        recording: Recording, disagreements: DisagreementMap | None = None
    ) -> Iterator[Samples]:
        blocks = enhancer.enhanced(
            recording, sampling, seed, disagreements=disagreements, notify=notify
        )
        return blocks if unmixed is None else _copied(blocks, unmixed)

    if confidence is None:
        return rewrite(enhance=enhanced)
    confidence = Path(confidence)
    check_file(confidence)
    check_compared(sampling)
    maps: list[DisagreementMap] = []

    def compared(recording: Recording) -> Iterator[Samples]:
        audible = int(np.count_nonzero(recording.peaks))
        maps.append(
            DisagreementMap(enhancer.segmentation(recording), enhancer.spectrogram, audible)
        )
        return enhanced(recording, maps[0])

    def save(unfinished: Path) -> None:
        save_partial(unfinished, confidence, maps[0].map, enhancer.spectrogram)

    return rewrite(enhance=compared, beside=(confidence, save))


def mix_file(
    source: str | Path,
    target: str | Path,
    unmixed: BinaryIO,
    strength: float,
    *,
    track: int | None = None,
    salvage: bool = False,
) -> None:
    """Write what `enhance_file` would at another strength, from the samples that it has kept.

    Byte for byte the same, without evaluating a network. Raises AudioError or SettingError.
    """
    source, target = Path(source), Path(target)
    check_strength(strength)
    source_format = probe(source, track=track)
    channels = source_format.channels
    samples = unmixed.seek(0, os.SEEK_END) // (4 * channels)
    unmixed.seek(0)
    enhanced = (
        np.frombuffer(data, np.float32).reshape(-1, channels)
        for data in iter(lambda: unmixed.read(_MIXED_SAMPLES * 4 * channels), b"")
    )
    original = read_blocks(source, track=track, salvage=salvage, notify=lambda _: None)
    write_blocks(
        *(target, target_format(source_format, target), mixed(enhanced, original, strength)),
        samples,
        source=source_format,
        tags=read_tags(source, track=track),
        notify=lambda _: None,
    )


def _copied(blocks: Iterable[Samples], file: BinaryIO) -> Iterator[Samples]:
    for block in blocks:
        file.write(np.ascontiguousarray(block, np.float32).tobytes())
        yield block
