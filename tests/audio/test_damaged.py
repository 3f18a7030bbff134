"""Compressed sound in pieces, with tags, or damaged: what can be decoded is, the rest is noted."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.audio import read
from speechduet.audio.ogg import chain_of
from speechduet.errors import AudioError

RATE = 16_000


def noise(size: int) -> bytes:
    """Bytes that mean nothing."""
    return np.random.default_rng(1).bytes(size)


def sound(seconds: float = 4, rate: int = RATE, channels: int = 1) -> np.ndarray:
    # The same in every test, alone or in company.
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (channels, round(seconds * rate)))
    return noise.astype(np.float32)


def made(container: str, subtype: str | None = None, **kind) -> bytes:
    file = io.BytesIO()
    rate = kind.get("rate", RATE)
    soundfile.write(file, sound(**kind).T, rate, subtype, format=container)
    return file.getvalue()


def read_bytes(folder: Path, data: bytes, suffix: str = ".bin", **options):
    path = folder / f"x{suffix}"
    path.write_bytes(data)
    notes: list[str] = []
    samples, rate = read(path, notify=notes.append, **options)
    assert all(f"x{suffix}" in note and "\n" not in note for note in notes)
    return samples, rate, " | ".join(notes)


# Ogg


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_every_recording_of_a_chain(tmp_path: Path, subtype: str) -> None:
    data = (
        made("OGG", subtype) + made("OGG", subtype, seconds=2.5) + made("OGG", subtype, seconds=1)
    )
    samples, rate, notes = read_bytes(tmp_path, data)
    assert (samples.shape, rate, notes) == ((1, 120_000), RATE, "")


@pytest.mark.parametrize("first", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("second", ["VORBIS", "OPUS"])
def test_a_chain_of_unlike_recordings(tmp_path: Path, first: str, second: str) -> None:
    data = made("OGG", first) + made("OGG", second, seconds=2, rate=48_000, channels=2)
    samples, rate, notes = read_bytes(tmp_path, data)
    assert (samples.shape, rate) == ((1, 6 * RATE), RATE)
    assert "changes to 48000 Hz with 2 channels midway" in notes


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_bytes_that_are_no_ogg(tmp_path: Path, subtype: str, place: int) -> None:
    parts = [made("OGG", subtype), made("OGG", subtype)]
    parts.insert(place, noise(3000))
    if place == 0:
        parts[0] = b"OggS" + parts[0]
    samples, _, notes = read_bytes(tmp_path, b"".join(parts))
    assert samples.shape == (1, 8 * RATE)
    assert "bytes that are no sound or damaged" in notes


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_damaged_page_keeps_the_time(tmp_path: Path, subtype: str) -> None:
    data = bytearray(made("OGG", subtype, seconds=8))
    middle = len(data) // 2
    data[middle : middle + 20] = bytes(20)
    samples, _, notes = read_bytes(tmp_path, data)
    assert abs(samples.shape[1] - 8 * RATE) < 0.03 * RATE
    assert "gaps in its sound (once" in notes and "1 pages are missing" in notes
    silent = np.flatnonzero(np.abs(samples[0]) < 1e-6)
    assert silent.size > 0.3 * RATE


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_that_is_cut(tmp_path: Path, subtype: str) -> None:
    data = made("OGG", subtype, seconds=8)
    data = data[: len(data) // 2]
    with pytest.raises(AudioError, match=r"is truncated: [1-4]\.\d\d s .* expected a last page"):
        read_bytes(tmp_path, data)
    samples, _, notes = read_bytes(tmp_path, data, salvage=True)
    assert "is truncated" in notes and samples.shape[1] > RATE


def test_ogg_without_the_mark_of_its_end(tmp_path: Path) -> None:
    data = made("OGG", "VORBIS")
    (link,) = chain_of(io.BytesIO(data)).links
    assert link.ended
    _, _, notes = read_bytes(tmp_path, data[: data.rindex(b"OggS")])
    assert "ends without the mark of its last page" in notes


# MP3


def tag(size: int) -> bytes:
    digits = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\4\0\0" + digits + noise(size)


APE = (
    b"APETAGEX"
    + (2000).to_bytes(4, "little")
    + (132).to_bytes(4, "little")
    + bytes(4)
    + ((5 << 29).to_bytes(4, "little") + bytes(8) + bytes(132))
)


@pytest.mark.parametrize(
    "end",
    [bytes(100), bytes(5000), b"TAG" + bytes(125), APE, noise(3000), tag(500)],
    ids=["zeros", "many zeros", "ID3v1", "APE", "noise", "ID3v2"],
)
def test_mp3_with_something_at_its_end(tmp_path: Path, end: bytes) -> None:
    samples, _, _ = read_bytes(tmp_path, made("MP3") + end)
    assert 4 * RATE <= samples.shape[1] < 4.15 * RATE


@pytest.mark.parametrize(
    "between",
    [b"", tag(300), tag(200_000), b"TAG" + bytes(125), b"TAG" + bytes(125) + tag(2000), APE],
    ids=["nothing", "ID3", "picture", "ID3v1", "both", "APE"],
)
def test_mp3_files_put_together(tmp_path: Path, between: bytes) -> None:
    samples, _, _ = read_bytes(tmp_path, made("MP3") + between + made("MP3", seconds=3))
    assert abs(samples.shape[1] - 7 * RATE) < 0.25 * RATE


@pytest.mark.parametrize(
    "kind", [{"rate": 44_100, "channels": 2}, {"channels": 2}, {"rate": 8_000}]
)
def test_mp3_that_changes_midway(tmp_path: Path, kind: dict[str, int]) -> None:
    samples, rate, notes = read_bytes(tmp_path, made("MP3") + made("MP3", seconds=3, **kind))
    assert rate == RATE and samples.shape[0] == 1
    assert abs(samples.shape[1] - 7 * RATE) < 0.3 * RATE
    assert "midway" in notes


@pytest.mark.parametrize("length", [10, 600, 3000])
def test_mp3_with_bad_bytes_in_its_midst(tmp_path: Path, length: int) -> None:
    data = bytearray(made("MP3", seconds=8))
    middle = len(data) // 2
    data[middle : middle + length] = noise(length)
    samples, _, notes = read_bytes(tmp_path, data)
    assert abs(samples.shape[1] - 8 * RATE) < 0.5 * RATE
    assert length == 10 or "cannot be decoded" in notes


def test_mp3_that_is_cut(tmp_path: Path) -> None:
    data = made("MP3", seconds=8)
    with pytest.raises(AudioError, match=r"is truncated: [34]\.\d\d s .* expected the 8\.\d\d s"):
        read_bytes(tmp_path, data[: len(data) // 2])


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("cut", ["end", "middle"])
def test_mp3_that_is_damaged_and_cut(tmp_path: Path, sized: bool, cut: str) -> None:
    data = bytearray(made("MP3", seconds=20))
    if not sized:  # it may leave out how many bytes it has
        data[data.index(b"Xing") + 7] &= ~2
    data[9000:9300] = noise(300)
    half = len(data) // 2
    data = data[:half] if cut == "end" else data[: half // 2] + data[half + half // 2 :]
    with pytest.raises(AudioError, match=r"is truncated: \d+\.\d\d s .* expected the 20\.\d\d s"):
        read_bytes(tmp_path, data)
    samples, _, notes = read_bytes(tmp_path, data, salvage=True)
    assert "is truncated" in notes and samples.shape[1] > 8 * RATE


# What FFmpeg writes


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".aac", "aac"), (".m4a", "aac"), (".mka", "flac")],
)
def test_a_bad_packet_costs_itself_alone(tmp_path: Path, encode, suffix: str, codec: str) -> None:
    data = encode(tmp_path / f"good{suffix}", sound(12), RATE, codec).read_bytes()
    good, _, nothing = read_bytes(tmp_path, data, suffix)
    assert nothing == ""
    middle = len(data) // 2
    data = data[:middle] + noise(700) + data[middle + 700 :]
    samples, _, notes = read_bytes(tmp_path, data, suffix)
    assert "cannot be decoded" in notes or "gaps" in notes
    if suffix == ".aac":  # without time stamps what is lost can only be estimated
        assert abs(samples.shape[1] - good.shape[1]) <= 2048
        return
    assert samples.shape == good.shape
    at = np.flatnonzero(samples[0] != good[0])
    assert at.size and at[-1] - at[0] < 1.2 * RATE


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "aac"), (".webm", "libopus")])
def test_matroska_goes_on_behind_what_is_damaged(
    tmp_path: Path, encode, suffix: str, codec: str
) -> None:
    data = encode(tmp_path / f"good{suffix}", sound(20, 48_000), 48_000, codec).read_bytes()
    good, _, _ = read_bytes(tmp_path, data, suffix)
    middle = len(data) // 2
    damaged = data[:middle] + noise(3000) + data[middle + 3000 :]
    samples, _, notes = read_bytes(tmp_path, damaged, suffix)
    assert abs(samples.shape[1] - good.shape[1]) < 2500
    assert "gaps in its sound" in notes
    np.testing.assert_allclose(samples[0, -48_000:-9_600], good[0, -48_000:-9_600], atol=0.01)


def test_flac_with_a_bad_frame(tmp_path: Path) -> None:
    data = bytearray(made("FLAC", seconds=8))
    good, _, _ = read_bytes(tmp_path, data)
    data[len(data) // 2 : len(data) // 2 + 50] = bytes(50)
    samples, _, notes = read_bytes(tmp_path, data)
    assert samples.shape == good.shape and "gaps in its sound (once, 0.26 s" in notes
    bad = samples[0] != good[0]
    assert 0 < bad.sum() <= 4096 and not samples[0, bad].any()


@pytest.mark.parametrize("first", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("second", ["PCM_16", "PCM_24"])
def test_flac_of_other_bits_put_behind(tmp_path: Path, first: str, second: str) -> None:
    data = made("FLAC", first) + made("FLAC", second, seconds=3) + made("FLAC", first)
    samples, rate, notes = read_bytes(tmp_path, data)
    assert (samples.shape, rate) == ((1, 11 * RATE), RATE) and "decoded" not in notes
    np.testing.assert_allclose(samples[0, 4 * RATE : 7 * RATE], sound(3)[0], atol=1e-4)
    np.testing.assert_allclose(samples[0, 7 * RATE :], sound()[0], atol=1e-4)


@pytest.mark.parametrize("seconds", [(0.5, 0.5), (2.5, 0.5), (0.1, 3), (1, 1, 1)])
@pytest.mark.parametrize("rate", [RATE, RATE // 2])
def test_flac_put_behind_is_read_whole(tmp_path: Path, seconds: tuple, rate: int) -> None:
    first, *others = seconds
    data = made("FLAC", seconds=first)
    data += b"".join(made("FLAC", seconds=length, rate=rate) for length in others)
    samples, _, notes = read_bytes(tmp_path, data)
    assert samples.shape == (1, round(sum(seconds) * RATE))
    assert f"{len(seconds)} recordings joined" in notes
    assert "stamps" not in notes and "overlaps" not in notes


def test_flac_in_a_picture_is_no_sound(tmp_path: Path) -> None:
    data, other = made("FLAC", seconds=1), made("FLAC", seconds=2)
    picture = b"\x06" + len(other).to_bytes(3, "big") + other
    samples, _, notes = read_bytes(tmp_path, data[:42] + picture + data[42:])
    assert samples.shape == (1, RATE) and not notes


@pytest.mark.parametrize("behind", [True, False])
def test_flac_joined_with_one_that_is_cut(tmp_path: Path, behind: bool) -> None:
    data = made("FLAC", seconds=2)
    cut = data[: len(data) // 3]
    with pytest.raises(AudioError, match="truncated"):
        read_bytes(tmp_path, data + cut if behind else cut + data)


@pytest.mark.parametrize("rate", [RATE // 2, 3 * RATE])
def test_flac_whose_header_states_another_rate(tmp_path: Path, rate: int) -> None:
    data = bytearray(made("FLAC", seconds=2))
    data[18:21] = (rate << 4 | data[20] & 0xF).to_bytes(3, "big")
    samples, stated, notes = read_bytes(tmp_path, data)
    assert (samples.shape, stated) == ((1, 2 * rate), rate) and "gaps" not in notes


def test_of_which_nothing_can_be_decoded(tmp_path: Path) -> None:
    data = made("MP3")
    with pytest.raises(AudioError):
        read_bytes(tmp_path, data[:4] + noise(len(data)).replace(b"\xff", b"\0"))


def test_native_libraries_stay_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = made("MP3")
    read_bytes(tmp_path, data + noise(3000))
    read_bytes(tmp_path, bytes(data[:5000]) + noise(600) + data[5600:])
    assert capfd.readouterr() == ("", "")
