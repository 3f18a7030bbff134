"""Enhance a file into another, in memory that does not grow with its length."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
from typing_extensions import Unpack

from speechduet.audio import Samples, probe, read_blocks, target_format, write_blocks
from speechduet.audio.notices import Notify, warn
from speechduet.audio.recording import Recording, check_strength, mixed
from speechduet.confidence import Comparison, check_compared, check_file, save
from speechduet.enhancer import Enhancer, Expert
from speechduet.errors import AudioError

Progress = Callable[[float, float], None]
"""Told how many seconds are done, of how many."""


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
    progress: Progress | None = None,
    **expert: Unpack[Expert],
) -> float:
    """Enhance a recording from disk to disk, and return its duration in seconds.

    The target's suffix chooses its container; sample rate, channels, length, level and, where it
    can be, the sample format are the source's. It replaces a file of that name, but only once it
    is complete. Without ``enhancer`` the bundled model is loaded. ``confidence`` names a .png or
    .npz file for a map of where the decoders disagree. ``track`` chooses one of several sound
    tracks, counted from 1; ``salvage`` enhances what a truncated file holds; ``notify`` learns
    what is not as it should be. The rest is as for `Enhancer`.

    Raises AudioError, SettingError or ModelError, and then leaves nothing behind.
    """
    source, target = Path(source), Path(target)
    enhancer = enhancer or Enhancer.from_pretrained()
    sampling = enhancer.sampling(mode, **expert)
    check_strength(strength)
    if confidence is not None:
        confidence = Path(confidence)
        check_file(confidence)
        check_compared(sampling)
    source_format = probe(source, track=track)
    written_format = target_format(source_format, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, for /tmp may be small or in memory; it has no name to leave behind.
        with TemporaryFile(dir=target.parent) as storage:
            recording = enhancer.recording(
                read_blocks(source, track=track, salvage=salvage, notify=notify),
                source_format.sample_rate,
                storage,
                str(source),
            )
            comparison = None
            if confidence is not None:
                comparison = Comparison(
                    enhancer.segmentation(recording),
                    enhancer.spectrogram,
                    int(np.count_nonzero(recording.peaks)),
                )
            blocks = enhancer.enhanced(recording, sampling, seed, comparison=comparison)
            original = read_blocks(source, track=track, salvage=salvage, notify=lambda _: None)
            blocks = mixed(blocks, original, strength)
            blocks = _watched(blocks, recording, progress)
            write_blocks(target, written_format, blocks, recording.samples, notify=notify)
    except OSError as error:
        raise AudioError(f"cannot write {target}: {error.strerror or error}") from error
    if confidence is not None and comparison is not None:
        save(confidence, comparison.map, enhancer.spectrogram)
    return recording.duration_s


def _watched(
    blocks: Iterable[Samples], recording: Recording, progress: Progress | None
) -> Iterator[Samples]:
    done = 0
    for block in blocks:
        yield block
        done += len(block)
        if progress is not None:
            progress(done / recording.sample_rate, recording.duration_s)
