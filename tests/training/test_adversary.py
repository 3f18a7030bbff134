from pathlib import Path

import pytest
import torch
from torch import Tensor

from speechduet.model.folder import load
from speechduet.training.adversary import LEVEL, Adversary, Discriminator
from speechduet.training.building import build
from speechduet.training.recipe_file import read_recipe
from speechduet.training.run import train


def tones(count: int, samples: int = 8000) -> Tensor:
    """Sums of harmonics, each its own."""
    time = torch.arange(samples) / 16_000
    pitch = 100 + 150 * torch.rand(count, 1)
    return sum(torch.sin(2 * torch.pi * k * pitch * time) / k for k in range(1, 9))  # type: ignore[return-value]


def noisy(clean: Tensor) -> Tensor:
    return clean + 0.3 * torch.randn_like(clean)


def test_it_learns_to_tell_estimates_from_clean_speech() -> None:
    adversary = Adversary()
    judged = []
    for _ in range(40):
        clean = tones(4)
        judged.append(adversary.step(noisy(clean), clean))
    assert float(judged[0].own) > 0.4
    assert float(judged[-1].own) < 0.2
    assert float(judged[-1].adversarial) > 0.6, "noise passes for clean"
    clean = tones(4)
    assert adversary.step(clean, clean).adversarial < judged[-1].adversarial


def test_features_match_where_the_estimate_is_the_clean_speech() -> None:
    clean = tones(2)
    assert float(Adversary().step(clean, clean).matching) == 0
    little, much = (
        float(Adversary().step(clean + part * noisy(torch.zeros_like(clean)), clean).matching)
        for part in (0.1, 1.0)
    )
    assert 0 < little < much


def test_it_follows_the_gradient_to_the_estimate_alone() -> None:
    adversary, clean = Adversary(), tones(2)
    estimate = noisy(clean).requires_grad_()
    judged = adversary.step(estimate, clean)
    before = [parameter.clone() for parameter in adversary.discriminators.parameters()]
    learned = [parameter.grad for parameter in adversary.discriminators.parameters()]
    kept = [None if grad is None else grad.clone() for grad in learned]
    (judged.adversarial + judged.matching).backward()  # type: ignore[no-untyped-call]
    assert estimate.grad is not None and estimate.grad.abs().sum() > 0
    for parameter, old, grad in zip(
        adversary.discriminators.parameters(), before, kept, strict=True
    ):
        assert torch.equal(parameter, old)
        assert grad is not None and parameter.grad is not None
        assert torch.equal(parameter.grad, grad)


def test_the_level_of_a_recording_makes_no_difference() -> None:
    clean = LEVEL * tones(2)
    estimate = noisy(clean)
    results = []
    for gain in (1.0, 10.0):
        torch.manual_seed(3)
        results.append(Adversary().step(gain * estimate, gain * clean))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)


def test_silence_is_finite() -> None:
    silence = torch.zeros(2, 8000)
    estimate = torch.zeros(2, 8000, requires_grad=True)
    judged = Adversary().step(estimate, silence)
    (judged.adversarial + judged.matching).backward()  # type: ignore[no-untyped-call]
    assert estimate.grad is not None and estimate.grad.isfinite().all()


@pytest.mark.parametrize("length", [256, 1024])
def test_a_discriminator_scores_patches(length: int) -> None:
    score, features = Discriminator(length)(tones(2))
    assert score.shape[:2] == (2, 1) and score.shape[2] < length // 16
    assert score.shape[3] == 8000 // (length // 2) + 1
    assert len(features) == 4


@pytest.mark.parametrize("term", ["adversarial", "matching"])
def test_the_generative_loss_rises_by_the_weighted_terms(recipe: Path, term: str) -> None:
    clean = tones(2, 5000)
    mixture = noisy(clean)
    losses = {}
    for weight in (0, 2):
        module = build(read_recipe(recipe, [f"losses.{term}={weight}", "run.seed=5"]))
        x_0, y = module.spectrogram.encode(clean), module.spectrogram.encode(mixture)
        torch.manual_seed(0)
        losses[weight] = module.part_losses(x_0, y, 5000, (0, 1))
        means = module.running_means.means()
    assert losses[0].generative is not None and losses[2].generative is not None
    difference = losses[2].generative - losses[0].generative
    torch.testing.assert_close(difference, 2 * means[term], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(losses[0].predictive, losses[2].predictive)


@pytest.mark.filterwarnings("ignore")
def test_the_model_does_not_contain_it(recipe: Path, tmp_path: Path) -> None:
    settings = ["losses.adversarial=3", "losses.matching=3", "run.max_steps=2"]
    model = train(read_recipe(recipe, settings), tmp_path / "with")
    other = train(read_recipe(recipe, ["run.max_steps=2"]), tmp_path / "without")
    trained, plain = load(model).system.state_dict(), load(other).system.state_dict()
    assert trained.keys() == plain.keys()
    assert any(not torch.equal(trained[name], plain[name]) for name in plain)
