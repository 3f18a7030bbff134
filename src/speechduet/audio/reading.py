"""Recordings read block by block: any container, rate and number of channels.

libsndfile reads containers of plain samples, FFmpeg (through PyAV) all that is compressed and the
sound of videos. All the sound that is there is read. The caller is notified of what is damaged or
not as the header says; a truncated file is an error unless it is to be salvaged.
"""

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from stat import S_ISDIR, S_ISREG

import numpy as np
import numpy.typing as npt

from speechduet.audio import sndfile_reading
from speechduet.audio.formats import HIGHEST_RATE, AudioFormat, Samples
from speechduet.audio.notices import Notify, warn
from speechduet.audio.stated_length import recordings_in
from speechduet.audio.tracks import check_track
from speechduet.errors import AudioError

_COMPRESSED = ("", "MP3", "FLAC", "OGG")


def probe(path: Path, *, track: int | None = None) -> AudioFormat:
    """The format of a recording, or of one of its sound tracks (counted from 1).

    Raises AudioError for a file that is missing, empty, or not audio, or has no such track, and
    for a rate above `HIGHEST_RATE`.
    """
    _check_readable(path)
    audio_format = _format_of(path, track)
    if audio_format.sample_rate > HIGHEST_RATE:
        raise AudioError(
            f"{path} states a rate of {audio_format.sample_rate:,} Hz",
            f"{HIGHEST_RATE:,} Hz at most",
            "its header is damaged",
        )
    return audio_format


def _format_of(path: Path, track: int | None) -> AudioFormat:
    # libsndfile's MP3 decoder writes to stderr what it does not like.
    with_ffmpeg = find_spec("av") is not None
    known = None if with_ffmpeg and _may_be_mp3(path) else sndfile_reading.format_of(path)
    if known is None:
        if not with_ffmpeg:
            raise AudioError(
                f"{path} is nothing that libsndfile reads, and PyAV is not installed",
                "WAV, FLAC, Ogg, AIFF, CAF or another container that libsndfile knows",
                "pip install 'av<19'",
            )
        from speechduet.audio import ffmpeg_reading

        return ffmpeg_reading.format_of(path, track)
    if known.container == "OGG" and track not in (None, 1) and with_ffmpeg:
        from speechduet.audio import ffmpeg_reading

        chosen = ffmpeg_reading.format_of(path, track)
        return replace(known, sample_rate=chosen.sample_rate, channels=chosen.channels)
    check_track(path, 1, track)
    return known


def read_blocks(
    path: Path, *, track: int | None = None, salvage: bool = False, notify: Notify = warn
) -> Iterator[Samples]:
    """The samples of a recording, in blocks ``[samples, channels]``.

    ``track`` chooses one of several sound tracks, counted from 1; ``salvage`` gives what a
    truncated or damaged file holds instead of an error; ``notify`` learns what is not as it
    should be.

    Raises AudioError for a file that is missing, empty, not audio, or truncated.
    """
    audio_format = probe(path, track=track)
    # soundfile seeks after each block, and libsndfile's MP3 decoder then loses its thread.
    compressed = audio_format.container in _COMPRESSED or audio_format.subtype == "MPEG_LAYER_III"
    # A bare machine that only trains may lack PyAV; libsndfile then reads what it can.
    if compressed and (not audio_format.container or find_spec("av") is not None):
        from speechduet.audio.compressed import compressed_blocks

        blocks = compressed_blocks(path, audio_format, track, salvage, notify)
    else:
        blocks = sndfile_reading.blocks_of(path, salvage, notify)
    yield from (block for block in blocks if len(block))


def read(
    path: Path | str,
    *,
    track: int | None = None,
    salvage: bool = False,
    notify: Notify = warn,
) -> tuple[Samples, int]:
    """A whole recording, ``[channels, samples]``, and its sample rate in Hz.

    The rest is as for `read_blocks`.
    """
    path = Path(path)
    audio_format = probe(path, track=track)
    blocks = list(read_blocks(path, track=track, salvage=salvage, notify=notify))
    if not blocks:
        raise AudioError(f"{path} holds no samples", "at least one")
    return np.ascontiguousarray(np.concatenate(blocks).T), audio_format.sample_rate


def read_mono(path: Path | str) -> tuple[npt.NDArray[np.float64], int]:
    """A recording of one channel, ``[samples]`` in the precision of metrics, and its rate in Hz.

    Raises AudioError for several channels; the rest is as for `read`.
    """
    samples, sample_rate = read(path)
    if len(samples) != 1:
        raise AudioError(f"{path} has {len(samples)} channels", "one", "score each channel")
    return samples[0].astype(np.float64), sample_rate


def _check_readable(path: Path) -> None:
    try:
        mode = path.stat().st_mode
        # Before it is opened: at a pipe that would wait for who writes to it.
        if not S_ISREG(mode) and not S_ISDIR(mode):
            raise AudioError(
                f"{path} is not a regular file", remedy="write what it holds to a file first"
            )
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise AudioError(f"cannot read {path}: {error.strerror or error}") from error
    if empty:
        raise AudioError(f"{path} is empty (0 bytes)", "an audio file")
    if path.suffix.lower() == ".raw":
        raise AudioError(f"{path} has no header", "a file that states its rate", "convert to wav")


def _may_be_mp3(path: Path) -> bool:
    with path.open("rb") as file:
        view, promise = next(recordings_in(file, path.stat().st_size))
        view.seek(0)
        head = view.read(3)
    mp3 = head == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")
    return promise is None and mp3
