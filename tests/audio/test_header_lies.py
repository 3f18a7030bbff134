"""Headers that state a wrong length: every sample that is there is read."""

import io
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from speechduet.audio import probe, read, read_blocks
from speechduet.audio.wav_arrival import read_samples
from speechduet.audio.wav_stream import read_header
from speechduet.errors import AudioError

RATE = 8_000
SAMPLES = 8_000
CONTAINERS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "CAF", "AU")
SIGNAL = np.rint(np.random.default_rng(0).uniform(-9000, 9000, SAMPLES)) / 32768


def recording(container: str, subtype: str = "PCM_16", channels: int = 1) -> bytearray:
    file = io.BytesIO()
    samples = np.repeat(SIGNAL[:, None], channels, axis=1)
    soundfile.write(file, samples, RATE, subtype, format=container)
    return bytearray(file.getvalue())


def state(data: bytearray, container: str, change) -> bytearray:
    """The recording with another size of its samples in its header."""
    data = bytearray(data)
    if container in ("WAV", "WAVEX"):
        place, form = data.index(b"data") + 4, "<I"
    elif container == "RF64":
        place, form = data.index(b"ds64") + 16, "<Q"
    elif container == "W64":
        place, form = data.index(b"data\xf3\xac") + 16, "<Q"
    elif container == "AIFF":
        place, form = data.index(b"SSND") + 4, ">I"
    elif container == "CAF":
        place, form = data.index(b"data") + 4, ">Q"
    else:
        place, form = 8, ">I"
    (size,) = struct.unpack_from(form, data, place)
    most = (1 << 8 * struct.calcsize(form)) - 1
    struct.pack_into(form, data, place, change(size, most))
    return data


def read_bytes(folder: Path, data: bytes, **options) -> tuple[np.ndarray, list[str]]:
    path = folder / "x.bin"
    path.write_bytes(data)
    notes: list[str] = []
    samples, rate = read(path, notify=notes.append, **options)
    assert rate == RATE
    assert all("x.bin " in note and "\n" not in note for note in notes)
    return samples, notes


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(
    "change",
    [
        lambda size, most: 0,
        lambda size, most: most,
        lambda size, most: size + 1,
        lambda size, most: size + 44,
        lambda size, most: size + 2000,
        lambda size, most: size - 1,
        lambda size, most: size - 44,
        lambda size, most: size // 2,
    ],
    ids=["0", "all ones", "+1", "+44", "+2000", "-1", "-44", "half"],
)
def test_a_wrong_size_costs_no_sample(tmp_path: Path, container: str, change) -> None:
    samples, notes = read_bytes(tmp_path, state(recording(container), container, change))
    np.testing.assert_array_equal(samples[0], SIGNAL)
    assert notes


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_missing_last_byte(tmp_path: Path, container: str, subtype: str, channels: int) -> None:
    data = recording(container, subtype, channels)
    data = (
        data[:-1]
        if container != "CAF"
        else data[: data.index(b"data") + 16 + cut(subtype) * channels * SAMPLES - 1]
    )
    samples, notes = read_bytes(tmp_path, data)
    assert samples.shape == (channels, SAMPLES)
    np.testing.assert_array_equal(samples[:, :-1], np.tile(SIGNAL[:-1], (channels, 1)))
    assert abs(samples[:, -1] - SIGNAL[-1]).max() < 1
    assert len(notes) == 1 and "completed with zeros" in notes[0]


def cut(subtype: str) -> int:
    return {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}[subtype]


@pytest.mark.parametrize("container", CONTAINERS)
def test_honest_files_are_read_in_silence(tmp_path: Path, container: str) -> None:
    for subtype in ("PCM_16", "PCM_24", "FLOAT", "ULAW"):
        for channels in (1, 2):
            samples, notes = read_bytes(tmp_path, recording(container, subtype, channels))
            assert samples.shape == (channels, SAMPLES) and notes == []


@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF, 2 * SAMPLES - 44, 2 * SAMPLES + 10])
def test_chunks_behind_the_samples_are_no_sound(tmp_path: Path, size: int | None) -> None:
    data = recording("WAV")
    if size is not None:
        data[40:44] = struct.pack("<I", size)
    body = b"INFOISFT" + struct.pack("<I", 6) + b"maker\0"
    data += (
        b"LIST" + struct.pack("<I", len(body)) + body + b"id3 " + struct.pack("<I", 4) + b"ID3\4"
    )
    data[4:8] = struct.pack("<I", len(data) - 8)
    samples, notes = read_bytes(tmp_path, data)
    np.testing.assert_array_equal(samples[0], SIGNAL)
    assert bool(notes) == (size is not None)


@pytest.mark.parametrize("size", [0, 36, 1000, 0xFFFFFFFF])
def test_a_wrong_size_of_the_whole_alone(tmp_path: Path, size: int) -> None:
    data = recording("WAV")
    data[4:8] = struct.pack("<I", size)
    np.testing.assert_array_equal(read_bytes(tmp_path, data)[0][0], SIGNAL)


@pytest.mark.parametrize("junk", [b"\0" * 100, b"TAG" + bytes(125), b"\x81\x92\xa3" * 33])
def test_what_is_no_sound_behind_a_whole_file(tmp_path: Path, junk: bytes) -> None:
    samples, notes = read_bytes(tmp_path, bytes(recording("WAV")) + junk)
    np.testing.assert_array_equal(samples[0], SIGNAL)
    assert f"{len(junk)} bytes behind its samples are passed over" in notes[0]


def test_a_recorder_that_was_switched_off(tmp_path: Path) -> None:
    # Both sizes are those of an earlier moment; seconds follow.
    data = recording("WAV")
    data[40:44], data[4:8] = struct.pack("<I", 2000), struct.pack("<I", 2036)
    np.testing.assert_array_equal(read_bytes(tmp_path, data)[0][0], SIGNAL)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("unknown", [True, False])
def test_a_header_alone(tmp_path: Path, container: str, unknown: bool) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(0), RATE, "PCM_16", format=container)
    data = bytearray(file.getvalue())
    if unknown:
        data = state(data, container, lambda size, most: most)
    with pytest.raises(AudioError, match="x.bin (holds no s|is not audio)"):
        read_bytes(tmp_path, data)


@pytest.mark.parametrize("frames", [0, 1, SAMPLES - 10, SAMPLES + 10])
def test_aiff_that_counts_its_samples_wrongly(tmp_path: Path, frames: int) -> None:
    data = recording("AIFF")
    place = data.index(b"COMM") + 10
    data[place : place + 4] = struct.pack(">I", frames)
    samples, notes = read_bytes(tmp_path, data)
    np.testing.assert_array_equal(samples[0], SIGNAL)
    assert "two lengths" in notes[0]


@pytest.mark.parametrize("total", [0, 1, SAMPLES - 10, SAMPLES + 10])
def test_flac_of_another_or_an_unknown_length(tmp_path: Path, total: int) -> None:
    data = recording("FLAC")
    data[21] &= 0xF0
    data[22:26] = struct.pack(">I", total)
    samples, notes = read_bytes(tmp_path, data)
    np.testing.assert_array_equal(samples[0], SIGNAL)
    assert len(notes) == 1


@pytest.mark.parametrize(
    "around", [(b"", b"garbage" * 50), (b"ID3\4" + bytes(5) + b"\x0a" + bytes(10), b"")]
)
def test_flac_with_what_is_not_flac(tmp_path: Path, around: tuple[bytes, bytes]) -> None:
    data = around[0] + bytes(recording("FLAC")) + around[1]
    np.testing.assert_array_equal(read_bytes(tmp_path, data)[0][0], SIGNAL)
    assert probe(tmp_path / "x.bin").subtype == "PCM_16"


# Whatever the header says and wherever the file ends


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["PCM_U8", "PCM_16", "PCM_24", "FLOAT"]),
    st.sampled_from([1, 2]),
    st.integers(-400, 400),
    st.integers(0, 500),
    st.sampled_from([True, False]),
)
def test_no_silent_loss(
    tmp_path_factory, subtype: str, channels: int, lie: int, lost: int, outer_too: bool
) -> None:
    data = recording("WAV", subtype, channels)
    place = data.index(b"data") + 8
    width = channels * {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "FLOAT": 4}[subtype]
    whole = len(data) - place
    data[place - 4 : place] = struct.pack("<I", whole + lie)
    if outer_too:
        data[4:8] = struct.pack("<I", place - 8 + whole + lie)
    data = data[: len(data) - lost]
    folder = tmp_path_factory.mktemp("lies")
    samples, notes = read_bytes(folder, data)
    # Two sizes that agree are believed, unless they end in the middle of a sample.
    believed = outer_too and (whole + lie) % width == 0
    promised = min(whole + lie, whole - lost) if believed else whole - lost
    if whole + lie == whole - lost - 1 and width == 1 and not outer_too and lie % 2:
        promised -= 1  # one byte behind an odd size is its padding, or nobody can know
    assert samples.shape[1] in (promised // width, -(-promised // width))
    if lie != -lost and abs(lie + lost) > 1:
        assert notes
    arrived, pipe_notes = through_pipe(bytes(data))
    assert arrived.shape[0] == samples.shape[1], (notes, pipe_notes)
    np.testing.assert_allclose(arrived.T, samples, atol=1e-7)
    if (whole + lie) % width == 0:
        assert bool(pipe_notes) == bool(notes), (pipe_notes, notes)


def through_pipe(data: bytes) -> tuple[np.ndarray, list[str]]:
    stream = io.BytesIO(data)
    header, _ = read_header(stream)
    notes: list[str] = []
    assert header is not None
    return np.concatenate(list(read_samples(stream, header, notify=notes.append))), notes


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 16_044), st.sampled_from(CONTAINERS))
def test_no_end_of_a_file_is_a_traceback(tmp_path_factory, length: int, container: str) -> None:
    path = tmp_path_factory.mktemp("cut") / "x.bin"
    data = recording(container)
    path.write_bytes(data[:length])
    notes: list[str] = []
    try:
        found = sum(map(len, read_blocks(path, notify=notes.append)))
    except AudioError as error:
        assert "\n" not in str(error)
    else:
        assert found == SAMPLES or notes or found == 0


KINDS = [*CONTAINERS, "FLAC", "OGG", "MP3"]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.lists(st.tuples(st.integers(0, 200), st.binary(min_size=1, max_size=8)), max_size=5),
    st.booleans(),
)
def test_no_damaged_header_is_a_traceback(
    tmp_path_factory, container: str, changes: list[tuple[int, bytes]], salvage: bool
) -> None:
    file = io.BytesIO()
    soundfile.write(file, SIGNAL, RATE, format=container)
    data = bytearray(file.getvalue())
    for place, bad in changes:
        data[place : place + len(bad)] = bad
    path = tmp_path_factory.mktemp("damaged") / "x.bin"
    path.write_bytes(data)
    try:
        read(path, salvage=salvage, notify=lambda text: None)
    except AudioError as error:
        assert str(path) in str(error) and "\n" not in str(error)


@pytest.mark.parametrize(
    ("container", "name", "offset", "bad"),
    [
        ("AIFF", b"COMM", 16, b"\x7f\xff"),
        ("CAF", b"desc", 4, b"\x7f" + b"\xff" * 7),
        ("W64", b"fmt ", 16, b"\xff" * 7 + b"\x7f"),
        ("RF64", b"ds64", 0, b"junk"),
    ],
)
def test_absurd_numbers(
    tmp_path: Path, container: str, name: bytes, offset: int, bad: bytes
) -> None:
    data = recording(container)
    place = data.index(name) + offset
    data[place : place + len(bad)] = bad
    path = tmp_path / "x.bin"
    path.write_bytes(data)
    # Nothing else than an AudioError.
    with suppress(AudioError):
        read(path, notify=lambda text: None)
