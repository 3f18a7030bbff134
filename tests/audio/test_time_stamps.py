"""Gaps, late starts, overlaps and errors in time stamps; several sound tracks."""

from pathlib import Path

import numpy as np
import pytest

from speechduet.audio import probe, read, read_blocks
from speechduet.audio.timeline import (
    LIMIT_S,
    MOST_SILENCE_RATIO,
    MOST_SILENCE_S,
    Frame,
    Timeline,
)
from speechduet.errors import AudioError

RATE = 48_000
RNG = np.random.default_rng(0)
SIGNAL = RNG.uniform(-0.5, 0.5, (1, 4 * RATE)).astype(np.float32)
STAMPED = [
    (".mp4", "aac"), (".mov", "pcm_s16le"), (".mkv", "aac"), (".mka", "flac"), (".webm", "libopus"),
    (".ts", "aac"), (".m4a", "alac"), (".mkv", "libmp3lame"),
]  # fmt: skip


def read_with_notes(path: Path, **options) -> tuple[np.ndarray, str]:
    notes: list[str] = []
    samples, _ = read(path, notify=notes.append, **options)
    assert all(path.name in note and "\n" not in note for note in notes)
    return samples, " | ".join(notes)


def after(number: int, at: int, step: int) -> int:
    return number + (step if number >= at else 0)


@pytest.mark.parametrize(("suffix", "codec"), STAMPED)
@pytest.mark.parametrize("gap_s", [0.25, 1.0, 3.0])
def test_a_gap_becomes_silence(
    tmp_path: Path, encode, suffix: str, codec: str, gap_s: float
) -> None:
    if codec == "pcm_s16le":
        pytest.skip("samples without packets have no time stamps")
    gap, at = round(gap_s * RATE), 2 * RATE
    whole, nothing = read_with_notes(encode(tmp_path / f"whole{suffix}", SIGNAL, RATE, codec))
    assert nothing == ""
    path = encode(tmp_path / f"x{suffix}", SIGNAL, RATE, codec, stamp=lambda n: after(n, at, gap))
    samples, notes = read_with_notes(path)
    assert abs(samples.shape[1] - whole.shape[1] - gap) < 100
    assert f"gaps in its sound (once, {gap_s:.2f} s together, first at 2.0" in notes
    silent = np.flatnonzero(samples[0] == 0)
    assert abs(np.count_nonzero((silent > at - 5000) & (silent < at + gap + 5000)) - gap) < 600
    np.testing.assert_allclose(samples[0, -RATE:], whole[0, -RATE:], atol=0.02)


@pytest.mark.parametrize(("suffix", "codec"), STAMPED)
@pytest.mark.parametrize("video", [False, True])
def test_a_late_start_is_kept(tmp_path: Path, encode, suffix: str, codec: str, video: bool) -> None:
    if video and suffix not in (".mp4", ".mkv", ".mov", ".ts"):
        pytest.skip("a container of sound")
    whole, nothing = read_with_notes(
        encode(tmp_path / f"whole{suffix}", SIGNAL, RATE, codec, video)
    )
    assert nothing == ""
    late = round(1.5 * RATE)
    path = encode(tmp_path / f"x{suffix}", SIGNAL, RATE, codec, video, stamp=lambda n: n + late)
    samples, notes = read_with_notes(path)
    if suffix == ".ts" and not video:
        # Its clock starts anywhere, and there is nothing to compare with.
        assert samples.shape == whole.shape
        return
    assert abs(samples.shape[1] - whole.shape[1] - late) < 0.03 * RATE
    assert "starts its sound 1.5" in notes or "starts its sound 1.48 s late" in notes
    assert not samples[0, : late - 2000].any()


@pytest.mark.parametrize("jitter_s", [0.004, 0.009])
def test_jitter_changes_nothing(tmp_path: Path, encode, jitter_s: float) -> None:
    steps = RNG.integers(-1, 2, 1000) * round(jitter_s * RATE)
    path = encode(
        tmp_path / "x.mkv",
        SIGNAL,
        RATE,
        "pcm_s16le",
        stamp=lambda n: max(0, n + int(steps[n // 1024])),
    )
    samples, notes = read_with_notes(path)
    assert samples.shape == SIGNAL.shape and notes == ""


# The line of time itself


def placed(stamps: list[float | None], lost: dict[int, float] | None = None) -> Timeline:
    timeline = Timeline(0.001)
    frames = [
        Frame(stamp, 0.02, (lost or {}).get(index, 0.0), index)
        for index, stamp in enumerate(stamps)
    ]
    assert [sound for _, sound in timeline.place(frames)] == list(range(len(stamps)))
    return timeline


STEADY = [0.02 * index for index in range(50)]


def test_steady_stamps() -> None:
    timeline = placed(STEADY)
    assert timeline.position_s == pytest.approx(1.0) and not timeline.remarks()


@pytest.mark.parametrize("off_s", [-0.5, 0.5, 30.0, 1e6, -1e6])
def test_one_wrong_stamp_moves_nothing(off_s: float) -> None:
    stamps = list(STEADY)
    stamps[20] += off_s
    timeline = placed(stamps)
    assert timeline.position_s == pytest.approx(1.0)
    assert timeline.gaps == timeline.overlaps == [] and len(timeline.jumps) == 1


@pytest.mark.parametrize("gap_s", [0.1, 5.0, LIMIT_S - 1])
def test_gaps_up_to_the_limit(gap_s: float) -> None:
    timeline = placed([s + gap_s * (s > 0.5) for s in STEADY])
    assert timeline.position_s == pytest.approx(1 + gap_s) and len(timeline.gaps) == 1


@pytest.mark.parametrize("step_s", [LIMIT_S + 1, 1e7, -50.0])
def test_a_clock_set_anew_is_not_followed(step_s: float) -> None:
    timeline = placed([s + step_s * (s > 0.5) for s in STEADY])
    assert timeline.position_s == pytest.approx(1.0)
    assert (
        not timeline.gaps and len(timeline.jumps) == 1 and "not followed" in timeline.remarks()[0]
    )


def test_overlapping_sound_is_left_out() -> None:
    timeline = placed([s - 0.1 * (s > 0.5) for s in STEADY])
    # To within what is tolerated.
    assert timeline.position_s == pytest.approx(0.9, abs=0.045)
    assert sum(length for _, length in timeline.overlaps) == pytest.approx(0.1, abs=0.045)


def test_what_is_known_to_be_lost_is_filled_however_short() -> None:
    stamps = STEADY[:20] + STEADY[21:]
    assert placed(stamps).position_s == pytest.approx(0.98)
    assert placed(stamps, {20: 0.02}).position_s == pytest.approx(1.0)
    assert placed([None] * 49, {20: 0.02}).position_s == pytest.approx(1.0)


def test_a_few_packets_do_not_stand_for_years() -> None:
    timeline = placed([599.0 * index for index in range(200)])
    silence_s = sum(length_s for _, length_s in timeline.gaps)
    assert MOST_SILENCE_S - LIMIT_S < silence_s < MOST_SILENCE_S + MOST_SILENCE_RATIO * 4
    assert timeline.position_s == pytest.approx(silence_s + 4)
    assert "not followed" in timeline.remarks()[1]
    lost = placed([None] * 49, {20: 1e9})
    assert lost.position_s == pytest.approx(0.98) and len(lost.jumps) == 1


# Several tracks


@pytest.fixture
def two_tracks(tmp_path: Path, encode) -> Path:
    quiet = np.repeat(0.1 * SIGNAL[:, : 2 * RATE], 2, axis=0)
    return encode(tmp_path / "x.mkv", [SIGNAL, quiet], RATE, "flac", True)


def test_several_tracks_are_told(two_tracks: Path) -> None:
    samples, notes = read_with_notes(two_tracks)
    assert samples.shape == SIGNAL.shape
    assert "has 2 sound tracks, the first is taken; --track chooses another" in notes


@pytest.mark.parametrize(("track", "channels"), [(1, 1), (2, 2)])
def test_a_track_is_chosen(two_tracks: Path, track: int, channels: int) -> None:
    samples, notes = read_with_notes(two_tracks, track=track)
    assert len(samples) == channels and "tracks" not in notes
    assert probe(two_tracks, track=track).channels == channels
    assert abs(samples).max() == pytest.approx(0.5 if track == 1 else 0.05, rel=0.02)


@pytest.mark.parametrize("track", [0, 3])
def test_a_track_that_is_not_there(two_tracks: Path, track: int) -> None:
    with pytest.raises(
        AudioError, match=r"x\.mkv has 2 sound tracks, .* expected a track from 1 to 2"
    ):
        list(read_blocks(two_tracks, track=track))


@pytest.mark.parametrize("suffix", [".wav", ".ogg", ".mp3", ".flac"])
def test_files_of_one_track(tmp_path: Path, suffix: str) -> None:
    import soundfile

    soundfile.write(tmp_path / f"x{suffix}", SIGNAL.T, RATE)
    assert read(tmp_path / f"x{suffix}", track=1)[0].shape == SIGNAL.shape
    with pytest.raises(
        AudioError, match="has 1 sound track, and 2 was asked for; expected track 1"
    ):
        read(tmp_path / f"x{suffix}", track=2)
