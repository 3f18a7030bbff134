"""What training means: which loss has which weight and sign, and what the optimiser does with it.

Each test fails if the meaning is turned around, where the loss would still be finite and fall.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from speechduet.model.folder import load
from speechduet.spectrogram import Spectrogram
from speechduet.training.building import build
from speechduet.training.draws import draw
from speechduet.training.losses import LossSettings, further_terms, magnitude_error
from speechduet.training.module import Losses, Training
from speechduet.training.recipe_file import read_recipe
from speechduet.training.run import train

TRANSFORM = Spectrogram(n_fft=126, hop=64)


def spectrograms(samples: int = 4_096) -> tuple[Tensor, Tensor]:
    clean = 0.1 * torch.randn(2, samples)
    noisy = clean + 0.05 * torch.randn(2, samples)
    return TRANSFORM.encode(clean), TRANSFORM.encode(noisy)


@pytest.mark.parametrize("weights", [(3.0, 0.0), (0.0, 5.0), (0.25, 4.0)])
def test_each_loss_has_its_own_weight(recipe: Path, weights: tuple[float, float]) -> None:
    overrides = [f"losses.generative={weights[0]}", f"losses.predictive={weights[1]}"]
    module = build(read_recipe(recipe, overrides))
    losses = Losses(torch.tensor(10.0), torch.tensor(1.0))
    assert float(module.weighted(losses)) == pytest.approx(10 * weights[0] + weights[1])


def independent_si_sdr(estimate: Tensor, clean: Tensor) -> float:
    """Le Roux et al. 2019, eq. 3, in dB, in float64."""
    estimate, clean = estimate.double(), clean.double()
    target = (estimate @ clean) / (clean @ clean) * clean
    ratio = (target @ target) / ((estimate - target) @ (estimate - target))
    return float(10 * ratio.log10())


@pytest.mark.parametrize("level", [0.02, 0.2])
def test_the_si_sdr_term_is_the_negative_ratio_with_its_weight(level: float) -> None:
    clean = 0.1 * torch.randn(2, 4_096)
    estimate = 0.7 * clean + level * 0.1 * torch.randn(2, 4_096)
    x_0, guess = TRANSFORM.encode(clean), TRANSFORM.encode(estimate)
    terms = further_terms(guess, x_0, LossSettings(si_sdr=2.5), TRANSFORM, 4_096)
    expected = [-2.5 * independent_si_sdr(e, c) for e, c in zip(estimate, clean, strict=True)]
    torch.testing.assert_close(terms, torch.tensor(expected), rtol=0, atol=0.02)


def test_the_magnitude_term_is_a_squared_error_with_its_weight() -> None:
    x_0, y = spectrograms()
    terms = further_terms(y, x_0, LossSettings(magnitude=3.0), TRANSFORM, 4_096)
    expected = 3 * (y.abs() - x_0.abs()).square().sum(dim=(1, 2, 3))
    torch.testing.assert_close(terms, expected, rtol=1e-3, atol=1e-4)
    assert (magnitude_error(y, x_0) > 0).all()


def test_storm_diffuses_around_its_prediction(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not around y; the score network is given all three."""
    monkeypatch.chdir(root)
    module = build(read_recipe(root / "recipes/smoke/storm.yaml", ["times.own_states=0"]))
    process, transform = module.system.process, module.spectrogram
    assert process is not None and module.times.at_start == 0
    clean = 0.1 * torch.randn(1, 64 * transform.hop - 1)
    x_0 = transform.encode(clean)
    y = transform.encode(clean + 0.05 * torch.randn_like(clean))
    calls: list[tuple[Tensor, ...]] = []
    estimate = module.system.estimate

    def watching(x_t: Tensor, y: Tensor, anchor: Tensor, t: Tensor, **wanted: bool) -> Any:
        calls.append((x_t, anchor, t))
        return estimate(x_t, y, anchor, t, **wanted)

    monkeypatch.setattr(module.system, "estimate", watching)
    module.part_losses(x_0, y, clean.shape[-1], (5,))
    ((x_t, anchor, t),) = calls
    prediction = module.system.prediction(y)
    torch.testing.assert_close(anchor, prediction)
    assert (prediction - y).abs().max() > 1e-3
    _, z, _ = draw(module.seed, (5,), y.shape[1:], y.device)
    torch.testing.assert_close(x_t, process.perturb(x_0, prediction, t, z))


def one_step(recipe: Path, folder: Path, *overrides: str) -> tuple[Training, dict[str, Tensor]]:
    """The module as it begins, and the weights after one step."""
    settings = read_recipe(
        recipe, ["run.max_steps=1", "run.ema_decay=0", "run.valid_every_steps=99", *overrides]
    )
    return build(settings), dict(load(train(settings, folder)).system.state_dict())


def test_weight_decay_takes_its_share_of_every_weight(recipe: Path, tmp_path: Path) -> None:
    rate, decay = 3e-3, 10.0
    begun, plain = one_step(recipe, tmp_path / "plain")
    _, decayed = one_step(recipe, tmp_path / "decayed", f"optimisation.weight_decay={decay}")
    for name, weight in begun.system.named_parameters():
        torch.testing.assert_close(
            plain[name] - decayed[name], rate * decay * weight.detach(), rtol=0.02, atol=3e-4
        )  # weights are stored as float16


def test_clipping_bounds_the_gradient_that_is_used(recipe: Path, tmp_path: Path) -> None:
    """Adam forgives any factor until gradients are as small as its epsilon."""
    begun, plain = one_step(recipe, tmp_path / "plain")
    _, clipped = one_step(recipe, tmp_path / "clipped", "run.gradient_clip=1e-10")
    moved = {
        key: max(
            float((weights[name] - p.detach()).abs().max())
            for name, p in begun.system.named_parameters()
        )
        for key, weights in (("plain", plain), ("clipped", clipped))
    }
    assert moved["plain"] > 2e-3 and moved["clipped"] < 5e-4
