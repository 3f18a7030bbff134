"""Rarer containers: the lengths they promise, lengths that no recording has, suffixes."""

import io
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.audio import READABLE_SUFFIXES, probe, read
from speechduet.audio.tags import read_tags
from speechduet.errors import AudioError

RATE = 16_000
SIGNAL = np.rint(np.random.default_rng(0).uniform(-9000, 9000, 4 * RATE)) / 32768


def recording(container: str, subtype: str = "PCM_16") -> bytearray:
    file = io.BytesIO()
    soundfile.write(file, SIGNAL, RATE, subtype, format=container)
    return bytearray(file.getvalue())


def big_endian() -> bytearray:
    samples = (SIGNAL * 32768).astype(">i2").tobytes()
    layout = struct.pack(">4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    head = struct.pack(">4sI4s", b"RIFX", len(samples) + 36, b"WAVE")
    return bytearray(head + layout + struct.pack(">4sI", b"data", len(samples)) + samples)


def long_wave() -> bytearray:
    return bytearray(b"BW64" + recording("RF64")[4:])


def check_truncated(path: Path) -> None:
    with pytest.raises(AudioError, match=r"truncated.*4\.00 s that its header promises"):
        read(path)
    notes: list[str] = []
    samples, rate = read(path, salvage=True, notify=notes.append)
    assert 1 < samples.shape[1] / rate < 3
    assert any("is truncated" in note for note in notes)


@pytest.mark.parametrize(
    "whole", [lambda: recording("NIST"), lambda: recording("NIST", "ULAW"), big_endian, long_wave]
)
def test_half_of_a_file_of_plain_samples(tmp_path: Path, whole) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(whole())
    notes: list[str] = []
    assert read(path, notify=notes.append)[0].shape == (1, len(SIGNAL))
    assert notes == []
    path.write_bytes(whole()[: len(whole()) // 2])
    check_truncated(path)


@pytest.mark.parametrize(("suffix", "codec"), [(".wv", "wavpack"), (".tta", "tta")])
def test_half_of_a_file_without_loss(tmp_path: Path, encode, suffix: str, codec: str) -> None:
    path = encode(tmp_path / f"x{suffix}", np.repeat(SIGNAL, 3)[None], 3 * RATE, codec)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    check_truncated(path)


@pytest.mark.parametrize("container", ["SVX", "AVR"])
def test_half_of_what_libsndfile_logs(tmp_path: Path, container: str) -> None:
    data = recording(container)
    path = tmp_path / "x.bin"
    path.write_bytes(data[: len(data) // 2])
    check_truncated(path)


def test_half_of_a_creative_voice_file_gives_a_warning(tmp_path: Path) -> None:
    data = recording("VOC")
    path = tmp_path / "x.voc"
    path.write_bytes(data)
    notes: list[str] = []
    read(path, notify=notes.append)
    assert notes == []
    path.write_bytes(data[: len(data) // 2])
    read(path, notify=notes.append)
    assert "seems to be truncated" in notes[0]


@pytest.mark.parametrize(("suffix", "codec"), [(".voc", "pcm_s16le"), (".caf", "alac")])
@pytest.mark.parametrize("length", [5_000, 24_000])
def test_what_ffmpeg_wrote_in_blocks(
    tmp_path: Path, encode, suffix: str, codec: str, length: int
) -> None:
    """Of VOC libsndfile reads the heads of blocks too, of ALAC in CAF FFmpeg not all at the end."""
    path = encode(tmp_path / f"x{suffix}", SIGNAL[None, :length], RATE, codec)
    samples, _ = read(path)
    np.testing.assert_allclose(samples[0], SIGNAL[:length], atol=1e-4)


def test_half_of_alac_in_caf(tmp_path: Path) -> None:
    data = recording("CAF", "ALAC_16")
    path = tmp_path / "x.caf"
    path.write_bytes(data[: len(data) // 2])
    check_truncated(path)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_big_endian_wave_without_a_length(tmp_path: Path, size: int) -> None:
    data = big_endian()
    data[40:44] = struct.pack(">I", size)
    check_all(tmp_path, data)


def test_long_wave_without_a_length(tmp_path: Path) -> None:
    data = long_wave()
    place = data.index(b"ds64") + 16
    data[place : place + 8] = bytes(8)
    check_all(tmp_path, data)


@pytest.mark.parametrize("power", [41, 50, 60])
@pytest.mark.parametrize(
    ("container", "name", "form"),
    [("RF64", b"ds64", "<q"), ("W64", b"data\xf3", "<q"), ("CAF", b"data", ">q")],
)
def test_a_length_that_no_recording_has(
    tmp_path: Path, power: int, container: str, name: bytes, form: str, capfd
) -> None:
    data = recording(container)
    place = data.index(name) + (4 if container == "CAF" else 16)
    struct.pack_into(form, data, place, 1 << power)
    check_all(tmp_path, data)
    # PyAV prints what a file does not bear.
    read_tags(tmp_path / "x.bin")
    assert capfd.readouterr().err == ""


def check_all(folder: Path, data: bytes) -> None:
    path = folder / "x.bin"
    path.write_bytes(data)
    notes: list[str] = []
    samples, _ = read(path, notify=notes.append)
    np.testing.assert_array_equal(samples[0], SIGNAL)
    assert [note.partition("x.bin ")[2] for note in notes] == [
        "states no length in its header; it is read to its end"
    ]


def test_integers_of_64_bits(tmp_path: Path) -> None:
    samples = (SIGNAL * 2.0**63).astype("<i8").tobytes()
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 8 * RATE, 8, 64)
    head = struct.pack("<4sI4s", b"RIFF", len(samples) + 36, b"WAVE")
    path = tmp_path / "x.wav"
    path.write_bytes(head + layout + struct.pack("<4sI", b"data", len(samples)) + samples)
    np.testing.assert_array_equal(read(path)[0][0], SIGNAL.astype(np.float32))


def test_what_is_no_mp3_is_refused_without_noise(tmp_path: Path, capfd) -> None:
    path = tmp_path / "x.mp3"
    path.write_bytes(np.random.default_rng(2).bytes(5000))
    with pytest.raises(AudioError, match="is not audio"):
        read(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("suffix", "codec"), [(".mp2", "mp2"), (".eac3", "eac3"), (".flv", "aac")])
def test_rarer_suffixes_of_ffmpeg(tmp_path: Path, encode, suffix: str, codec: str) -> None:
    path = encode(tmp_path / f"x{suffix}", np.repeat(SIGNAL, 3)[None], 48_000, codec)
    assert suffix in READABLE_SUFFIXES
    assert probe(path).sample_rate == 48_000


@pytest.mark.parametrize(
    ("suffix", "container"), [(".aifc", "AIFF"), (".snd", "AU"), (".sph", "NIST")]
)
def test_rarer_suffixes_of_plain_samples(tmp_path: Path, suffix: str, container: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(recording(container))
    assert suffix in READABLE_SUFFIXES
    np.testing.assert_array_equal(read(path)[0][0], SIGNAL)


@pytest.mark.parametrize("channels", [2_000, 0x025A7461, 0xFF000000])
def test_channels_beyond_reason_take_no_memory(tmp_path: Path, channels: int) -> None:
    """A sample of all of them would be gigabytes long, and part of one is there."""
    path = tmp_path / "a.au"
    path.write_bytes(b".snd" + struct.pack(">IIIII", 24, 4000, 3, 8000, channels) + bytes(501))
    tracemalloc.start()
    try:
        with pytest.raises(AudioError, match="is not audio, or is damaged|holds no sound"):
            probe(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()
