"""WAV through pipes: every kind of sample, lengths that are unknown, streams that end early."""

import io
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import soundfile

from speechduet.audio import Samples
from speechduet.audio.wav_arrival import read_samples
from speechduet.audio.wav_stream import WavHeader, read_header, write_stream
from speechduet.errors import AudioError

SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
HEADER = WavHeader(16_000, 2, 16, False, 1000)


def tones(samples: int, channels: int = 2) -> Samples:
    times = np.arange(samples)[:, None] / 16_000
    return (0.7 * np.sin(600 * np.pi * times * np.arange(1, channels + 1))).astype(np.float32)


def wav(samples: Samples, subtype: str = "PCM_16", container: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, subtype, format=container)
    return file.getvalue()


def read(data: bytes) -> tuple[WavHeader, Samples]:
    stream: Any = io.BytesIO(data)
    header, _ = read_header(stream)
    assert header is not None
    return header, np.concatenate(list(read_samples(stream, header)))


def written(header: WavHeader, *blocks: Samples) -> bytes:
    stream = io.BytesIO()
    write_stream(stream, header, blocks)
    return stream.getvalue()


@pytest.mark.parametrize("subtype", SUBTYPES)
@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_soundfile_writes_is_read(subtype: str, container: str, channels: int) -> None:
    data = wav(tones(1001, channels), subtype, container)
    header, samples = read(data)
    assert (header.sample_rate, header.channels, header.samples) == (16_000, channels, 1001)
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    np.testing.assert_allclose(samples, expected, atol=1e-7)


@pytest.mark.parametrize("subtype", SUBTYPES)
def test_samples_come_back_as_they_were(subtype: str) -> None:
    data = wav(tones(999), subtype)
    header, samples = read(data)
    out = written(header, samples[:500], samples[500:])
    assert soundfile.info(io.BytesIO(out)).subtype == subtype
    again, _ = soundfile.read(io.BytesIO(out), dtype="float64")
    np.testing.assert_array_equal(again, soundfile.read(io.BytesIO(data), dtype="float64")[0])


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_integers_are_rounded_and_clipped(bits: int) -> None:
    step = 2.0 ** (1 - bits)
    given = np.array([[1.5], [-1.5], [0.6 * step], [-0.6 * step], [0.4 * step]], np.float32)
    header = replace(HEADER, channels=1, bits=bits, samples=5)
    values, _ = soundfile.read(io.BytesIO(written(header, given)))
    np.testing.assert_allclose(values, [1 - step, -1, step, -step, 0], atol=1e-12)


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x80000000, 0xFFFFFFFF])
def test_a_length_that_is_unknown(size: int) -> None:
    data = bytearray(wav(tones(1000)))
    place = data.index(b"data") + 4
    data[place : place + 4] = struct.pack("<I", size)
    header, samples = read(bytes(data))
    assert header.samples is None and len(samples) == 1000
    out = written(header, samples)
    assert out[40:44] == b"\xff" * 4
    # What other programs make of such a header.
    np.testing.assert_allclose(soundfile.read(io.BytesIO(out))[0], samples, atol=1e-7)


def test_other_chunks_are_passed_over() -> None:
    data = wav(tones(1000))
    before = b"LIST" + struct.pack("<I", 5) + b"INFO1\0"
    behind = b"LIST" + struct.pack("<I", 4) + b"INFO"
    place = data.index(b"data")
    header, samples = read(data[:place] + before + data[place:] + behind)
    assert header.samples == len(samples) == 1000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        wav(tones(100), "PCM_16", "FLAC"),
        wav(tones(100), "ULAW"),
        wav(tones(100))[:40],
        wav(tones(100)).replace(b"fmt ", b"fmt?"),
    ],
    ids=["empty", "short", "flac", "ulaw", "cut", "no format"],
)
def test_what_is_not_plain_wav_is_handed_back(data: bytes) -> None:
    stream = io.BytesIO(data)
    header, seen = read_header(stream)
    assert header is None and seen + stream.read() == data


def test_a_stream_that_ends_early() -> None:
    stream: Any = io.BytesIO(wav(tones(16_000))[:32_044])
    header, _ = read_header(stream)
    assert header is not None
    blocks = read_samples(stream, header)
    assert len(next(blocks)) == 8000
    with pytest.raises(AudioError, match=r"stream is truncated: 0.50 s .* expected the 1.00 s"):
        next(blocks)


def test_samples_come_as_soon_as_they_are_whole() -> None:
    class Dripping(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            return super().read1(min(7, size or 7))

    data = wav(tones(50))
    stream: Any = Dripping(data)
    header, _ = read_header(stream)
    assert header is not None
    blocks = list(read_samples(stream, header))
    assert max(map(len, blocks)) == 2
    np.testing.assert_array_equal(np.concatenate(blocks), read(data)[1])


def test_the_header_is_written_before_anything_is_asked_for() -> None:
    stream = io.BytesIO()

    def blocks() -> Iterator[Samples]:
        assert len(stream.getvalue()) == 44
        yield tones(10)
        assert len(stream.getvalue()) == 84

    write_stream(stream, HEADER, blocks())


def test_a_reader_that_has_gone() -> None:
    class Closed(io.BytesIO):
        def write(self, data: Any, /) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(AudioError, match="cannot write the stream: Broken pipe"):
        write_stream(Closed(), HEADER, [tones(10)])


def test_mask_and_chunks_in_front_of_the_samples_go_along() -> None:
    file = io.BytesIO(wav(tones(500, 6), "PCM_24", "WAVEX"))
    data = bytearray(file.getvalue())
    mask_at = data.index(b"fmt ") + 8 + 20
    data[mask_at : mask_at + 4] = struct.pack("<I", 0x60F)
    note = b"LIST" + struct.pack("<I", 15) + b"INFOINAM\x03\0\0\0hi\0" + b"\0"
    junk = b"JUNK" + struct.pack("<I", 4) + bytes(4)
    data[12:12] = note + junk
    data[4:8] = struct.pack("<I", len(data) - 8)
    header, samples = read(bytes(data))
    result = written(header, samples)
    assert note in result and junk not in result
    assert struct.unpack_from("<I", result, result.index(b"fmt ") + 28) == (0x60F,)
    assert struct.unpack_from("<I", result, 4) == (len(result) - 8,)
    again, same = read(result)
    assert again.samples == 500
    np.testing.assert_allclose(same, samples, atol=1e-6)
    with soundfile.SoundFile(io.BytesIO(result)) as opened:
        assert opened.frames == 500 and opened.channels == 6


def test_clipped_samples_are_reported() -> None:
    header = replace(HEADER, samples=4)
    notes: list[str] = []
    block = np.array([[0.5, 1.2], [1.0, -1.5], [0, 0], [0.1, 0]], np.float32)
    write_stream(io.BytesIO(), header, [block], notify=notes.append)
    assert notes == ["stdout: 2 of 8 samples clipped (peak 1.50, +3.5 dB)"]


class Modest(io.BytesIO):
    """Refuses to be asked for more at once than a machine has memory for."""

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None and 0 <= size <= 1 << 26
        return super().read(size)

    def read1(self, size: int | None = -1) -> bytes:
        assert size is not None and 0 <= size <= 1 << 26
        return super().read1(size)


def test_a_header_that_declares_gigabytes_is_not_believed() -> None:
    layout = struct.pack("<HHIIHH", 1, 32_767, 10_000_000, 0, 65_534, 16)
    data = b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0" + layout + b"data\xf0\xff\xef\x7f"
    stream = Modest(data + bytes(65_534))
    header, _ = read_header(stream)
    assert header is not None
    blocks = list(read_samples(stream, header, salvage=True, notify=lambda text: None))
    assert [block.shape for block in blocks] == [(1, 32_767)]
    long = b"RIFF\xff\xff\xff\x7fWAVELIST\xf0\xff\xff\xff"
    assert read_header(Modest(long + bytes(100))) == (None, long)
