"""Enhance a file into another, in memory that does not grow with its length."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from speechduet.audio import Samples
from speechduet.audio.notices import Notify, warn
from speechduet.audio.recording import Recording
from speechduet.enhancement.confidence import (
    DisagreementMap,
    check_compared,
    check_file,
    save_partial,
)
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.rewriting import Progress, rewrite_file
from speechduet.sampling import SettingValue


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
    **expert: SettingValue,
) -> float:
    """Enhance a recording from disk to disk, and return its duration in seconds.

    The target's suffix chooses its container; sample rate, channels, length, level, tags and,
    where it can be, the sample format are the source's. It replaces a file of that name, but only
    once it is complete. Without ``enhancer`` the bundled model is loaded. ``confidence`` names a
    .png or .npz file for a map of where the decoders disagree, which appears together with the
    target. ``track`` chooses one of several sound tracks, counted from 1; ``salvage`` enhances
    what a truncated file holds; ``notify`` is called with what is wrong with the source and, if
    ``verbose``, with what the target's container does not keep. The rest is as for `Enhancer`.

    Raises AudioError, SettingError or ModelError, and then leaves nothing behind.
    """
    source, target = Path(source), Path(target)
    enhancer = enhancer or Enhancer.from_pretrained()
    sampling = enhancer.sampling(mode, **expert)
    rewrite = partial(
        rewrite_file,
        source,
        target,
        enhancer.recording,
        strength=strength,
        track=track,
        salvage=salvage,
        notify=notify,
        verbose=verbose,
        progress=progress,
    )
    if confidence is None:
        return rewrite(enhance=partial(enhancer.enhanced, sampling=sampling, seed=seed))
    confidence = Path(confidence)
    check_file(confidence)
    check_compared(sampling)
    maps: list[DisagreementMap] = []

    def compared(recording: Recording) -> Iterator[Samples]:
        audible = int(np.count_nonzero(recording.peaks))
        maps.append(
            DisagreementMap(enhancer.segmentation(recording), enhancer.spectrogram, audible)
        )
        return enhancer.enhanced(recording, sampling, seed, disagreements=maps[0])

    def save(unfinished: Path) -> None:
        save_partial(unfinished, confidence, maps[0].map, enhancer.spectrogram)

    return rewrite(enhance=compared, beside=(confidence, save))
