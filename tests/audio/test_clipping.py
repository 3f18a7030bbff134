"""Samples above full scale: what clips them, what keeps them, and what is said."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from sounds import loud, written
from speechduet.audio import AudioFormat, target_format, write
from speechduet.audio.notices import AudioWarning

INTEGERS = [
    (".wav", "PCM_U8"),
    (".wav", "PCM_16"),
    (".wav", "PCM_24"),
    (".wav", "PCM_32"),
    (".wav", "ULAW"),
    (".wav", "ALAW"),
    (".flac", "PCM_16"),
    (".flac", "FLOAT"),
    (".aiff", "PCM_S8"),
    (".au", "ULAW"),
    (".caf", "ALAC_16"),
    (".caf", "ALAC_24"),
    (".w64", "PCM_16"),
    (".rf64", "PCM_24"),
]


def source_of(suffix: str, subtype: str, sample_rate: int = 48_000) -> AudioFormat:
    container = target_format(AudioFormat(sample_rate, 1), Path("x" + suffix)).container
    return AudioFormat(sample_rate, 1, container, subtype)


@pytest.mark.parametrize(("suffix", "subtype"), INTEGERS)
def test_integers_are_clipped_and_it_is_said(tmp_path: Path, suffix: str, subtype: str) -> None:
    samples = loud(1.5)
    path = tmp_path / f"x{suffix}"
    again, said = written(path, [samples[:30_000], samples[30_000:]], source_of(suffix, subtype))
    beyond = int(np.count_nonzero(np.abs(samples) > 1.01))
    (line,) = said
    count = int(line.split(": ")[1].split()[0].replace(",", ""))
    assert str(path) in line and "of 48,000 samples" in line and "peak 1.50" in line
    assert abs(count - beyond) < 0.05 * beyond
    assert np.abs(again - np.clip(samples, -1, 1)).max() < 0.04, "clipped, not wrapped"


@pytest.mark.parametrize(("suffix", "subtype"), INTEGERS)
def test_full_scale_itself_is_not_clipped(tmp_path: Path, suffix: str, subtype: str) -> None:
    _, said = written(tmp_path / f"x{suffix}", [loud(1.0)], source_of(suffix, subtype))
    assert said == []


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("suffix", [".wav", ".w64", ".rf64", ".caf", ".aiff", ".au"])
def test_what_holds_floats_keeps_what_is_above_full_scale(
    tmp_path: Path, suffix: str, subtype: str
) -> None:
    samples = loud(3.0)
    source = AudioFormat(48_000, 1, "WAV", subtype)
    again, said = written(tmp_path / f"x{suffix}", [samples], source)
    np.testing.assert_array_equal(again, samples)
    assert said == []


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".opus"])
def test_encoders_of_floats_keep_it_too_and_say_that_players_will_not(
    tmp_path: Path, suffix: str
) -> None:
    samples = loud(1.5)
    again, said = written(tmp_path / f"x{suffix}", [samples], AudioFormat(48_000, 1))
    assert np.abs(again - samples)[4000:-4000].max() < 0.1
    (line,) = said
    assert "above full scale" in line and "peak 1.50" in line


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".opus"])
def test_floats_that_are_integers_do_not_break_an_encoder(tmp_path: Path, suffix: str) -> None:
    again, said = written(tmp_path / f"x{suffix}", [loud(32_768.0)], AudioFormat(48_000, 1))
    assert 1 < np.abs(again[4000:-4000]).max() < 1000
    assert len(said) == 1


def test_python_learns_of_clipping_by_a_warning(tmp_path: Path) -> None:
    with pytest.warns(AudioWarning, match=r"x\.wav: .* of 48,000 samples"):
        write(tmp_path / "x.wav", loud(2.0).T, 48_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write(tmp_path / "x.wav", loud(1.0).T, 48_000)
