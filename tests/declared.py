"""Small recordings that declare far more than they hold."""

import io
import struct
from collections.abc import Iterator

import av
import numpy as np
import soundfile

RATE = 8000


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body


def wav(channels: int, rate: int, bits: int, size: int, before: bytes = b"") -> bytes:
    width = channels * bits // 8
    kind = 3 if bits == 64 else 1
    fields = (kind, channels, rate, rate * width & 0xFFFFFFFF, width & 0xFFFF, bits)
    body = chunk(b"fmt ", struct.pack("<HHIIHH", *fields)) + before
    body += chunk(b"data", bytes(2 * width), size)
    return b"RIFF" + struct.pack("<I", min(len(body) + 4 + size, 0xFFFFFFFF)) + b"WAVE" + body


def plain(container: str, subtype: str = "PCM_16", channels: int = 1) -> bytearray:
    file = io.BytesIO()
    rate = 48_000 if container == "FLAC" else RATE
    soundfile.write(file, np.zeros((100, channels)), rate, subtype, format=container)
    return bytearray(file.getvalue())


def stating(container: str, name: bytes, offset: int, form: str, size: int) -> bytes:
    data = plain(container)
    struct.pack_into(form, data, data.index(name) + offset, size)
    return bytes(data)


def flac() -> bytes:
    data = plain("FLAC", channels=8)
    # The largest block, rate, width and number of samples that the format can state.
    numbers = 655_350 << 44 | 7 << 41 | 15 << 36 | (1 << 36) - 1
    data[8:26] = struct.pack(">HH", 65_535, 65_535) + b"\xff" * 6 + struct.pack(">Q", numbers)
    return bytes(data)


def mp4() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 3000), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 16_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def mp4_stating(box: bytes, offset: int, size: int) -> bytes:
    data = bytearray(mp4())
    struct.pack_into(">I", data, data.index(box) + offset, size)
    return bytes(data)


def matroska_with_gaps() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for number in range(100):
            frame = av.AudioFrame.from_ndarray(np.ones((1, 80), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = RATE, number * RATE * 599
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def recordings() -> Iterator[tuple[str, bytes]]:
    """Names and bytes."""
    yield "ten hours.wav", wav(1, 16_000, 16, 1_152_000_000)
    yield "64 channels at 384 kHz.wav", wav(64, 384_000, 64, 2_000_000_000)
    yield "1024 channels.wav", wav(1024, 384_000, 32, 2_000_000_000)
    yield "65535 channels.wav", wav(65_535, 384_000, 8, 2_000_000_000)
    yield "4 GHz.wav", wav(8191, 4_000_000_000, 64, 0x7FFE0000)
    yield "a text of 4 GB.wav", wav(1, RATE, 16, 100, b"LIST\xf0\xff\xff\xff")
    yield "a format of 4 GB.wav", b"RIFF\xff\xff\xff\xffWAVEfmt \xf0\xff\xff\xff" + bytes(100)
    yield "half a terabyte.rf64", stating("RF64", b"ds64", 16, "<Q", 1 << 39)
    yield "half a terabyte.w64", stating("W64", b"data\xf3\xac", 16, "<Q", 1 << 39)
    yield "half a terabyte.caf", stating("CAF", b"data", 4, ">Q", 1 << 39)
    yield "2 GB.aiff", stating("AIFF", b"SSND", 4, ">I", 0x7FFFE000)
    yield "2 GB.au", bytes(plain("AU")[:8]) + struct.pack(">I", 0x7FFFE000) + bytes(300)
    yield "blocks of 65535.flac", flac()
    tags = b"\x04\xff\xff\xff" + b"\xff\xff\xff\x7f" * 10
    data = plain("FLAC")
    yield "tags of 16 MB.flac", bytes(data[:4]) + b"\0" + bytes(data[5:42]) + tags
    yield "a tag of 256 MB.mp3", b"ID3\4\0\0\x7f\x7f\x7f\x7f" + plain("MP3", "MPEG_LAYER_III")
    yield "a header of 5000 digits.sph", b"NIST_1A\n" + b"9" * 5000 + b"\n" + bytes(3000)
    yield "a header beyond all files.sph", b"NIST_1A\n" + b"9" * 14 + b"\n" + bytes(3000)
    for box, offset in ((b"stsz", 12), (b"stts", 8), (b"stco", 8), (b"stsc", 8), (b"mdhd", 20)):
        yield f"{box.decode()} of 2^31.mp4", mp4_stating(box, offset, 0x7FFFFFFF)
    yield "moov of 2 GB.mp4", mp4_stating(b"moov", -4, 0x7FFFFFFF)
    yield "years of gaps.mkv", matroska_with_gaps()
