"""Packets of a container decoded one by one: a bad one is noted, and the next is tried."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

import av
import numpy as np
import numpy.typing as npt
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError

from speechduet.audio.formats import Samples

Packet: TypeAlias = "av.Packet[AudioStream]"

_MOST_FAILURES = 50
"""Failures in a row to read a packet, after which there is nothing more to come."""
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")
_MOST_PLANES = 7
"""PyAV crashes on frames of more channels that are stored one after another."""

# What FFmpeg says to its log names no file, and every fault comes as an exception as well.
av.logging.set_level(av.logging.PANIC)


class Lost(NamedTuple):
    """A packet that could not be decoded."""

    size: int
    """Bytes."""
    duration_s: float
    """Of the sound that it held; 0 if it holds none, as tags and zeros do."""


def decoded(
    container: InputContainer,
    stream: AudioStream,
    stamped: bool = True,
    lost_pages: bool = False,
) -> Iterator[av.AudioFrame | Lost]:
    """The frames of a sound track, and in their place the packets that could not be decoded.

    What is lost of a container without time stamps is seen from its bytes. Where pages of Ogg
    are missing, there are its gaps.
    """
    good, good_bytes = 0, 0
    context: AudioCodecContext = stream.codec_context
    packets = packets_of(container, stream)
    for packet in _dated(packets, lost_pages) if container.format.name == "ogg" else packets:
        try:
            frames = context.decode(packet)
        except FFmpegError:
            if (anew := _decoded_anew(packet, stream)) is not None:
                context, frames = anew
                yield from frames
                continue
            lost = _lost(packet, stream)
            if not stamped and good_bytes:
                # Several packets in one, for the beginnings of those behind the first are lost.
                lost = lost._replace(
                    duration_s=lost.duration_s * max(1, round(lost.size * good / good_bytes))
                )
            yield lost
            continue
        good, good_bytes = good + 1, good_bytes + packet.size
        for frame in frames:
            if frame.samples and frame.sample_rate:
                yield frame


def _decoded_anew(
    packet: Packet, stream: AudioStream
) -> tuple[AudioCodecContext, list[av.AudioFrame]] | None:
    """A packet of FLAC by a decoder of its own; None if that fails as well.

    FFmpeg's decoder refuses frames of other bits, or larger ones, than their header states.
    """
    if stream.codec_context.name != "flac" or not packet.size:
        return None
    context = av.AudioCodecContext.create("flac", "r")
    context.options = stream.codec_context.options
    try:
        return context, context.decode(packet)
    except FFmpegError:
        return None


def packets_of(container: InputContainer, stream: AudioStream) -> Iterator[Packet]:
    """The packets of a sound track; what cannot be read is passed over."""
    failures = 0
    packets = container.demux(stream)
    while failures < _MOST_FAILURES:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except FFmpegError:
            # An error ends a generator; another goes on where this one stopped.
            failures += 1
            packets = container.demux(stream)
            continue
        failures = 0
        yield packet


def _dated(packets: Iterable[Packet], lost_pages: bool) -> Iterator[Packet]:
    """Packets of Ogg, those of the first page and behind lost ones with stamps of their own page.

    A page states when its sound ends. FFmpeg dates a page from the end of the one before, so that
    a gap in front of it would come behind it.
    """
    page: list[Packet] = []
    for packet in packets:
        step = step_between(page[-1], packet) if page else 0
        if page and (step or packet.pos != page[-1].pos):
            yield from _moved(page, step)
            page = []
            if not lost_pages:
                yield packet
                break
        page.append(packet)
    yield from page
    yield from packets


def step_between(packet: Packet, following: Packet) -> int:
    """How much later a packet is than the end of the one before it, in their time base."""
    if packet.pts is None or following.pts is None or not packet.duration:
        return 0
    return following.pts - packet.pts - packet.duration


def _moved(packets: list[Packet], step: int) -> list[Packet]:
    for packet in packets:
        if packet.pts is not None:
            packet.pts += step
    return packets


def _lost(packet: Packet, stream: AudioStream) -> Lost:
    data = bytes(packet) if packet.size else b""
    if data.startswith(_TAGS) or not data.strip(b"\0"):
        return Lost(len(data), 0.0)
    base = packet.time_base or stream.time_base
    duration_s = float(packet.duration * base) if packet.duration and base else 0.0
    return Lost(len(data), duration_s)


def columns_of(frame: av.AudioFrame) -> Samples:
    """A decoded frame -> float32 ``[samples, channels]``, full scale at 1."""
    channels = frame.layout.nb_channels
    if frame.format.name.startswith("s64"):
        # NumPy arrays of these are beyond PyAV.
        (frame,) = av.AudioResampler("dbl").resample(frame)
    if frame.format.is_planar and channels > _MOST_PLANES:
        (frame,) = av.AudioResampler(frame.format.packed.name).resample(frame)
    values: npt.NDArray[Any] = frame.to_ndarray()
    columns = values.T if frame.format.is_planar else values.reshape(-1, channels)
    if columns.dtype == np.uint8:
        columns = (columns - 128.0) / 128
    elif columns.dtype.kind == "i":
        columns = columns / -float(np.iinfo(columns.dtype).min)
    return np.ascontiguousarray(columns, dtype=np.float32)
