"""Enhance a file into another, in memory that does not grow with its length."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple

import numpy as np

from speechduet.audio import AudioFormat, Samples, probe, read_blocks, target_format
from speechduet.audio.notices import Notify, warn
from speechduet.audio.recording import Recording, check_strength, mixed
from speechduet.audio.tags import Tags, read_tags
from speechduet.audio.writing import write_blocks
from speechduet.enhancement.confidence import (
    DisagreementMap,
    check_compared,
    check_file,
    save_partial,
)
from speechduet.enhancement.enhancer import Enhancer
from speechduet.errors import AudioError
from speechduet.files.atomic import check_replaceable, replacing_together
from speechduet.sampling import SettingValue

_MIXED_SAMPLES = 1 << 16

Progress = Callable[[float, float], None]
"""Called with the seconds that are done, and of how many; before the first are, with 0 and the
seconds that have been read. What it raises ends the work, and nothing is left behind."""


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
    check_strength(strength)
    check_replaceable(target, AudioError)
    picture = None if confidence is None else Path(confidence)
    if picture is not None:
        check_file(picture)
        check_compared(sampling)
    plan = _Plan.of(source, target, track, salvage)
    # Last comes the target, by which a batch knows that this recording is done.
    outputs = [target] if picture is None else [picture, target]
    with replacing_together(outputs, AudioError) as partials, _storage(target) as storage:
        blocks, rate = plan.blocks(notify), plan.source_format.sample_rate
        recording = enhancer.recording(_read(blocks, rate, progress), rate, storage, str(source))
        disagreements = None if picture is None else _empty_map(enhancer, recording)
        enhanced = enhancer.enhanced(recording, sampling, seed, disagreements=disagreements)
        if unmixed is not None:
            enhanced = _copied(enhanced, unmixed)
        blocks = mixed(enhanced, plan.blocks(lambda _: None), strength)
        write_blocks(
            *(target, plan.target_format, _watched(blocks, recording, progress), recording.samples),
            source=plan.source_format,
            partial=partials[-1],
            tags=plan.tags,
            notify=notify,
            verbose=verbose,
        )
        if picture is not None and disagreements is not None:
            save_partial(partials[0], picture, disagreements.map, enhancer.spectrogram)
    return recording.duration_s


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
    plan = _Plan.of(source, target, track, salvage)
    channels = plan.source_format.channels
    samples = unmixed.seek(0, os.SEEK_END) // (4 * channels)
    unmixed.seek(0)
    enhanced = (
        np.frombuffer(data, np.float32).reshape(-1, channels)
        for data in iter(lambda: unmixed.read(_MIXED_SAMPLES * 4 * channels), b"")
    )
    write_blocks(
        *(target, plan.target_format, mixed(enhanced, plan.blocks(lambda _: None), strength)),
        samples,
        source=plan.source_format,
        tags=plan.tags,
        notify=lambda _: None,
    )


class _Plan(NamedTuple):
    """What is read and written, as far as the source's header says it."""

    source: Path
    track: int | None
    salvage: bool
    source_format: AudioFormat
    target_format: AudioFormat
    tags: Tags

    @classmethod
    def of(cls, source: Path, target: Path, track: int | None, salvage: bool) -> "_Plan":
        """AudioError if the source cannot be read, or the target not hold what it has."""
        found = probe(source, track=track)
        written = target_format(found, target)
        return cls(source, track, salvage, found, written, read_tags(source, track=track))

    def blocks(self, notify: Notify) -> Iterator[Samples]:
        """The source's samples, from the beginning."""
        return read_blocks(self.source, track=self.track, salvage=self.salvage, notify=notify)


def _empty_map(enhancer: Enhancer, recording: Recording) -> DisagreementMap:
    sounding = int(np.count_nonzero(recording.peaks))
    return DisagreementMap(enhancer.segmentation(recording), enhancer.spectrogram, sounding)


@contextmanager
def _storage(target: Path) -> Iterator[BinaryIO]:
    """A file beside the target, for /tmp may be small or in memory; it has no name to leave.

    Raises AudioError if it cannot be written, as on a full disk.
    """
    try:
        with TemporaryFile(dir=target.parent) as storage:
            yield storage
    except OSError as error:
        raise AudioError(f"cannot write {target}: {error.strerror or error}") from error


def _copied(blocks: Iterable[Samples], file: BinaryIO) -> Iterator[Samples]:
    for block in blocks:
        file.write(np.ascontiguousarray(block, np.float32).tobytes())
        yield block


def _read(
    blocks: Iterable[Samples], sample_rate: int, progress: Progress | None
) -> Iterator[Samples]:
    read = 0
    for block in blocks:
        read += len(block)
        if progress is not None:
            progress(0.0, read / sample_rate)
        yield block


def _watched(
    blocks: Iterable[Samples], recording: Recording, progress: Progress | None
) -> Iterator[Samples]:
    done = 0
    for block in blocks:
        yield block
        done += len(block)
        if progress is not None:
            progress(done / recording.sample_rate, recording.duration_s)
