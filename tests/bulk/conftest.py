"""Models, recordings and a Ray of two workers for the tests of `speechduet.bulk`."""

from pathlib import Path

import numpy as np
import pytest

from speechduet.audio import write


@pytest.fixture
def recordings(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A folder with three recordings."""
    for number, name in enumerate(("a.wav", "deep/b.flac", "c.wav")):
        samples = rng.uniform(-0.3, 0.3, (1, 6000 + 500 * number)).astype(np.float32)
        write(tmp_path / "in" / name, samples, 16_000)
    return tmp_path / "in"
