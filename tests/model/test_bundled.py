"""The bundled model says what it said when it was made, and what it says is good."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.torch import load_file
from torch import Tensor

from speechduet import Enhancer
from speechduet.metrics import estoi, pesq, si_sdr
from speechduet.model.card import model_card
from speechduet.model.find import BUNDLED, bundled
from speechduet.model.folder import CARD, describe, load

MODES = ("fast", "balanced", "best")

FLOORS = {
    "fast": (1.62, 0.740, 12.03),
    "balanced": (1.67, 0.736, 12.05),
    "best": (1.65, 0.737, 12.13),
}
"""Least mean PESQ, ESTOI and SI-SDR (dB) over the bundled samples: just below what was measured."""


@pytest.fixture(scope="module")
def found(root: Path) -> dict[str, Tensor]:
    script = runpy.run_path(str(root / "tests/reference/make_bundled.py"))
    values: dict[str, Tensor] = script["bundled_values"]()
    return values


@pytest.mark.parametrize("name", ["generative", "predictive", *MODES])
def test_golden_values(root: Path, found: dict[str, Tensor], name: str) -> None:
    expected = load_file(root / "tests/reference/bundled.safetensors")[name]
    assert (found[name] - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("mode", MODES)
def test_scores_on_the_bundled_samples(root: Path, mode: str) -> None:
    enhancer = Enhancer.from_pretrained(device="cpu")
    scores = []
    for path in sorted((root / "samples/noisy").glob("*.flac")):
        noisy, rate = soundfile.read(path, dtype="float32")
        clean, _ = soundfile.read(root / "samples/clean" / path.name, dtype="float32")
        enhanced = enhancer(noisy, rate, mode=mode, seed=0)
        scores.append(
            (pesq(enhanced, clean, rate), estoi(enhanced, clean, rate), si_sdr(enhanced, clean))
        )
    assert (np.mean(scores, axis=0) > FLOORS[mode]).all(), np.mean(scores, axis=0)


@pytest.mark.parametrize("name", bundled())
def test_its_card_is_what_the_code_writes(name: str) -> None:
    folder = BUNDLED / name
    model = load(folder)
    parameters = sum(p.numel() for p in model.system.parameters())
    card = model_card(describe(model), parameters, name)
    assert (folder / CARD).read_text(encoding="utf-8") == card
    assert "| test (55 pairs) | balanced | 2 | 2.55 [2.39, 2.70] |" in card
