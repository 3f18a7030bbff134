"""Recordings joined end to end, several chunks of samples, and tags in front of a container."""

import io
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.audio import read
from speechduet.audio.tags import read_tags
from speechduet.audio.wav_arrival import read_samples
from speechduet.audio.wav_stream import read_header
from speechduet.errors import AudioError

RATE = 8_000
SIGNAL = np.rint(np.random.default_rng(0).uniform(-9000, 9000, 8_000)) / 32768
CONTAINERS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "CAF", "AU")
TAG = b"ID3\x04\0\0\0\0\x01\x20" + bytes(160)
LIST = b"LIST\x1a\0\0\0INFOINAM\x0e\0\0\0abcdefghijklm\0"


def recording(container: str, samples=SIGNAL, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, "PCM_16", format=container)
    return file.getvalue()


def read_bytes(folder: Path, data: bytes) -> tuple[np.ndarray, list[str]]:
    path = folder / "x.bin"
    path.write_bytes(data)
    notes: list[str] = []
    samples, rate = read(path, notify=notes.append)
    assert rate == RATE
    return samples[0], notes


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("other", CONTAINERS)
def test_all_recordings_of_a_file_are_read(tmp_path: Path, container: str, other: str) -> None:
    first, second = recording(container), recording(other, SIGNAL[::-1])
    samples, (note,) = read_bytes(tmp_path, first + second + first)
    np.testing.assert_array_equal(samples, np.concatenate([SIGNAL, SIGNAL[::-1], SIGNAL]))
    assert "holds 3 recordings" in note


def test_chunks_may_stand_between_recordings(tmp_path: Path) -> None:
    whole = recording("WAV") + LIST
    samples, notes = read_bytes(tmp_path, whole + whole)
    np.testing.assert_array_equal(samples, np.tile(SIGNAL, 2))
    assert len(notes) == 1


def test_another_rate_is_brought_to_that_of_the_beginning(tmp_path: Path) -> None:
    stereo = np.stack([SIGNAL, SIGNAL], 1)
    samples, notes = read_bytes(tmp_path, recording("WAV") + recording("WAV", stereo, 2 * RATE))
    assert len(samples) == 12_000
    assert "changes to 16000 Hz with 2 channels" in notes[1]


@pytest.mark.parametrize("rate", [7, 8_000_001])
def test_a_rate_that_is_far_from_the_first_is_damage(tmp_path: Path, rate: int) -> None:
    with pytest.raises(AudioError, match=f"x.bin changes from 8,000 to {rate:,} Hz midway"):
        read_bytes(tmp_path, recording("WAV") + recording("WAV", rate=rate))


def test_another_recording_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    other = bytearray(recording("WAV"))
    other[20:22] = b"\x05\x50"
    samples, notes = read_bytes(tmp_path, recording("WAV") + other)
    np.testing.assert_array_equal(samples, SIGNAL)
    assert "without recording 2" in notes[1]


def test_a_recording_behind_another_is_no_tag(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes((recording("WAV") + LIST) * 2)
    assert [chunk.title for chunk in read_tags(path).chunks] == ["LIST INFO"]


def test_mp3_in_wav_is_read_once_with_a_warning(tmp_path: Path, encode) -> None:
    path = encode(tmp_path / "x.wav", SIGNAL[None], RATE, "libmp3lame")
    alone = read(path)[0][0]
    samples, notes = read_bytes(tmp_path, path.read_bytes() * 2)
    assert len(samples) == len(alone)
    assert any("another recording behind it is left out" in note for note in notes)


def test_a_stream_passes_another_recording_over() -> None:
    stream = io.BufferedReader(io.BytesIO(recording("WAV") * 2))
    notes: list[str] = []
    blocks = list(read_samples(stream, read_header(stream)[0], notify=notes.append))
    assert sum(map(len, blocks)) == len(SIGNAL)
    assert "16044 bytes behind its samples that are passed over" in notes[0]


class Trickle(io.BytesIO):
    """Gives what has come: seven bytes at a time."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return self.read(7 if size is None or size < 0 else min(7, size))


@pytest.mark.parametrize("between", [b"", LIST, LIST + LIST])
@pytest.mark.parametrize("stream", [io.BytesIO, Trickle])
@pytest.mark.parametrize("behind", [b"", LIST, b"?" * 33])
def test_several_chunks_of_samples_in_a_stream(
    between: bytes, stream: type[io.BytesIO], behind: bytes
) -> None:
    whole = bytearray(recording("WAV"))
    more = between + whole[36:] + between + whole[36:] + behind
    whole[4:8] = struct.pack("<I", len(whole) + len(more) - 8)
    source = stream(whole + more)
    notes: list[str] = []
    header = read_header(source)[0]
    assert header is not None
    samples = np.concatenate(list(read_samples(source, header, notify=notes.append)))
    np.testing.assert_array_equal(samples[:, 0], np.tile(SIGNAL, 3))
    (note,) = notes
    assert "holds 24000 samples where its header promises 8000" in note
    assert source.read() == b""


def test_an_odd_chunk_of_samples_in_a_stream(tmp_path: Path) -> None:
    file = io.BytesIO()
    soundfile.write(file, SIGNAL[:-1], RATE, "PCM_U8", format="WAV")
    whole = bytearray(file.getvalue())
    more = whole[36:]
    whole[4:8] = struct.pack("<I", len(whole) + len(more) - 8)
    source = io.BytesIO(whole + more)
    header = read_header(source)[0]
    assert header is not None
    with pytest.warns(match="holds 15998 samples"):
        samples = np.concatenate(list(read_samples(source, header)))
    np.testing.assert_allclose(samples[:, 0], np.tile(SIGNAL[:-1], 2), atol=0.01)


@pytest.mark.parametrize("between", [b"", LIST])
def test_several_chunks_of_samples(tmp_path: Path, between: bytes) -> None:
    whole = bytearray(recording("WAV"))
    more = between + whole[36:]
    whole[4:8] = struct.pack("<I", len(whole) + len(more) - 8)
    samples, (note,) = read_bytes(tmp_path, whole + more)
    np.testing.assert_array_equal(samples, np.tile(SIGNAL, 2))
    assert "holds 2 recordings" in note


def test_an_empty_chunk_of_samples_before_the_real_one(tmp_path: Path) -> None:
    whole = recording("WAV")
    samples, notes = read_bytes(tmp_path, whole[:36] + b"data\0\0\0\0" * 2 + whole[36:])
    np.testing.assert_array_equal(samples, SIGNAL)
    assert notes == []


def test_a_second_recording_that_is_cut_right_behind_its_header(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="truncated: 0.00 s"):
        read_bytes(tmp_path, recording("WAV") + recording("WAV")[:44])


def test_samples_that_are_said_to_begin_at_the_header(tmp_path: Path) -> None:
    data = bytearray(recording("AU"))
    data[4:12] = bytes(4) + b"\xff" * 4
    with suppress(AudioError):
        read_bytes(tmp_path, data)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("tags", [1, 2])
def test_tags_in_front_are_skipped(tmp_path: Path, container: str, tags: int) -> None:
    samples, notes = read_bytes(tmp_path, TAG * tags + recording(container))
    np.testing.assert_array_equal(samples, SIGNAL)
    assert notes == []
