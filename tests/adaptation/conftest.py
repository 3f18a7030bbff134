"""Noise and speech to adapt with, and little of what takes long."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 16_000


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    folder = tmp_path / "noise"
    folder.mkdir()
    hum = np.random.default_rng(0).normal(0, 0.1, 12 * RATE)
    soundfile.write(folder / "hum.wav", hum, RATE)
    return folder


@pytest.fixture
def speech(root: Path) -> Path:
    return root / "samples" / "clean"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few pairs and stretches, for the time they take."""
    monkeypatch.setattr("speechduet.adaptation.verdict.PAIRS", 2)
    monkeypatch.setattr("speechduet.adaptation.checking._STRETCHES", 2)
