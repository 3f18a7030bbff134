"""What is said of recordings before an adaptation begins."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.adaptation import adapt
from speechduet.adaptation.checking import check_speech
from speechduet.data import Recordings
from speechduet.errors import AudioError

RATE = 16_000


def test_little_speech_is_noted(tmp_path: Path) -> None:
    said: list[str] = []
    for seconds in (20, 301):
        soundfile.write(tmp_path / "x.wav", np.resize([0.1, -0.1], seconds * RATE), RATE)
        check_speech(Recordings(tmp_path, RATE), RATE, said.append)
    assert len(said) == 1
    assert said[0].startswith("20 s of speech: ")


def test_speech_is_looked_for_before_the_model_hears_the_noise(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hear(*_: object) -> None:
        raise AssertionError("the model was used")

    monkeypatch.setattr("speechduet.adaptation.checking.enhance_whole", hear)
    noise, empty = tmp_path / "noise", tmp_path / "empty"
    noise.mkdir()
    empty.mkdir()
    soundfile.write(noise / "hum.wav", np.random.default_rng(0).normal(0, 0.1, 12 * RATE), RATE)
    with pytest.raises(AudioError, match="no recording in .*empty"):
        adapt(noise, empty, tmp_path / "out", tiny_model, notify=lambda _: None)
