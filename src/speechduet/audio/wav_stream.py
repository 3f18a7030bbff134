"""WAV through a pipe: read and written as it comes, with a header that may not know the length."""

import os
import stat
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from speechduet.audio.formats import HIGHEST_RATE, LENGTH_UNKNOWN, Samples
from speechduet.audio.levels import Limiter
from speechduet.audio.notices import Notify, warn
from speechduet.audio.riff import MOST_BYTES, OF_THE_SAMPLES, Chunk
from speechduet.errors import AudioError

if sys.platform != "win32":
    import fcntl

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_FORMAT_BYTES = 16
_MOST_HEADER_BYTES = 1 << 26
_UNKNOWN = 0xFFFFFFFF
"""The length that FFmpeg writes for one that it does not know."""


@dataclass(frozen=True)
class WavHeader:
    """What a header says of the samples behind it."""

    sample_rate: int
    channels: int
    bits: int
    floating: bool
    samples: int | None
    """Length per channel; None if it is unknown, and the end is where the stream ends."""
    behind: int | None = None
    """Bytes behind the samples by the size of the whole, negative if that is smaller than theirs;
    None if it is unknown."""
    layout: bytes = b""
    """The body of the chunk ``fmt `` as it was read, with the mask of the channels."""
    chunks: bytes = b""
    """What else stands in front of the samples: texts, bext and their like."""

    @property
    def doubtful(self) -> bool:
        """Whether the stream may well be longer or shorter than it says."""
        return self.behind is not None and not 0 <= self.behind <= 1

    @property
    def sample_bytes(self) -> int:
        """Bytes of a sample of all channels."""
        return self.channels * self.bits // 8

    @property
    def subtype(self) -> str:
        """The sample format, as soundfile names it."""
        if self.floating:
            return "FLOAT" if self.bits == 32 else "DOUBLE"
        return "PCM_U8" if self.bits == 8 else f"PCM_{self.bits}"

    def encode(self) -> bytes:
        """The header up to the samples, with the chunks that stand in front of them."""
        size = _UNKNOWN if self.samples is None else self.samples * self.sample_bytes
        kind = _FLOAT if self.floating else _PCM
        rate = self.sample_rate
        width = self.sample_bytes
        layout = self.layout or struct.pack(
            "<HHIIHH", kind, self.channels, rate, rate * width, width, self.bits
        )
        chunks = Chunk(b"fmt ", layout, True).encode() + self.chunks
        return (
            struct.pack("<4sI4s", b"RIFF", min(size + len(chunks) + 12, _UNKNOWN), b"WAVE")
            + chunks
            + struct.pack("<4sI", b"data", min(size, _UNKNOWN))
        )


def read_header(stream: BinaryIO) -> tuple[WavHeader | None, bytes]:
    """The header at the beginning of a stream, and the bytes that were read of it.

    None stands for what `speechduet.audio.wav_arrival` cannot read: another container,
    compressed samples, or a header of more than 64 MiB, which is not held in memory.
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
    chunks = bytearray()
    (outer,) = struct.unpack_from("<I", head, 4)
    while len(chunk := take(8)) == 8:
        name, size = struct.unpack("<4sI", chunk)
        if name == b"data":
            size = long_size if head[:4] == b"RF64" and size == _UNKNOWN else size
            header = _header(layout, size)
            if header is not None and header.samples is not None and 0 < outer < LENGTH_UNKNOWN:
                end = len(read) + header.samples * header.sample_bytes
                header = replace(header, behind=outer + 8 - end)
            if header is not None:
                header = replace(header, layout=layout, chunks=bytes(chunks))
            return header, bytes(read)
        if len(read) + size > _MOST_HEADER_BYTES:
            break
        body = take(size + size % 2)
        if name == b"fmt ":
            layout = layout or body
        elif name == b"ds64" and len(body) >= 16:
            outer, long_size = struct.unpack_from("<QQ", body)
        elif name not in OF_THE_SAMPLES and len(body) + len(chunks) <= MOST_BYTES:
            chunks += chunk + body
    return None, bytes(read)


def _header(layout: bytes, size: int) -> WavHeader | None:
    if len(layout) < _FORMAT_BYTES:
        return None
    tag, channels, sample_rate, _, width, bits = struct.unpack_from("<HHIIHH", layout)
    if tag == _EXTENSIBLE and len(layout) >= 26:
        (tag,) = struct.unpack_from("<H", layout, 24)
    kinds = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64)}
    if bits not in kinds.get(tag, ()) or not channels or not 1 <= sample_rate <= HIGHEST_RATE:
        return None
    if width != channels * bits // 8:
        return None
    # Programs that cannot go back to their header leave 0 or a very large number in it.
    unknown = size == 0 or LENGTH_UNKNOWN <= size <= _UNKNOWN or size >= 1 << 40
    samples = None if unknown else -(-size // width)
    return WavHeader(sample_rate, channels, bits, tag == _FLOAT, samples)


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
    with np.errstate(over="ignore"):  # Infinite is what others find.
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


def write_stream(
    stream: BinaryIO,
    header: WavHeader,
    blocks: Iterable[Samples],
    *,
    notify: Notify = warn,
    name: str = "stdout",
) -> None:
    """Write a header at once and each block as soon as it is there.

    A header that turns out wrong is put right at the end where the stream is a file. ``notify``
    learns of clipped samples. Raises
    AudioError if the reader has gone or the disk is full.
    """
    written = 0
    limiter = Limiter(header.subtype)
    if header.doubtful:
        header = replace(header, samples=None)
    try:
        start = stream.tell() if is_file(stream) else None
        stream.write(header.encode())
        stream.flush()
        try:
            for block in blocks:
                if len(block):
                    stream.write(encode(limiter(block), header))
                    stream.flush()
                    written += len(block)
        finally:
            if start is not None and written != header.samples:
                end = stream.tell()
                stream.seek(start)
                stream.write(replace(header, samples=written).encode())
                stream.seek(end)
                stream.flush()
            if clipped := limiter.account():
                notify(f"{name}: {clipped}")
    except OSError as error:
        raise AudioError(f"cannot write the stream: {error.strerror or error}") from error


def is_file(stream: BinaryIO) -> bool:
    """Whether one can go back in a stream: it is a file, and not one that is only added to."""
    try:
        number = stream.fileno()
    except OSError:
        return False
    if not stat.S_ISREG(os.fstat(number).st_mode):
        return False
    if sys.platform == "win32":
        return True
    return not fcntl.fcntl(number, fcntl.F_GETFL) & os.O_APPEND
