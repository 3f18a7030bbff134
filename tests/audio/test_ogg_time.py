"""Time stamps of Ogg: gaps, steps back, late starts, pages that are missing; several tracks."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.audio import probe, read
from speechduet.audio.ogg import checksum

RATE = 48_000
SIGNAL = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 8 * RATE)).astype(np.float32)
KINDS = ["OPUS", "VORBIS", "FLAC"]


@pytest.fixture
def made(tmp_path: Path, encode):
    """The pages of a recording in Ogg."""

    def make(kind: str, samples: np.ndarray = SIGNAL) -> list[bytes]:
        path = tmp_path / "made.oga"
        if kind == "FLAC":
            encode(path, samples, RATE, "flac")
        else:
            soundfile.write(path, samples.T, RATE, kind, format="OGG")
        return pages(path.read_bytes())

    return make


def read_with_notes(path: Path, **options) -> tuple[np.ndarray, str]:
    notes: list[str] = []
    samples, _ = read(path, notify=notes.append, **options)
    assert all(path.name in note and "\n" not in note for note in notes)
    return samples, " | ".join(notes)


def pages(data: bytes) -> list[bytes]:
    found = []
    while data:
        count = data[26]
        length = 27 + count + sum(data[27 : 27 + count])
        found.append(data[:length])
        data = data[length:]
    return found


def later(page: bytes, samples: int) -> bytes:
    """The same page with another time stamp."""
    stamp = int.from_bytes(page[6:14], "little", signed=True) + samples
    page = page[:6] + stamp.to_bytes(8, "little", signed=True) + page[14:22] + bytes(4) + page[26:]
    return page[:22] + checksum(page).to_bytes(4, "little") + page[26:]


def silence(samples: np.ndarray) -> tuple[int, int]:
    """Where the longest silence begins and ends."""
    loud = np.flatnonzero(np.abs(samples[0]) > 1e-7)
    longest = int(np.argmax(np.diff(loud)))
    return int(loud[longest]) + 1, int(loud[longest + 1])


def silent_s(samples: np.ndarray) -> float:
    start, stop = silence(samples)
    return (stop - start) / RATE


def shifted(parts: list[bytes], start: int, samples: int) -> list[bytes]:
    """Pages with later time stamps from one on."""
    return [*parts[:start], *(later(page, samples) for page in parts[start:])]


def put(folder: Path, parts: list[bytes]) -> Path:
    path = folder / "x.ogg"
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_gap_becomes_silence(tmp_path: Path, made, kind: str) -> None:
    parts = made(kind)
    whole, nothing = read_with_notes(put(tmp_path, parts))
    assert nothing == ""
    gap = round(1.5 * RATE)
    samples, notes = read_with_notes(put(tmp_path, shifted(parts, len(parts) // 2, gap)))
    assert "has gaps in its sound (once, 1.5" in notes
    assert abs(samples.shape[1] - whole.shape[1] - gap) < 0.03 * RATE
    assert silent_s(samples) == pytest.approx(1.5, abs=0.05)
    np.testing.assert_allclose(samples[0, -RATE:], whole[0, -RATE:], atol=0.05)
    np.testing.assert_allclose(samples[0, :RATE], whole[0, :RATE], atol=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_back(tmp_path: Path, made, kind: str) -> None:
    parts, step = made(kind), RATE // 2
    whole, _ = read_with_notes(put(tmp_path, parts))
    samples, notes = read_with_notes(put(tmp_path, shifted(parts, len(parts) // 2, -step)))
    assert "has sound that overlaps what is before it" in notes
    assert samples.shape[1] == pytest.approx(whole.shape[1] - step, abs=0.1 * RATE)


@pytest.mark.parametrize(
    ("kind", "late_s"),
    # Vorbis leaves out what is before 0: so it is cut to a sample.
    [("OPUS", -0.2), ("FLAC", -0.2), ("OPUS", 1.5), ("FLAC", 1.5), ("VORBIS", 1.5)],
)
def test_a_clock_that_begins_anywhere(tmp_path: Path, made, kind: str, late_s: float) -> None:
    parts = made(kind)
    whole, _ = read_with_notes(put(tmp_path, parts))
    headers = sum(not any(page[6:14]) for page in parts)
    samples, notes = read_with_notes(put(tmp_path, shifted(parts, headers, round(late_s * RATE))))
    assert notes == "" and samples.shape == whole.shape and silent_s(samples) < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_a_station_that_is_joined_midway(tmp_path: Path, made, kind: str) -> None:
    parts = made(kind)
    headers, half = sum(not any(page[6:14]) for page in parts), len(parts) // 2
    samples, notes = read_with_notes(put(tmp_path, parts[:headers] + parts[half:]))
    assert "lacks" in notes and "gaps" not in notes
    assert silent_s(samples) < 0.02 and 3 * RATE < samples.shape[1] < 6 * RATE


@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_page_is_silent_in_its_place(tmp_path: Path, made, kind: str) -> None:
    parts = made(kind)
    whole, _ = read_with_notes(put(tmp_path, parts))
    samples, notes = read_with_notes(put(tmp_path, parts[:4] + parts[5:]))
    assert "gaps in its sound (once" in notes and samples.shape == whole.shape
    start, stop = silence(samples)
    before, behind = samples[0, : start - 2000], samples[0, stop + 6000 :]
    np.testing.assert_allclose(before, whole[0, : before.size], atol=0.05)
    np.testing.assert_allclose(behind, whole[0, -behind.size :], atol=0.05)
    assert 0.3 < silent_s(samples) < 1.2


@pytest.mark.parametrize("kind", ["OPUS", "VORBIS"])
def test_where_libsndfile_gives_up_ffmpeg_goes_on(
    tmp_path: Path, made, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = put(tmp_path, made(kind))
    whole, _ = read_with_notes(path)
    reading = soundfile.SoundFile.read

    def broken(file: soundfile.SoundFile, *args, **options):
        if file.tell() > 2 * RATE:
            raise soundfile.LibsndfileError(1)
        return reading(file, *args, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", broken)
    samples, notes = read_with_notes(path)
    assert notes == "" and abs(samples.shape[1] - whole.shape[1]) < 1000
    np.testing.assert_allclose(samples[0, : 7 * RATE], whole[0, : 7 * RATE], atol=0.01)


# Several tracks


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("track", [None, 1, 2])
def test_tracks(tmp_path: Path, made, kind: str, track: int | None) -> None:
    one, two = made(kind), made(kind, np.repeat(0.1 * SIGNAL[:, : 3 * RATE], 2, axis=0))
    headers = sum(not any(page[6:14]) for page in one)
    parts = [page for pair in zip(one[:headers], two[:headers], strict=True) for page in pair]
    path = put(tmp_path, parts + two[headers:] + one[headers:])
    samples, notes = read_with_notes(path, track=track)
    assert ("has 2 sound tracks" in notes) == (track is None)
    assert len(samples) == probe(path, track=track).channels == (2 if track == 2 else 1)
    assert samples.shape[1] == pytest.approx((3 if track == 2 else 8) * RATE, abs=0.1 * RATE)
    if kind != "FLAC":
        assert (probe(path, track=track).container, probe(path).subtype) == ("OGG", kind)
