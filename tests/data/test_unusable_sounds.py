"""Silence, clipping, infinite samples and odd names in training data: read rightly, and told."""

from pathlib import Path

import numpy as np
import pytest

from sounds import LENGTH, RATE, tone, write
from speechduet.data import Mixing, PairExcerpts, Recordings, find_pairs
from speechduet.data.mixture_set import MixtureSet, tasks
from speechduet.data.sources import read, read_pair
from speechduet.errors import AudioError

PLAIN = Mixing(excerpt_s=1.0, level_db=(0.0, 0.0))


def test_the_first_channel_with_sound_is_taken_and_told(tmp_path: Path) -> None:
    one_sided = np.stack([np.zeros(LENGTH), tone(), 0.1 * tone()], 1)
    for role in ("clean", "noisy"):
        write(tmp_path / role / "x.wav", one_sided, "PCM_16")
    notes: list[str] = []
    held = Recordings(tmp_path / "clean", RATE, notify=notes.append).at(0)
    np.testing.assert_allclose(held, tone(), atol=1e-4)
    clean, _ = PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0, notes.append).example(0)
    assert np.abs(clean).max() == pytest.approx(1.0, abs=1e-3)
    assert len(notes) == 2
    assert all("silent in the first channel" in line and "channel 2" in line for line in notes)
    np.testing.assert_allclose(read(tmp_path / "clean/x.wav", RATE).samples, tone(), atol=1e-4)
    made = read_pair(tmp_path / "clean/x.wav", tmp_path / "noisy/x.wav", RATE)
    np.testing.assert_allclose(made.noisy, tone(), atol=1e-4)
    assert "channel 2" in made.note


def test_both_of_a_pair_are_read_from_the_channel_of_the_clean_sound(tmp_path: Path) -> None:
    write(tmp_path / "clean/x.wav", np.stack([np.zeros(LENGTH), tone()], 1), "PCM_16")
    write(tmp_path / "noisy/x.wav", np.stack([-tone(), tone()], 1), "PCM_16")
    excerpts = PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0, lambda _: None)
    np.testing.assert_allclose(*excerpts.example(0), atol=1e-3)
    clean, noisy, *_ = read_pair(tmp_path / "clean/x.wav", tmp_path / "noisy/x.wav", RATE)
    np.testing.assert_allclose(clean, noisy, atol=1e-3)


def test_noise_in_another_channel_than_the_speech_is_found(tmp_path: Path) -> None:
    write(tmp_path / "clean/x.wav", tone(), "PCM_16")
    write(tmp_path / "noisy/x.wav", np.stack([np.zeros(LENGTH), tone()], 1), "PCM_16")
    notes: list[str] = []
    excerpts = PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0, notes.append)
    np.testing.assert_allclose(*excerpts.example(0), atol=1e-3)
    assert len(notes) == 1 and "x: channel 2 of noisy" in notes[0]
    made = read_pair(tmp_path / "clean/x.wav", tmp_path / "noisy/x.wav", RATE)
    np.testing.assert_allclose(made.noisy, tone(), atol=1e-3)
    assert "channel 2 of noisy is taken" in made.note


def test_an_offset_is_no_level(tmp_path: Path) -> None:
    """Ratios of mixtures are those of what is heard: an offset is taken out, and told."""
    write(tmp_path / "a/x.wav", tone() + 0.3, "FLOAT")
    write(tmp_path / "a/y.wav", tone() + 0.01, "FLOAT")  # Too little to matter: as it is.
    notes: list[str] = []
    recordings = Recordings(tmp_path / "a", RATE, notify=notes.append)
    assert notes == [f"{tmp_path}/a: 1 of 2 recordings have an offset, which is taken out (x.wav)"]
    np.testing.assert_allclose(recordings.at(0), tone(), atol=2e-3)
    np.testing.assert_allclose(recordings.at(0.5), tone() + 0.01, atol=1e-4)
    (task,) = tasks(tmp_path / "a", tmp_path / "a", MixtureSet(snr_db=(5.0,), count=1))
    clean, noisy, *_ = task.make()
    ratio = np.var(clean, dtype=float) / np.var(noisy - clean, dtype=float)
    assert 10 * np.log10(ratio) == pytest.approx(5, abs=0.05)
    # A constant is silence.
    write(tmp_path / "b/x.wav", np.full(LENGTH, 0.3), "FLOAT")
    with pytest.raises(AudioError, match="all 1 recordings in .* are silent"):
        Recordings(tmp_path / "b", RATE)


SILENT = {
    "zeros": np.zeros(LENGTH),
    "dither": np.resize([1 / 32768, 0, -1 / 32768], LENGTH),
    "far too quiet": tone(1e-6),
}


@pytest.mark.parametrize("silence", SILENT)
def test_single_silent_recordings_are_told_and_all_of_them_refused(
    silence: str, tmp_path: Path
) -> None:
    for name in ("a", "b", "c", "d", "e"):
        for role in ("clean", "noisy"):
            write(tmp_path / role / f"{name}.wav", SILENT[silence], "FLOAT")
    with pytest.raises(AudioError, match="all 5 recordings in .* are silent"):
        Recordings(tmp_path / "clean", RATE)
    with pytest.raises(AudioError, match="all 5 clean recordings are silent"):
        PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0)
    for role in ("clean", "noisy"):
        write(tmp_path / role / "c.wav", tone(), "FLOAT")
    notes: list[str] = []
    Recordings(tmp_path / "clean", RATE, notify=notes.append)
    assert len(notes) == 1
    assert "4 of 5 recordings are silent (a.wav, b.wav, d.wav, and 1 more)" in notes[0]
    notes.clear()
    PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0, notes.append)
    assert [line.partition(" (")[0] for line in notes] == [
        "training pairs: 4 of 5 recordings are silent in clean",
        "training pairs: 4 of 5 recordings are silent in noisy",
    ]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_what_is_not_finite_is_left_out_and_told(bad: float, subtype: str, tmp_path: Path) -> None:
    samples = tone()
    samples[-7] = bad
    for role in ("clean", "noisy"):
        write(tmp_path / role / "bad.wav", samples, subtype)
    with pytest.raises(AudioError, match=r"none of.*bad\.wav holds NaN or infinite"):
        Recordings(tmp_path / "clean", RATE)
    with pytest.raises(AudioError, match=r"none of.*bad\.wav holds NaN or infinite"):
        PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0)
    for role in ("clean", "noisy"):
        write(tmp_path / role / "good.wav", tone(), subtype)
    notes: list[str] = []
    assert Recordings(tmp_path / "clean", RATE, notify=notes.append).names == ["good"]
    excerpts = PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0, notes.append)
    assert [pair.name for pair in excerpts.pairs] == ["good"]
    assert len(notes) == 2 and all("1 of 2 recordings are left out" in line for line in notes)


def test_what_is_above_full_scale_or_cut_off_is_told(tmp_path: Path) -> None:
    write(tmp_path / "a" / "loud.wav", tone(2.5), "FLOAT")
    write(tmp_path / "b" / "cut.wav", tone(2.5).clip(-1, 1), "PCM_16")
    notes: list[str] = []
    for name in ("a", "b"):
        Recordings(tmp_path / name, RATE, notify=notes.append)
    assert "above full scale" in notes[0] and "loud.wav: 2.5" in notes[0]
    assert "cut off" in notes[1] and "cut.wav" in notes[1]


def test_one_unusable_recording_does_not_end_training(tmp_path: Path) -> None:
    for role in ("clean", "noisy"):
        write(tmp_path / role / "good.wav", tone(), "PCM_16")
        (tmp_path / role / "text.wav").write_text("not audio")
        (tmp_path / role / "empty.wav").touch()
        write(tmp_path / role / "short.wav", np.zeros(0), "PCM_16")
    notes: list[str] = []
    assert Recordings(tmp_path / "clean", RATE, notify=notes.append).names == ["good"]
    excerpts = PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0, notes.append)
    assert len(excerpts.pairs) == 1
    assert len(notes) == 2 and all("3 of 4 recordings are left out" in line for line in notes)


NAMES = {
    "not_utf8": b"x\xff\xfe.wav",
    "upper": b"X.WAV",
    "mixed": b"x.Flac",
    "spaces": b" x y .wav",
    "newline": b"x\ny.wav",
    "separator": "x\u2028y\x85.wav".encode(),
    "brackets": b"x[1]*?.wav",
    "long": "語".encode() * 83 + b"ab.wav",
    "comma": b'x,"y;.wav',
}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_works_in_training_sets(name: str, tmp_path: Path) -> None:
    import os

    for role in ("clean", "noisy"):
        write(tmp_path / role / "x.wav", tone(), "PCM_16")
        (tmp_path / role / "x.wav").rename(tmp_path / role / os.fsdecode(NAMES[name]))
        (tmp_path / role / "._x.wav").write_bytes(b"\0\5\x16\7Mac OS X")
    notes: list[str] = []
    assert len(Recordings(tmp_path / "clean", RATE, notify=notes.append).names) == 1
    excerpts = PairExcerpts(find_pairs(tmp_path), PLAIN, RATE, 0, notes.append)
    assert len(excerpts.pairs) == 1
    assert len(tasks(tmp_path / "clean", tmp_path / "noisy", MixtureSet())) == 1
    assert not notes
