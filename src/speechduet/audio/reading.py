"""Recordings read block by block: any container, rate and number of channels.

soundfile reads what it knows, PyAV the rest (m4a, the sound of a video, ...). A file that holds
less sound than its header promises is an error and not a shorter recording; MP3 and Ogg make no
promise that could be relied on.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soundfile as sf
from av.error import FFmpegError

from speechduet.audio.formats import LENGTH_UNKNOWN, AudioFormat, Samples
from speechduet.audio.notices import Notify, warn
from speechduet.errors import AudioError

_BLOCK = 1 << 16


def probe(path: Path, *, track: int | None = None) -> AudioFormat:
    """The format of a recording, or of one of its sound tracks (counted from 1).

    Raises AudioError for a file that is missing, empty, or not audio.
    """
    _check_readable(path)
    try:
        with sf.SoundFile(path) as file:
            return AudioFormat(file.samplerate, file.channels, file.format, file.subtype)
    except sf.LibsndfileError:
        pass
    frame = next(_frames(path), None)
    if frame is None:
        raise AudioError(f"{path} holds no sound", "at least one sample")
    subtype = "PCM_24" if frame.format.name.startswith("s32") else "PCM_16"
    return AudioFormat(frame.sample_rate, frame.layout.nb_channels, "", subtype)


def read_blocks(
    path: Path, *, track: int | None = None, salvage: bool = False, notify: Notify = warn
) -> Iterator[Samples]:
    """The samples of a recording, in blocks ``[samples, channels]``.

    ``track`` chooses one of several sound tracks, counted from 1; ``salvage`` gives what a
    truncated or damaged file holds instead of an error; ``notify`` learns what is not as it
    should be.

    Raises AudioError for a file that is missing, empty, not audio, damaged, or truncated.
    """
    # soundfile seeks after each block, and libsndfile's MP3 decoder then loses its thread.
    if probe(path, track=track).container in ("", "MP3"):
        yield from map(_as_samples, _frames(path))
        return
    with sf.SoundFile(path) as file:
        _check_whole(path, file)
        read = 0
        while True:
            try:
                block = file.read(_BLOCK, dtype="float32", always_2d=True)
            except sf.LibsndfileError as error:
                raise _truncated(path, read, file.frames, file.samplerate) from error
            if not len(block):
                break
            read += len(block)
            yield block
        if file.format == "FLAC" and read < file.frames:
            raise _truncated(path, read, file.frames, file.samplerate)


def read(path: Path | str) -> tuple[Samples, int]:
    """A whole recording, ``[channels, samples]``, and its sample rate in Hz."""
    path = Path(path)
    audio_format = probe(path)
    blocks = list(read_blocks(path))
    if not blocks:
        raise AudioError(f"{path} holds no sound", "at least one sample")
    return np.ascontiguousarray(np.concatenate(blocks).T), audio_format.sample_rate


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            empty = not file.read(1) if path.is_file() else False
    except OSError as error:
        raise AudioError(f"cannot read {path}: {error.strerror or error}") from error
    if not path.is_file():
        raise AudioError(f"{path} is not a regular file", remedy="use - to read a stream")
    if empty:
        raise AudioError(f"{path} is empty (0 bytes)", "an audio file")
    if path.suffix.lower() == ".raw":
        raise AudioError(f"{path} has no header", "a file that states its rate", "convert to wav")


def _check_whole(path: Path, file: sf.SoundFile) -> None:
    # libsndfile shortens a file that promises too much, and says so only in its log.
    for promised, found in re.findall(
        r"(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", file.extra_info
    ):
        if int(found) < int(promised) < LENGTH_UNKNOWN:
            raise _truncated(
                path,
                file.frames,
                round(file.frames * int(promised) / max(int(found), 1)),
                file.samplerate,
            )


def _truncated(path: Path, found: int, promised: int, sample_rate: float) -> AudioError:
    return AudioError(
        f"{path} is truncated: {found / sample_rate:.2f} s of sound can be read",
        f"the {promised / sample_rate:.2f} s that its header promises",
        "copy it again, or convert what there is to a whole file first",
    )


def _frames(path: Path) -> Iterator[av.AudioFrame]:
    """The frames of the first sound stream, all of one rate and number of channels."""
    try:
        # An absolute path, for a relative one with a colon would be taken for a protocol.
        with av.open(str(path.absolute())) as container:
            if not container.streams.audio:
                raise AudioError(f"{path} has no sound in it", "an audio file")
            stream = container.streams.audio[0]
            first, read = None, 0
            for frame in container.decode(stream):
                kind = (frame.sample_rate, frame.layout.nb_channels)
                first = first or kind
                if kind != first:
                    raise AudioError(
                        f"{path} changes from {first} to {kind} (Hz, channels) midway",
                        "one rate and number of channels",
                    )
                read += frame.samples
                yield frame
            # Only this family of containers keeps an index that states the length.
            indexed = "mp4" in container.format.name
            if first and indexed and stream.duration and stream.time_base:
                promised = round(float(stream.duration * stream.time_base) * first[0])
                if read < promised - first[0] / 2:
                    raise _truncated(path, read, promised, first[0])
    except FFmpegError as error:
        raise AudioError(
            f"{path} is not audio, or is damaged ({error.strerror})",
            "a file that soundfile or FFmpeg can read",
        ) from error


def _as_samples(frame: av.AudioFrame) -> Samples:
    values: npt.NDArray[Any] = frame.to_ndarray()
    channels = frame.layout.nb_channels
    columns = values.T if frame.format.is_planar else values.reshape(-1, channels)
    if columns.dtype == np.uint8:
        columns = (columns - 128.0) / 128
    elif columns.dtype.kind == "i":
        columns = columns / -float(np.iinfo(columns.dtype).min)
    return np.ascontiguousarray(columns, dtype=np.float32)
