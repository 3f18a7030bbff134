"""Recordings written block by block; a file appears under its name only when it is complete."""

import os
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile as sf

from speechduet.audio.formats import AudioFormat, Samples, target_format
from speechduet.audio.layouts import layout_of
from speechduet.audio.levels import Limiter
from speechduet.audio.loudspeakers import as_stored
from speechduet.audio.notices import Notify, warn
from speechduet.audio.resampling import resampled
from speechduet.audio.tag_writing import needs_mask, write_tags
from speechduet.audio.tags import NO_TAGS, Tags
from speechduet.errors import AudioError
from speechduet.files.atomic import replacing
from speechduet.names import shown

_BYTES = {"PCM_S8": 1, "PCM_U8": 1, "ULAW": 1, "ALAW": 1, "PCM_16": 2, "PCM_24": 3, "DOUBLE": 8}
_MOST_BYTES = (1 << 32) - (1 << 24)
"""Bytes of samples that a file with 32-bit lengths has room for, beside its headers and tags."""


def write_blocks(
    path: Path,
    audio_format: AudioFormat,
    blocks: Iterable[Samples],
    samples: int = 0,
    *,
    source: AudioFormat | None = None,
    partial: Path | None = None,
    tags: Tags = NO_TAGS,
    notify: Notify = warn,
    verbose: bool = False,
) -> None:
    """Write blocks ``[samples, channels]``; the file appears under its name only when complete.

    PCM is rounded and clipped, never wrapped. ``samples``, if known, decides whether a wav file
    needs 64-bit lengths. ``source`` is the format of the recording behind the blocks, whose rate
    is theirs. ``partial`` is a file to write to in place of ``path``, whose name the caller will
    give it (see `replacing_together`). ``notify`` learns what the file cannot hold: samples beyond
    full scale, the source's rate and, if ``verbose``, its sample format and some of its ``tags``.
    Raises AudioError if the place or the format cannot be written, or if there are no samples.
    """
    source = source or audio_format
    audio_format = _with_room(audio_format, samples, path, needs_mask(tags, audio_format))
    rate = audio_format.sample_rate
    limiter = Limiter(audio_format.subtype)
    with replacing(path, AudioError) if partial is None else nullcontext(partial) as place:
        with _opened(place, audio_format, path) as file:
            for block in _at_rate(blocks, source.sample_rate, rate):
                _append(file, as_stored(limiter(block), audio_format.container), path)
            written = file.frames
        if not written:  # In FLAC or MP3 it would not even be a file of that kind.
            raise AudioError(f"there are no samples for {path}", "one at least")
        if audio_format.container == "AIFF":
            _state_length(place, written)
        lost = write_tags(place, audio_format, tags.at_rate(rate / source.sample_rate), path)
    if account := limiter.account():
        notify(f"{path}: {account}")
    if rate != source.sample_rate:
        notify(
            f"{path}: {source.sample_rate} Hz, which {audio_format.subtype} cannot hold, became "
            f"{rate} Hz ({written:,} samples)"
        )
    if verbose:
        if _stored_otherwise(source, audio_format):
            notify(f"{path}: samples are stored as {audio_format.subtype}, not as {source.subtype}")
        if lost:
            notify(f"{path}: {audio_format.container} does not keep {shown(', '.join(lost))}")


def write(
    path: Path | str,
    samples: Samples,
    sample_rate: int,
    subtype: str = "PCM_16",
    *,
    partial: Path | None = None,
) -> None:
    """Write a whole recording ``[channels, samples]`` or ``[samples]``; see `write_blocks`."""
    columns = np.atleast_2d(samples).T
    source = AudioFormat(sample_rate, columns.shape[1], "", subtype)
    audio_format = target_format(source, Path(path))
    write_blocks(
        *(Path(path), audio_format, [columns], len(columns)), source=source, partial=partial
    )


def _state_length(place: Path, samples: int) -> None:
    """The right length in AIFF, where libsndfile counts the byte that makes an odd size even."""
    with place.open("r+b") as file:
        layout = layout_of(file, place.stat().st_size)
        if layout is None or layout.size == samples * layout.block:
            return
        for field in layout.fields[1:]:  # The first is of the file, the even byte included.
            file.seek(field.place)
            file.write(field.encode(samples * layout.block))


def _stored_otherwise(source: AudioFormat, audio_format: AudioFormat) -> bool:
    """Whether the sample formats differ, where both name one: compressed sound has none."""
    named = {source.container, audio_format.container} & {"", "MP3", "OGG"}
    return source.subtype != audio_format.subtype and not named


def _with_room(
    audio_format: AudioFormat, samples: int, path: Path, needs_mask: bool
) -> AudioFormat:
    """The format in a container with room for this many samples, and for a channel mask."""
    width = _BYTES.get(audio_format.subtype, 4) * audio_format.channels
    large = samples * width > _MOST_BYTES
    if large and audio_format.container in ("AIFF", "AU"):
        raise AudioError(
            f"{path} would be larger than 4 GB",
            f"less in {audio_format.container}",
            "choose another format, such as wav, flac or caf",
        )
    if audio_format.container == "WAV" and (large or needs_mask):
        return replace(audio_format, container="RF64" if large else "WAVEX")
    return audio_format


def _opened(partial: Path, audio_format: AudioFormat, path: Path) -> sf.SoundFile:
    try:
        return sf.SoundFile(
            os.fsencode(partial),  # its folder may have a name that is not UTF-8
            "w",
            audio_format.sample_rate,
            audio_format.channels,
            audio_format.subtype,
            format=audio_format.container,
        )
    except sf.LibsndfileError as error:
        # libsndfile says "System error" for this, and much the same for a format it cannot write.
        _check_writable(partial, path)
        raise AudioError(
            f"{audio_format.container} with {audio_format.subtype} cannot hold "
            f"{audio_format.channels} channels at {audio_format.sample_rate} Hz: {path}",
            remedy="choose another format, such as wav",
        ) from error


def _check_writable(partial: Path, path: Path) -> None:
    """AudioError if the new file itself cannot be opened, whatever is to be written to it."""
    try:
        with partial.open("r+b"):
            pass
    except OSError as error:
        raise AudioError(
            f"cannot write {path}: the new file for it cannot be opened ({error.strerror})",
            remedy="look at umask, which takes permissions from new files"
            if isinstance(error, PermissionError)
            else "",
        ) from error


def _at_rate(blocks: Iterable[Samples], from_rate: int, to_rate: int) -> Iterator[Samples]:
    """Blocks at another rate: of the nearest length in seconds, and at least one sample."""
    if from_rate == to_rate:
        yield from blocks
        return
    given = made = channels = 0
    held: Samples | None = None

    def counted() -> Iterator[Samples]:
        nonlocal given, channels
        for block in blocks:
            given += len(block)
            channels = block.shape[1]
            yield block

    for block in resampled(counted(), from_rate, to_rate):
        if not len(block):
            continue
        if held is not None:
            made += len(held)
            yield held
        held = block
    if held is not None or given:
        held = np.zeros((0, channels), np.float32) if held is None else held
        rest = max(1, round(given * to_rate / from_rate)) - made
        yield np.pad(held, ((0, max(0, rest - len(held))), (0, 0)))[:rest]


def _append(file: sf.SoundFile, block: Samples, path: Path) -> None:
    try:
        file.write(block)
    except (sf.SoundFileError, AssertionError) as error:
        # soundfile merely asserts that all was written, as on a full disk it is not.
        raise AudioError(f"cannot write {path}: the disk is full or has failed") from error
