"""What the tests of the application share."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 16_000


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Three seconds of stereo noise."""
    path = tmp_path / "noisy.wav"
    samples = np.random.default_rng(0).uniform(-0.3, 0.3, (3 * RATE, 2))
    soundfile.write(path, samples, RATE)
    return path
