"""Audio files, read and written block by block: any container, rate and number of channels.

Samples are float32 ``[samples, channels]``, full scale at 1. soundfile reads what it knows, PyAV
the rest (m4a, the sound of a video, ...). A file that holds less sound than its header promises
is an error and not a shorter recording; MP3 and Ogg make no promise that could be relied on.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soundfile as sf
from av.error import FFmpegError

from speechduet.errors import AudioError

Samples = npt.NDArray[np.float32]

_BLOCK = 1 << 16
_CONTAINERS = {
    ".wav": "WAV",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".oga": "OGG",
    ".opus": "OGG",
    ".mp3": "MP3",
    ".aif": "AIFF",
    ".aiff": "AIFF",
    ".au": "AU",
    ".caf": "CAF",
    ".w64": "W64",
    ".rf64": "RF64",
}
WRITABLE_SUFFIXES = tuple(_CONTAINERS)
READABLE_SUFFIXES = (
    *WRITABLE_SUFFIXES,
    *(".m4a", ".m4b", ".aac", ".wma", ".amr", ".ac3", ".ape", ".wv", ".tta"),
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".3gp", ".mka"),
)
"""Suffixes by which recordings are found in a folder; a file named outright may have any."""

_PCM_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24}
LENGTH_UNKNOWN = 0x7FFFF000
"""Lengths from here on are what programs write into a header that they cannot go back to."""


@dataclass(frozen=True)
class AudioFormat:
    """How a recording is stored; container and subtype as soundfile names them.

    The container is empty for what only PyAV reads; such a subtype is the nearest PCM.
    """

    sample_rate: int
    channels: int
    container: str = "WAV"
    subtype: str = "PCM_16"


def probe(path: Path) -> AudioFormat:
    """The format of a recording.

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


def read_blocks(path: Path) -> Iterator[Samples]:
    """The samples of a recording, in blocks ``[samples, channels]``.

    Raises AudioError for a file that is missing, empty, not audio, damaged, or truncated.
    """
    # soundfile seeks after each block, and libsndfile's MP3 decoder then loses its thread.
    if probe(path).container in ("", "MP3"):
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


def target_format(source: AudioFormat, target: Path) -> AudioFormat:
    """How to store a recording under the target's name: as its source was, where that can be.

    Raises AudioError if the name's suffix stands for no container that can be written.
    """
    container = _CONTAINERS.get(target.suffix.lower())
    if container is None:
        raise AudioError(
            f"cannot write {target.suffix or 'a file without suffix'}: {target}",
            "one of " + " ".join(WRITABLE_SUFFIXES),
        )
    lossless = source.subtype.startswith(("PCM", "FLOAT", "DOUBLE"))
    if target.suffix.lower() == ".opus":
        subtype = "OPUS"
    elif (lossless or source.container == container) and sf.check_format(container, source.subtype):
        subtype = source.subtype
    elif container in ("OGG", "MP3"):
        subtype = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}[container]
    else:
        deep = source.subtype in ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")
        subtype = "PCM_24" if deep else "PCM_16"
    return AudioFormat(source.sample_rate, source.channels, container, subtype)


def writable_suffix(source: Path) -> str:
    """The suffix of an output made from this file: its own if it can be written, else .wav."""
    suffix = source.suffix.lower()
    return suffix if suffix in _CONTAINERS else ".wav"


def write_blocks(
    path: Path, audio_format: AudioFormat, blocks: Iterable[Samples], samples: int = 0
) -> None:
    """Write blocks ``[samples, channels]``; the file appears under its name only when complete.

    PCM is rounded and clipped, never wrapped. ``samples``, if known, decides whether a wav file
    needs 64-bit lengths. Raises AudioError if the place or the format cannot be written.
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


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to; the file takes its real name at the end, or is gone after an error."""
    if path.exists() and not path.is_file():
        raise AudioError(f"{path} is not a file", "the name of a file to write")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.touch()
        except OSError as error:
            raise AudioError(f"cannot write {path}: {error.strerror or error}") from error
        yield partial
        partial.replace(path)
    finally:
        # It is not there after all went well, and its folder may be none.
        with suppress(OSError):
            partial.unlink()


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
