"""Headers of WAV and its like that contradict themselves: no sample more or less is read."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.audio import read
from speechduet.audio.wav_arrival import read_samples
from speechduet.audio.wav_stream import read_header
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


def wide(stored: np.ndarray, container: str = "WAV", bits: int = 24, width: int = 4) -> bytes:
    """A recording of two channels whose samples are said to take more bytes than they need."""
    tag, order = (0xFFFE if container == "WAVEX" else 1), (">" if container == "RIFX" else "<")
    layout = struct.pack(f"{order}HHIIHH", tag, 2, RATE, 2 * width * RATE, 2 * width, bits)
    layout += EXTENSIBLE * (container == "WAVEX")
    words = np.repeat(stored, 2).astype(f"{order}{'f' if stored.dtype == 'f4' else 'i'}4")
    whole = words.view(np.uint8).reshape(-1, 4)
    data = (whole[:, 4 - width :] if order == ">" else whole[:, :width]).tobytes()
    if container == "W64":
        body = b"wave" + GUID
        for name, part in ((b"fmt ", layout), (b"data", data)):
            body += name + GUID + struct.pack("<q", len(part) + 24) + part + bytes(-len(part) % 8)
        riff = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
        return riff + struct.pack("<q", len(body) + 24) + body
    size = f"{order}I"
    body = b"WAVEfmt " + struct.pack(size, len(layout)) + layout
    body += b"data" + struct.pack(size, len(data)) + data
    return (b"RIFX" if order == ">" else b"RIFF") + struct.pack(size, len(body)) + body


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
    with pytest.raises(AudioError, match="24 bits in the lower 3 of 4 bytes; convert it"):
        read_bytes(tmp_path, wide(np.rint(signal * (1 << 23)), container))


@pytest.mark.parametrize("container", ["WAV", "RIFX", "W64"])
@pytest.mark.parametrize("width", [3, 4])
def test_samples_of_16_bits_in_more_bytes(tmp_path: Path, container: str, width: int) -> None:
    stored = np.rint(SIGNAL * (1 << 15))
    samples, notes = read_bytes(
        tmp_path, wide(stored * (1 << 8 * (width - 2)), container, 16, width)
    )
    np.testing.assert_array_equal(samples, np.tile(SIGNAL, (2, 1)))
    assert notes == []
    with pytest.raises(AudioError, match=f"16 bits in the lower 2 of {width} bytes"):
        read_bytes(tmp_path, wide(stored, container, 16, width))


def test_a_block_that_is_not_as_the_samples_are(tmp_path: Path) -> None:
    data = bytearray(recording("WAV"))
    struct.pack_into("<H", data, data.index(b"fmt ") + 20, 4)
    samples, _ = read_bytes(tmp_path, data)
    np.testing.assert_array_equal(samples[0], SIGNAL)


def test_floats_of_cool_edit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="Cool Edit"):
        read_bytes(tmp_path, wide((LOUD * (1 << 15)).astype(np.float32)))


def test_of_two_formats_the_first_is_followed(tmp_path: Path) -> None:
    plain = recording("WAV")
    place, end = plain.index(b"fmt "), plain.index(b"data")
    other = bytearray(plain[place:end])
    struct.pack_into("<I", other, 12, 3 * RATE)
    data = plain[:end] + other + plain[end:]
    struct.pack_into("<I", data, 4, len(data) - 8)
    samples, notes = read_bytes(tmp_path, data)
    np.testing.assert_array_equal(samples[0], SIGNAL)
    assert notes == []
    header, _ = read_header(io.BytesIO(data))
    assert header is not None and header.sample_rate == RATE


def test_channels_of_sphere_one_behind_the_other_are_refused(tmp_path: Path) -> None:
    fields = "channel_count -i 2\nsample_rate -i 16000\nsample_count -i 100\nsample_n_bytes -i 2\n"
    fields += "sample_byte_format -s2 01\nchannels_interleaved -s5 {}\nend_head\n"
    for apart in ("FALSE", "TRUE"):
        head = ("NIST_1A\n   1024\n" + fields.format(apart)).encode().ljust(1024)
        data = head + bytes(400)
        if apart == "TRUE":
            assert read_bytes(tmp_path, data)[0].shape == (2, 100)
        else:
            with pytest.raises(AudioError, match="one behind the other"):
                read_bytes(tmp_path, data)


@pytest.mark.parametrize("container", ["WAV", "W64"])
def test_compressed_sound_of_a_digital_output_is_decoded(tmp_path: Path, container: str) -> None:
    av = pytest.importorskip("av")
    rate = 48_000
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate, dtype=np.float32)
    bursts = io.BytesIO()
    with av.open(bursts, "w", format="spdif") as output:
        stream = output.add_stream("ac3", rate=rate, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.tile(tone, (2, 1)), "fltp", "stereo")
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    words = np.frombuffer(bursts.getvalue(), "<i2").reshape(-1, 2)
    data = io.BytesIO()
    soundfile.write(data, words, rate, "PCM_16", format=container)
    samples, _ = read_bytes(tmp_path, data.getvalue())
    assert samples.shape[0] == 2 and abs(samples.shape[1] - rate) < 3 * 1536
    np.testing.assert_allclose(samples[:, 9600:-9600].std(), tone.std(), rtol=0.02)
    if container == "WAV":
        data.seek(0)
        header, _ = read_header(data)
        assert header is not None
        with pytest.raises(AudioError, match="give the file by its name"):
            list(read_samples(data, header))


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
