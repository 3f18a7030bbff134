"""A small ablation: two short pairs to choose on, one to report on, and a tiny model."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.evaluation import Evaluation, Scores
from speechduet.study.measuring import Cost, Measured
from speechduet.study.settings import Ablation, Setting, read_ablation

CONFIG = """
systems: {tiny: MODEL}
valid: {clean: FOLDER/valid/clean, noisy: FOLDER/valid/noisy}
test: {clean: FOLDER/test/clean, noisy: FOLDER/test/noisy}
seeds: [0, 1]
sweeps:
  fast: {system: tiny, steps: [0]}
  plain: {system: tiny, steps: [1, 2], grid: [exact, paper], corrector_steps: [0]}
  fused: {system: tiny, steps: [1, 2], corrector_steps: [0], alpha: [0.2], beta: [0, 0.5, 1]}
picks:
  best: {by: si_sdr}
  cheap: {by: si_sdr, most_evaluations: 1}
"""


@pytest.fixture
def pairs(tmp_path: Path, root: Path, rng: np.random.Generator) -> Path:
    """valid/ with the pairs a and b, test/ with c: 1.5 s of speech each."""
    for place, name in (("valid/{}/a", "rain"), ("valid/{}/b", "cafe"), ("test/{}/c", "rain")):
        for role in ("clean", "noisy"):
            samples, rate = soundfile.read(root / f"samples/{role}/{name}.flac", frames=24_000)
            path = tmp_path / f"{place.format(role)}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples, rate)
    return tmp_path


@pytest.fixture
def config(pairs: Path, tiny_model: Path) -> Path:
    """The ablation's file."""
    path = pairs / "ablation.yaml"
    path.write_text(CONFIG.replace("MODEL", str(tiny_model)).replace("FOLDER", str(pairs)))
    return path


@pytest.fixture
def ablation(config: Path) -> Ablation:
    """The file, read."""
    return read_ablation(config)


@pytest.fixture
def made_up() -> Callable[..., Measured]:
    """Measurements with scores around a PESQ."""

    def make(setting: Setting, pesq: float = 2.0, **cost: float) -> Measured:
        files = [
            Scores(name, pesq + d, pesq / 5, 4 * pesq + d, 6 * pesq, 5 * pesq)
            for name, d in (("a", -0.1), ("b", 0.1))
        ]
        run = Evaluation(files, [])
        return Measured(setting, run, (run,), Cost(**cost))  # type: ignore[arg-type]

    return make
