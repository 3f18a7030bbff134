import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from speechduet import extras
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.piece import enhance_whole
from speechduet.model.folder import Pretrained, save
from speechduet.training import validation
from speechduet.training.building import build
from speechduet.training.checkpoints import keep_best
from speechduet.training.recipe_file import read_recipe
from speechduet.training.validation import means, score

SAMPLES = 16_000


def test_validation_enhances_as_the_enhancer_does(recipe: Path, tmp_path: Path) -> None:
    settings = read_recipe(recipe)
    module = build(settings)
    model = settings.model
    save(Pretrained("tiny", module.system, model.spectrogram, model.modes), tmp_path / "model")
    noisy = 0.1 * torch.randn(SAMPLES)
    enhancer = Enhancer.from_pretrained(tmp_path / "model", device="cpu")
    for mode, sampling in model.modes.items():
        framed = replace(sampling, framings=2)
        expected = enhancer(noisy.numpy(), 16_000, mode=mode, seed=3, framings=2)
        (found,) = enhance_whole(module.system, module.spectrogram, noisy.numpy(), framed, 3)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_scores_of_known_signals(speech: np.ndarray) -> None:
    clean = torch.from_numpy(speech)
    assert validation.metrics() == ("pesq", "estoi", "si_sdr")
    pesq, estoi, _ = score(clean + 1e-4 * torch.randn_like(clean), clean, 16_000)
    assert pesq > 4.3 and estoi > 0.98
    assert all(math.isnan(value) for value in score(torch.zeros_like(clean), clean, 16_000))


def test_pairs_without_a_score_are_counted_not_averaged() -> None:
    nan = math.nan
    table = torch.tensor([[[2.0, 0.5, 10.0]], [[nan, nan, 20.0]], [[3.0, 0.7, 30.0]]])
    assert means(table, ["fast"]) == {
        "valid/pesq_fast": 2.5,
        "valid/pesq_fast_missing": 1,
        "valid/estoi_fast": pytest.approx(0.6),
        "valid/estoi_fast_missing": 1,
        "valid/si_sdr_fast": 20.0,
    }


@pytest.mark.parametrize("absent", ["pesq", "pystoi", "scipy"])
def test_without_the_extra_si_sdr_decides(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == absent else name)
    assert validation.metrics() == ("si_sdr",)


def test_the_best_models_are_kept(tmp_path: Path) -> None:
    def offer(value: float, step: int) -> bool:
        name = f"si_sdr_{value:.3f}_step_{step:07d}"
        kept = keep_best(tmp_path, 2, name)
        if kept:
            (tmp_path / name).mkdir()
            (tmp_path / name / "config.json").touch()
        return kept

    (tmp_path / "si_sdr_99.000_step_0000001").mkdir()  # cut short: it has no config
    assert [offer(*model) for model in ((-3.0, 1), (-12.0, 2), (2.0, 3), (-4.0, 4), (10.0, 5))] == [
        *(True, True, True, False, True)
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "si_sdr_10.000_step_0000005",
        "si_sdr_2.000_step_0000003",
    ]
