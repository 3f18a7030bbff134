"""Headers of WAV and its like that contradict themselves: no sample more or less is read."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.audio import read
from speechduet.errors import AudioError

RATE = 8_000
SIGNAL = np.rint(np.random.default_rng(0).uniform(-9000, 9000, RATE)) / 32768
SIZES = {"WAV": (b"data", 4, "<I"), "RF64": (b"ds64", 16, "<Q"), "W64": (b"data\xf3\xac", 16, "<Q")}
"""Where a container states the size of its samples."""


def recording(container: str, subtype: str = "PCM_16", channels: int = 1) -> bytearray:
    file = io.BytesIO()
    samples = np.repeat(SIGNAL[:, None], channels, axis=1)
    soundfile.write(file, samples, RATE, subtype, format=container)
    return bytearray(file.getvalue())


def state(data: bytearray, container: str, size: int) -> bytearray:
    """The recording with another size of its samples in its header."""
    name, behind, form = SIZES[container]
    data = bytearray(data)
    struct.pack_into(form, data, data.index(name) + behind, size)
    return data


def read_bytes(folder: Path, data: bytes) -> tuple[np.ndarray, list[str]]:
    path = folder / "x.bin"
    path.write_bytes(data)
    notes: list[str] = []
    return read(path, notify=notes.append)[0], notes


@pytest.mark.parametrize("container", SIZES)
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW"])
@pytest.mark.parametrize("block", [0, 1, 3, 65_535])
def test_a_wrong_block_of_plain_samples(
    tmp_path: Path, container: str, subtype: str, block: int
) -> None:
    data = recording(container, subtype, channels=2)
    honest, _ = read_bytes(tmp_path, data)
    struct.pack_into("<H", data, data.index(b"fmt ") + {"W64": 36}.get(container, 20), block)
    samples, notes = read_bytes(tmp_path, data)
    np.testing.assert_array_equal(samples, honest)
    assert notes == []
    samples, _ = read_bytes(tmp_path, state(data, container, 0))
    np.testing.assert_array_equal(samples, honest)
    with pytest.raises(AudioError, match="truncated"):
        read_bytes(tmp_path, data[: len(data) // 3])


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
@pytest.mark.parametrize("stated", [0, 100, 2 * RATE + 100, 1 << 40, (1 << 64) - 1])
def test_a_long_size_beside_the_short_one(tmp_path: Path, magic: bytes, stated: int) -> None:
    data = state(recording("RF64"), "RF64", stated)
    data[:4] = magic
    struct.pack_into("<I", data, data.index(b"data") + 4, 2 * RATE)
    samples, notes = read_bytes(tmp_path, data)
    np.testing.assert_array_equal(samples[0], SIGNAL)
    assert len(notes) == 1 and "two lengths" in notes[0]


GUID = bytes.fromhex("f3acd3118cd100c04f8edb8a")
EXTENSIBLE = struct.pack("<HHIH", 22, 24, 3, 1) + bytes.fromhex("000000001000800000aa00389b71")


def wide(stored: np.ndarray, container: str = "WAV") -> bytes:
    """A recording of two channels whose samples of 24 bits are said to take four bytes each."""
    tag = 0xFFFE if container == "WAVEX" else 1
    layout = struct.pack("<HHIIHH", tag, 2, RATE, 8 * RATE, 8, 24)
    layout += EXTENSIBLE * (container == "WAVEX")
    data = np.repeat(stored[:, None], 2, axis=1).astype("<i4").tobytes()
    if container == "W64":
        body = b"wave" + GUID
        for name, part in ((b"fmt ", layout), (b"data", data)):
            body += name + GUID + struct.pack("<q", len(part) + 24) + part + bytes(-len(part) % 8)
        riff = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
        return riff + struct.pack("<q", len(body) + 24) + body
    body = b"WAVEfmt " + struct.pack("<I", len(layout)) + layout
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


LOUD = np.rint(np.random.default_rng(1).uniform(-0.9, 0.9, RATE) * (1 << 23)) / (1 << 23)


@pytest.mark.parametrize(
    "signal",
    [LOUD, SIGNAL, np.r_[np.zeros(300_000), LOUD], np.r_[LOUD[:300] / 256, SIGNAL]],
    ids=["24 bits", "16 bits", "silence first", "quiet first"],
)
@pytest.mark.parametrize("container", ["WAV", "WAVEX", "W64"])
def test_samples_in_the_upper_three_of_four_bytes(
    tmp_path: Path, signal: np.ndarray, container: str
) -> None:
    data = wide(np.rint(signal * (1 << 23)) * 256, container)
    samples, notes = read_bytes(tmp_path, data)
    np.testing.assert_allclose(samples, np.tile(signal, (2, 1)), atol=2.0**-23)
    assert notes == []
    with pytest.raises(AudioError, match="truncated"):
        read_bytes(tmp_path, data[: len(data) // 4])


@pytest.mark.parametrize("signal", [LOUD, SIGNAL], ids=["24 bits", "16 bits"])
@pytest.mark.parametrize("container", ["WAV", "WAVEX", "W64"])
def test_samples_in_the_lower_three_of_four_bytes(
    tmp_path: Path, signal: np.ndarray, container: str
) -> None:
    with pytest.raises(AudioError, match="in the lower three of four bytes; convert it"):
        read_bytes(tmp_path, wide(np.rint(signal * (1 << 23)), container))


def test_a_header_without_bits_of_a_sample(tmp_path: Path) -> None:
    data = recording("WAV")
    place = data.index(b"fmt ")
    data[place + 4 : place + 24] = struct.pack("<I", 14) + data[place + 8 : place + 22]
    with pytest.raises(AudioError, match="does not state in its header how many bits"):
        read_bytes(tmp_path, data)


@pytest.mark.parametrize("start", [0, 20, 23])
def test_au_whose_samples_are_said_to_begin_in_the_header(tmp_path: Path, start: int) -> None:
    data = recording("AU")
    honest, _ = read_bytes(tmp_path, data)
    struct.pack_into(">I", data, 4, start)
    samples, _ = read_bytes(tmp_path, data)
    np.testing.assert_array_equal(samples, honest)


@pytest.mark.parametrize("bits", [16, 20, 24])
def test_caf_whose_samples_take_more_bytes_than_they_have_bits(tmp_path: Path, bits: int) -> None:
    data = bytearray(recording("CAF", "PCM_32"))
    struct.pack_into(">I", data, data.index(b"lpcm") + 20, bits)
    with pytest.raises(AudioError, match=f"holds samples of {bits} bits in 4 bytes each"):
        read_bytes(tmp_path, data)


@pytest.mark.parametrize(("kind", "subtype"), [(b"in24", "PCM_24"), (b"in32", "PCM_32")])
def test_aiff_whose_kind_says_how_many_bits_there_are(
    tmp_path: Path, kind: bytes, subtype: str
) -> None:
    plain = recording("AIFF", subtype)
    honest, _ = read_bytes(tmp_path, plain)
    place = plain.index(b"COMM")
    common = plain[place + 8 : place + 26] + kind + bytes(2)
    struct.pack_into(">h", common, 6, 16)
    chunks = b"COMM" + struct.pack(">I", len(common)) + common + plain[plain.index(b"SSND") :]
    data = b"FORM" + struct.pack(">I", len(chunks) + 4) + b"AIFC" + chunks
    samples, _ = read_bytes(tmp_path, data)
    np.testing.assert_array_equal(samples, honest)


@pytest.mark.parametrize("subtype", ["PCM_U8", "ULAW", "PCM_16", "PCM_24"])
@pytest.mark.parametrize("samples", [15_993, 15_997])
def test_what_fills_a_chunk_of_wave64_is_no_sound(
    tmp_path: Path, subtype: str, samples: int
) -> None:
    wav = io.BytesIO()
    soundfile.write(wav, np.zeros(samples), RATE, subtype, format="WAV")
    plain = wav.getvalue()
    layout = plain[20 : 20 + struct.unpack_from("<I", plain, 16)[0]]
    place = plain.index(b"data")
    data = plain[place + 8 : place + 8 + struct.unpack_from("<I", plain, place + 4)[0]]
    body = b"wave" + GUID
    for name, part in ((b"fmt ", layout), (b"data", data)):
        body += name + GUID + struct.pack("<q", len(part) + 24) + part + bytes(-len(part) % 8)
    riff = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
    found, _ = read_bytes(tmp_path, riff + struct.pack("<q", len(body) + 24) + body)
    assert found.shape == (1, samples)
    assert np.abs(found).max() < 1e-3
