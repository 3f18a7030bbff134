"""Recordings written block by block; a file appears under its name only when it is complete."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile as sf

from speechduet.audio.atomic import replacing
from speechduet.audio.formats import AudioFormat, Samples, target_format
from speechduet.audio.notices import Notify, warn
from speechduet.errors import AudioError

_PCM_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24}


def write_blocks(
    path: Path,
    audio_format: AudioFormat,
    blocks: Iterable[Samples],
    samples: int = 0,
    *,
    notify: Notify = warn,
) -> None:
    """Write blocks ``[samples, channels]``; the file appears under its name only when complete.

    PCM is rounded and clipped, never wrapped. ``samples``, if known, decides whether a wav file
    needs 64-bit lengths. ``notify`` learns what the file cannot hold. Raises AudioError if the
    place or the format cannot be written.
    """
    container = audio_format.container
    if container == "WAV" and samples * audio_format.channels * 8 > 1 << 32:
        container = "RF64"
    with replacing(path) as partial:
        try:
            file = sf.SoundFile(
                partial,
                "w",
                audio_format.sample_rate,
                audio_format.channels,
                audio_format.subtype,
                format=container,
            )
        except sf.LibsndfileError as error:
            raise AudioError(
                f"{container} with {audio_format.subtype} cannot hold {audio_format.channels} "
                f"channels at {audio_format.sample_rate} Hz: {path}",
                remedy="choose another format, such as wav",
            ) from error
        with file:
            for block in blocks:
                _append(file, _rounded(block, audio_format.subtype), path)


def write(path: Path | str, samples: Samples, sample_rate: int, subtype: str = "PCM_16") -> None:
    """Write a whole recording ``[channels, samples]`` or ``[samples]``."""
    columns = np.atleast_2d(samples).T
    source = AudioFormat(sample_rate, columns.shape[1], "", subtype)
    write_blocks(Path(path), target_format(source, Path(path)), [columns], len(columns))


def _rounded(block: Samples, subtype: str) -> Samples:
    # libsndfile cuts off what is below the last bit; rounding it here keeps the mean.
    if subtype not in _PCM_BITS:
        return block
    steps = np.float32(2 ** (_PCM_BITS[subtype] - 1))
    rounded: Samples = np.clip(np.rint(block * steps), -steps, steps - 1) / steps
    return rounded


def _append(file: sf.SoundFile, block: Samples, path: Path) -> None:
    try:
        file.write(block)
    except (sf.SoundFileError, AssertionError) as error:
        # soundfile merely asserts that all was written, as on a full disk it is not.
        raise AudioError(f"cannot write {path}: the disk is full or has failed") from error
