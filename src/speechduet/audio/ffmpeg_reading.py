"""What FFmpeg reads through PyAV: compressed sound, and the sound of videos.

A packet that cannot be decoded costs its own sound only, silence stands for it; time stamps are
followed where a container has them (`speechduet.audio.timeline`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError

from speechduet.audio.byte_view import ByteView, whole
from speechduet.audio.conforming import Conformer, change_remark
from speechduet.audio.declared_size import has_index
from speechduet.audio.formats import AudioFormat, Samples
from speechduet.audio.ogg import is_cut_ogg
from speechduet.audio.packets import Lost, columns_of, decoded, packets_of, step_between
from speechduet.audio.timeline import LIMIT_S, TOLERANCE_S, Frame, Timeline
from speechduet.audio.tracks import check_track
from speechduet.errors import AudioError

_STAMPED = ("mp4", "matroska", "mpegts", "mpeg", "asf", "flv", "ogg", "flac")
"""Containers with time stamps of their own; those of others are counted by FFmpeg."""
_LOSSLESS = ("pcm_", "wavpack")
"""Codecs whose floats are what is stored."""
_COUNTED = ("mp4", "flac", "wv", "tta", "ape", "caf")
"""Containers that state the length of a track in its header."""
_ZERO_BASED = ("mp4", "matroska")
"""Containers whose time begins at 0, wherever their sound does."""


@dataclass
class Account:
    """What was met in one container."""

    lost: list[float] = field(default_factory=list)
    """Where packets that could not be decoded were, in seconds."""
    stray_bytes: int = 0
    """Bytes that no sound was expected in."""
    lost_pages: bool = False
    """Whether pages of Ogg are known to be missing."""
    late_s: float = 0.0
    """Silence put before the sound, which starts later than the file."""
    timeline: Timeline = field(default_factory=lambda: Timeline(0.0))
    promised_s: float | None = None
    """Length of the sound by the container, where that states it and does not guess."""
    kind: tuple[int, int] | None = None
    """Rate in Hz and channels of its first frame."""
    changes: list[tuple[int, int]] = field(default_factory=list)
    """Rates and numbers of channels that it changes to."""

    @property
    def found_s(self) -> float:
        """Where its sound ends."""
        return self.timeline.position_s


@contextmanager
def opened(path: Path, view: ByteView | None = None) -> Iterator[InputContainer]:
    """A container, from the file or from pieces of it. Raises AudioError for what is none."""
    try:
        with path.open("rb") as file, _open(path, view, file) as container:
            if not container.streams.audio:
                raise AudioError(f"{path} has no sound in it", "an audio file")
            yield container
    except FFmpegError as error:
        raise _unreadable(path, view is None, error) from error


def _unreadable(path: Path, whole: bool, error: FFmpegError) -> AudioError:
    with path.open("rb") as file:
        if not has_index(file):
            return AudioError(
                f"{path} is truncated: its index (moov), which stands at its end, is missing",
                "a whole file",
                "copy it again; without the index none of it can be read",
            )
        if whole and is_cut_ogg(file):
            return AudioError(
                f"{path} is truncated before the end of its first page of sound",
                "a whole file",
                "copy it again; none of it can be read",
            )
    return AudioError(
        f"{path} is not audio, or is damaged ({error.strerror})",
        "a file that soundfile or FFmpeg can read",
    )


def _open(path: Path, view: ByteView | None, file: BinaryIO) -> InputContainer:
    if view is not None:
        return av.open(view, "r", metadata_errors="replace")
    name = os.fsencode(path.absolute())
    try:
        # An absolute path, for a relative one with a colon would be taken for a protocol.
        return av.open(name.decode("utf-8"), "r", metadata_errors="replace")
    except UnicodeDecodeError:
        return av.open(whole(file), "r", metadata_errors="replace")


def track_of(path: Path, container: InputContainer, track: int | None) -> AudioStream:
    """The wanted sound track of a container, counted from 1. Raises AudioError if there is none."""
    tracks = container.streams.audio
    check_track(path, len(tracks), track)
    stream = tracks[(track or 1) - 1]
    # PyAV has no context where FFmpeg has no decoder, whatever its types say.
    context: object = stream.codec_context
    if context is None:
        raise AudioError(f"{path} is not audio that FFmpeg can decode", "a kind that it knows")
    return stream


def format_of(path: Path, track: int | None) -> AudioFormat:
    """The format of a track. Raises AudioError if nothing of it can be decoded."""
    with opened(path) as container:
        stream = track_of(path, container, track)
        codec = stream.codec_context.name
        for frame in decoded(container, stream):
            if isinstance(frame, Lost):
                continue
            subtype = _subtype(frame.format.name, lossless=codec.startswith(_LOSSLESS))
            kind = container.format.name
            if kind == "mp3" and codec.startswith("mp3"):
                kind, subtype = "MP3", "MPEG_LAYER_III"
            kind = kind.upper() if kind in ("MP3", "flac") else ""
            return AudioFormat(frame.sample_rate, frame.layout.nb_channels, kind, subtype)
    raise AudioError(f"{path} holds no sound", "at least one sample")


def is_seamless(path: Path, view: ByteView) -> bool:
    """Whether a recording of Ogg is one track, whose time stamps follow one another."""
    view.seek(0)
    try:
        with opened(path, view) as container:
            (stream, *others) = container.streams.audio
            before = None
            for packet in packets_of(container, stream):
                step = step_between(before, packet) if before and stream.time_base else 0
                if step and abs(step * float(stream.time_base or 0)) > TOLERANCE_S:
                    return False
                before = packet
            return not others
    except AudioError:
        return True
    finally:
        view.seek(0)


def _subtype(sample_format: str, lossless: bool) -> str:
    """The nearest PCM: floats only where they are what is stored, not what a codec decodes to."""
    if lossless and sample_format.startswith("flt"):
        return "FLOAT"
    if lossless and sample_format.startswith("dbl"):
        return "DOUBLE"
    return "PCM_24" if sample_format.startswith(("s32", "s64")) else "PCM_16"


def sound_of(
    container: InputContainer, stream: AudioStream, conformer: Conformer, account: Account
) -> Iterator[Samples]:
    """The sound of a track with silence in its gaps, in the conformer's rate and channels."""
    base = stream.time_base
    stamped = any(name in container.format.name.split(",") for name in _STAMPED)
    account.timeline = Timeline(float(base) if base and stamped else 0.0)
    account.promised_s = _promised_s(container, stream)
    if stream.codec_context.name == "flac":
        # Otherwise a damaged frame is decoded to noise.
        stream.codec_context.options = {"err_detect": "crccheck+explode"}
    if stream.codec_context.name == "alac" and container.format.name == "caf":
        # A last packet that is shorter would be cut again by what it is shorter.
        stream.codec_context.options = {"flags2": "+skip_manual"}
    last_kind = None
    for shift_s, frame in account.timeline.place(_frames(container, stream, stamped, account)):
        kind = (frame.sample_rate, frame.layout.nb_channels)
        if last_kind is None:
            account.kind = kind
            if account.promised_s and base and container.format.name == "flac":
                account.promised_s /= float(base) * frame.sample_rate
            yield from conformer.silence(account.late_s)
        elif last_kind != kind:
            account.changes.append(kind)
        last_kind = kind
        columns = columns_of(frame)
        if shift_s > 0:
            yield from conformer.silence(shift_s)
        elif shift_s < 0:
            columns = columns[round(-shift_s * frame.sample_rate) :]
        yield from conformer.push(columns, frame.sample_rate)


def _frames(
    container: InputContainer, stream: AudioStream, stamped: bool, account: Account
) -> Iterator[Frame]:
    """Frames with their time stamps, and what was lost before each."""
    lost_s, begun, flac = 0.0, False, container.format.name == "flac"
    for item in decoded(container, stream, stamped, account.lost_pages):
        if isinstance(item, Lost):
            if item.duration_s:
                account.lost.append(account.timeline.position_s)
            else:
                account.stray_bytes += item.size
            lost_s += item.duration_s
            continue
        stamp_s = None
        # Stamps of FLAC are numbers of samples, by the rate in its header.
        counted = not flac or (item.time_base or 0) * item.sample_rate == 1
        if item.pts is not None and item.time_base is not None and stamped and counted:
            stamp_s = float(item.pts * item.time_base)
        if not begun:
            begun, lost_s = True, 0.0
            account.late_s = account.timeline.position_s = _late_s(container, stamp_s, account)
        yield Frame(stamp_s, item.samples / item.sample_rate, lost_s, item)
        lost_s = 0.0


def _late_s(container: InputContainer, stamp_s: float | None, account: Account) -> float:
    """How much later than the file its sound starts, where that is known."""
    if stamp_s is None:
        return 0.0
    starts = [
        float(stream.start_time * stream.time_base)
        for stream in (*container.streams.video, *container.streams.audio)
        if stream.start_time is not None and stream.time_base is not None
    ]
    zero_based = any(name in container.format.name for name in _ZERO_BASED)
    several = len(container.streams.video) + len(container.streams.audio) > 1
    origin_s = min(starts) if several and starts else 0.0 if zero_based else stamp_s
    late_s = stamp_s - origin_s
    if late_s > LIMIT_S:
        account.timeline.jumps.append((0.0, late_s))
        return 0.0
    return late_s if late_s > TOLERANCE_S + 2 * account.timeline.tick_s else 0.0


def _promised_s(container: InputContainer, stream: AudioStream) -> float | None:
    """The length of a track by its container, where that states it and does not guess."""
    name: str = container.format.name
    if any(kind in name for kind in _COUNTED):
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
    elif "matroska" in name:
        text = stream.metadata.get("DURATION", "")
        parts = text.split(":")
        if len(parts) == 3 and all(part.replace(".", "").isdigit() for part in parts):
            return int(parts[0]) * 3600 + int(parts[1]) * 60 + float(parts[2])
        if len(container.streams) == 1 and container.duration:
            return float(container.duration / av.time_base)
    return None


def remarks(account: Account, shift_s: float = 0.0) -> list[str]:
    """What a user should know of a container, in words behind the file's name."""
    lines = []
    if account.lost:
        packets = "1 packet" if len(account.lost) == 1 else f"{len(account.lost)} packets"
        lines.append(
            f"has {packets} that cannot be decoded, the first at "
            f"{account.lost[0] + shift_s:.2f} s; the rest is read"
        )
    if account.stray_bytes:
        lines.append(f"has {account.stray_bytes} bytes that are no sound; they are passed over")
    if account.late_s:
        lines.append(f"starts its sound {account.late_s:.2f} s late; silence stands there")
    if account.changes:
        lines.append(change_remark(account.changes[0]))
    return lines + account.timeline.remarks(shift_s)
