"""recipes/corpus/level.py: a model that gives speech back as loud as it was."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.model.folder import load, save

SCRIPT = Path(__file__).parents[2] / "recipes/corpus/level.py"


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_the_median_change_of_level_becomes_nothing(
    tiny_model: Path, tmp_path: Path, rng: np.random.Generator, gain: float
) -> None:
    model = load(tiny_model)
    for decoder in (model.system.predictive_decoder, model.system.generative_decoder):
        for parameter in decoder.head.parameters():
            parameter.data.mul_(gain)
    save(model, tmp_path / "model")
    (tmp_path / "clean").mkdir()
    for number in range(3):
        samples = rng.uniform(-0.1, 0.1, 16_000) * (1 + number)
        soundfile.write(tmp_path / "clean" / f"{number}.wav", samples, 16_000, "FLOAT")
    script = runpy.run_path(str(SCRIPT))

    def changes(mode: str) -> float:
        found = script["changes_db"](load(tmp_path / "model"), tmp_path / "clean", mode)
        return float(np.median(found))

    before = changes("fast")
    script["main"](tmp_path / "model", tmp_path / "clean")
    assert abs(before) > 1
    assert abs(changes("fast")) < 0.05
