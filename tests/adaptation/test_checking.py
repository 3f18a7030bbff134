"""What is said of recordings before an adaptation begins."""

from pathlib import Path

import numpy as np
import soundfile

from speechduet.adaptation.checking import check_speech
from speechduet.data import Recordings

RATE = 16_000


def test_little_speech_is_noted(tmp_path: Path) -> None:
    said: list[str] = []
    for seconds in (20, 301):
        soundfile.write(tmp_path / "x.wav", np.full(seconds * RATE, 0.1), RATE)
        check_speech(Recordings(tmp_path, RATE), RATE, said.append)
    assert len(said) == 1
    assert said[0].startswith("20 s of speech: ")
