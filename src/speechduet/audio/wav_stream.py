"""WAV through a pipe: read and written as it comes, with a header that may not know the length."""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from speechduet.audio.formats import LENGTH_UNKNOWN, Samples
from speechduet.errors import AudioError

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_FORMAT_BYTES = 16
_UNKNOWN = 0xFFFFFFFF
"""The length that FFmpeg writes for one that it does not know."""
_BLOCK_S = 1.0


@dataclass(frozen=True)
class WavHeader:
    """What a header says of the samples behind it."""

    sample_rate: int
    channels: int
    bits: int
    floating: bool
    samples: int | None
    """Length per channel; None if it is unknown, and the end is where the stream ends."""

    @property
    def sample_bytes(self) -> int:
        """Bytes of a sample of all channels."""
        return self.channels * self.bits // 8

    def encode(self) -> bytes:
        """A header of 44 bytes."""
        size = _UNKNOWN if self.samples is None else self.samples * self.sample_bytes
        kind = _FLOAT if self.floating else _PCM
        rate = self.sample_rate
        layout = (kind, self.channels, rate, rate * self.sample_bytes, self.sample_bytes, self.bits)
        return (
            struct.pack("<4sI4s", b"RIFF", min(size + 36, _UNKNOWN), b"WAVE")
            + struct.pack("<4sIHHIIHH", b"fmt ", _FORMAT_BYTES, *layout)
            + struct.pack("<4sI", b"data", min(size, _UNKNOWN))
        )


def read_header(stream: BinaryIO) -> tuple[WavHeader | None, bytes]:
    """The header at the beginning of a stream, and the bytes that were read of it.

    None stands for what `read_samples` cannot read: another container, or compressed samples.
    """
    read = bytearray()

    def take(count: int) -> bytes:
        more = stream.read(count)
        read.extend(more)
        return more

    head = take(12)
    if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
        return None, bytes(read)
    layout, long_size = b"", _UNKNOWN
    while len(chunk := take(8)) == 8:
        name, size = struct.unpack("<4sI", chunk)
        if name == b"data":
            size = long_size if head[:4] == b"RF64" and size == _UNKNOWN else size
            return _header(layout, size), bytes(read)
        body = take(size + size % 2)
        if name == b"fmt ":
            layout = body
        elif name == b"ds64" and len(body) >= 16:
            (long_size,) = struct.unpack_from("<Q", body, 8)
    return None, bytes(read)


def _header(layout: bytes, size: int) -> WavHeader | None:
    if len(layout) < _FORMAT_BYTES:
        return None
    tag, channels, sample_rate, _, width, bits = struct.unpack_from("<HHIIHH", layout)
    if tag == _EXTENSIBLE and len(layout) >= 26:
        (tag,) = struct.unpack_from("<H", layout, 24)
    kinds = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64)}
    if bits not in kinds.get(tag, ()) or not channels or not sample_rate:
        return None
    if width != channels * bits // 8:
        return None
    # Programs that cannot go back to their header leave 0 or a very large number in it.
    unknown = size == 0 or LENGTH_UNKNOWN <= size <= _UNKNOWN
    samples = None if unknown else size // width
    return WavHeader(sample_rate, channels, bits, tag == _FLOAT, samples)


def read_samples(stream: BinaryIO, header: WavHeader) -> Iterator[Samples]:
    """Samples ``[samples, channels]`` as they arrive, without waiting for a block to be full.

    Raises AudioError at the end of a stream that is shorter than its header says.
    """
    width = header.sample_bytes
    most = max(1, int(_BLOCK_S * header.sample_rate)) * width
    missing = None if header.samples is None else header.samples * width
    pending = b""
    while missing is None or missing > 0:
        # read1 returns what is there already; read would wait until it has all.
        more = stream.read1(most if missing is None else min(most, missing))  # type: ignore[attr-defined]
        if not more:
            break
        missing = None if missing is None else missing - len(more)
        pending += more
        whole = len(pending) - len(pending) % width
        if whole:
            yield decode(pending[:whole], header)
        pending = pending[whole:]
    if missing and header.samples is not None:
        found_s = (header.samples - missing / width) / header.sample_rate
        raise AudioError(
            f"the stream ends after {found_s:.2f} s",
            f"the {header.samples / header.sample_rate:.2f} s that its header promises",
        )


def decode(data: bytes, header: WavHeader) -> Samples:
    """Bytes of whole samples -> float32 ``[samples, channels]``, full scale at 1."""
    values: npt.NDArray[np.generic]
    if header.floating:
        values = np.frombuffer(data, f"<f{header.bits // 8}")
    elif header.bits == 8:
        values = (np.frombuffer(data, np.uint8) - np.float32(128)) / 128
    elif header.bits == 24:
        # Three bytes become the upper ones of four.
        padded = np.zeros((len(data) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        values = padded.view("<i4")[:, 0] / 2.0**31
    else:
        values = np.frombuffer(data, f"<i{header.bits // 8}") / 2.0 ** (header.bits - 1)
    return values.astype(np.float32).reshape(-1, header.channels)


def encode(block: Samples, header: WavHeader) -> bytes:
    """Float32 ``[samples, channels]`` -> bytes; integers are rounded and clipped, never wrapped."""
    if header.floating:
        return block.astype(f"<f{header.bits // 8}").tobytes()
    scale = 2.0 ** (header.bits - 1)
    steps = np.clip(np.rint(block.astype(np.float64) * scale), -scale, scale - 1)
    if header.bits == 8:
        return (steps + 128).astype(np.uint8).tobytes()
    if header.bits == 24:
        four = np.ascontiguousarray(steps.astype("<i4")).view(np.uint8).reshape(-1, 4)
        return four[:, :3].tobytes()
    return steps.astype(f"<i{header.bits // 8}").tobytes()


def write_stream(stream: BinaryIO, header: WavHeader, blocks: Iterable[Samples]) -> None:
    """Write a header at once and each block as soon as it is there.

    Raises AudioError if the reader has gone or the disk is full.
    """
    try:
        stream.write(header.encode())
        stream.flush()
        for block in blocks:
            if len(block):
                stream.write(encode(block, header))
                stream.flush()
    except OSError as error:
        raise AudioError(f"cannot write the stream: {error.strerror or error}") from error
