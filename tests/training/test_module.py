from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from speechduet.training.building import build
from speechduet.training.draws import draw
from speechduet.training.losses import magnitude_error, perceptual_error
from speechduet.training.module import RunningMeans, Training
from speechduet.training.optimisation import Optimisation
from speechduet.training.recipe_file import read_recipe


@pytest.fixture
def module(recipe: Path) -> Training:
    return build(read_recipe(recipe, ["times.at_start=0.5"]))


@pytest.fixture
def pair(module: Training) -> tuple[Tensor, Tensor]:
    """Spectrograms of noise in noise, 5000 samples long."""
    clean = 0.1 * torch.randn(2, 5000)
    noisy = clean + 0.1 * torch.randn_like(clean)
    return module.spectrogram.encode(clean), module.spectrogram.encode(noisy)


def test_steps_on_one_batch_lower_the_loss(module: Training, pair: tuple[Tensor, Tensor]) -> None:
    optimiser = torch.optim.Adam(module.parameters(), lr=3e-3)
    losses = []
    for step in range(60):
        optimiser.zero_grad()
        loss = module.weighted(module.part_losses(*pair, 5000, (2 * step, 2 * step + 1)))
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:3])


def test_losses_are_means_of_those_of_single_examples(
    module: Training, pair: tuple[Tensor, Tensor]
) -> None:
    x_0, y = pair
    both = module.part_losses(x_0, y, 5000, (8, 9))
    alone = [module.part_losses(x_0[i : i + 1], y[i : i + 1], 5000, (8 + i,)) for i in range(2)]
    for part in range(2):
        torch.testing.assert_close(both[part], torch.stack([one[part] for one in alone]).mean())


def test_without_numbers_an_example_gets_other_noise_each_time(
    module: Training, pair: tuple[Tensor, Tensor]
) -> None:
    x_0, y = pair
    states = []
    for seed in (3, None, 3):
        if seed is not None:
            torch.manual_seed(seed)
        states.append(module._state(module.system.process, x_0, y, y, None)[1])  # type: ignore[arg-type]
    assert torch.equal(states[0], states[2]) and not torch.equal(states[0], states[1])
    losses = module.part_losses(x_0, y, 5000, None)
    assert all(part.isfinite() for part in losses)  # type: ignore[union-attr]


def test_terms_for_both_raise_the_generative_loss_by_the_terms_of_its_estimate(
    module: Training, pair: tuple[Tensor, Tensor]
) -> None:
    x_0, y = pair
    without = module.part_losses(x_0, y, 5000, (0, 1))
    for terms_for in ("predictive", "both"):
        module.losses = replace(module.losses, magnitude=2.0, terms_for=terms_for)
        losses = module.part_losses(x_0, y, 5000, (0, 1))
        assert losses.predictive > without.predictive  # type: ignore[operator]
        if terms_for == "predictive":
            assert losses.generative == without.generative
    _, x_t = module._state(module.system.process, x_0, y, y, (0, 1))  # type: ignore[arg-type]
    t = module.times.of(draw(0, (0, 1), y.shape[1:], y.device).uniform, 0.03)
    clean = module.system.estimate(x_t, y, y, t).generative
    assert clean is not None
    terms = 2 * magnitude_error(clean, x_0).mean()
    torch.testing.assert_close(losses.generative, without.generative + terms)  # type: ignore[operator]


def test_networks_in_half_precision_give_nearly_the_same_losses(
    module: Training, pair: tuple[Tensor, Tensor]
) -> None:
    exact = module.part_losses(*pair, 5000, (0, 1))
    with torch.autocast("cpu", torch.bfloat16):
        rough = module.part_losses(*pair, 5000, (0, 1))
    for part, reference in zip(rough, exact, strict=True):
        assert part.dtype == torch.float32
        torch.testing.assert_close(part, reference, rtol=0.05, atol=0)


def test_half_precision_with_every_network(recipe: Path, pair: tuple[Tensor, Tensor]) -> None:
    network = (
        "network={kind: ncsnpp, base_channels: 4, multipliers: [1, 1], bins: 64, frame_multiple: 2}"
    )
    module = build(read_recipe(recipe, [network]))
    x_0, y = (s[..., :64] for s in pair)
    with torch.autocast("cpu", torch.bfloat16):
        losses = module.part_losses(x_0, y, 4032, (0, 1))
    assert all(part.isfinite() for part in losses)
    weights = [p for p in module.system.parameters() if p.ndim == 4 and min(p.shape) > 1]
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in weights)


def test_the_learning_rate_rises_stays_and_falls() -> None:
    course = Optimisation(warmup_steps=4, decay_steps=5)
    factors = [course.factor(step, 20) for step in range(21)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert set(factors[4:16]) == {1.0}
    assert factors[16:] == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])
    assert {Optimisation().factor(step, 20) for step in range(20)} == {1.0}


def test_the_tally_tells_means_and_begins_again() -> None:
    running_means = RunningMeans()
    for value in (1.0, 2.0, 6.0):
        running_means.add("loss", torch.tensor(value))
    assert running_means.means() == {"loss": 3.0}
    assert running_means.means() == {}


class Watched:
    """A system's process and estimates, with the arguments of each call kept."""

    def __init__(self, module: Training, monkeypatch: pytest.MonkeyPatch) -> None:
        self.states: list[Tensor] = []
        self.predictions: list[Tensor] = []
        estimate = module.system.estimate

        def watching(x_t: Tensor, *rest: Any, **wanted: bool) -> Any:
            result = estimate(x_t, *rest, **wanted)
            self.states.append(x_t)
            self.predictions.append(result.predictive)
            return result

        monkeypatch.setattr(module.system, "estimate", watching)


@pytest.mark.parametrize("kind", ["around x_0", "at_start", "own_states"])
def test_what_a_state_is_drawn_around(
    recipe: Path, kind: str, pair: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Subtracting the noise of the kernel leaves x_0, the anchor, or the estimate behind it."""
    shares = [] if kind == "around x_0" else [f"times.{kind}=1.0"]
    module = build(read_recipe(recipe, shares))
    process = module.system.process
    assert process is not None
    watched, (x_0, y), examples = Watched(module, monkeypatch), pair, (0, 1)
    module.part_losses(x_0, y, 5000, examples).predictive.backward()  # type: ignore[union-attr,no-untyped-call]
    uniform, z, first_z = draw(module.seed, examples, y.shape[1:], y.device)
    t = module.times.of(uniform, process.t_min)
    centre = x_0
    if kind == "at_start":
        assert (t == 1).all()
        centre = y
    if kind == "own_states":
        first = process.perturb(y, y, torch.ones(2), first_z)
        torch.testing.assert_close(watched.states[0], first)
        centre = watched.predictions[0]
        assert not centre.requires_grad
    assert len(watched.states) == (2 if kind == "own_states" else 1)
    torch.testing.assert_close(watched.states[-1], process.perturb(centre, y, t, z))


def test_a_chain_trains_each_decoder_where_inference_asks_it(
    recipe: Path, pair: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = build(read_recipe(recipe, ["times={chained: true, between: [0.3, 0.3]}"]))
    system, process = module.system, module.system.process
    assert process is not None and system.predictive_decoder is not None
    watched, (x_0, y), examples = Watched(module, monkeypatch), pair, (0, 1)
    losses = module.part_losses(x_0, y, 5000, examples)
    _, z, first_z = draw(module.seed, examples, y.shape[1:], y.device)
    torch.testing.assert_close(watched.states[0], process.perturb(y, y, torch.ones(2), first_z))
    state = process.perturb(watched.predictions[0], y, torch.full((2,), 0.3), z)
    torch.testing.assert_close(watched.states[1], state)
    assert losses.generative is not None and losses.predictive is not None
    losses.generative.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    assert system.predictive_decoder.head.weight.grad is None
    assert watched.predictions[1] is None
    losses.predictive.backward()  # type: ignore[no-untyped-call]
    assert system.predictive_decoder.head.weight.grad is not None


def test_the_perceptual_term_is_for_the_generative_decoder(
    recipe: Path, pair: tuple[Tensor, Tensor]
) -> None:
    x_0, y = pair
    with_term, without = (
        build(read_recipe(recipe, [f"losses.perceptual={weight}"])).part_losses(
            x_0, y, 5000, (0, 1)
        )
        for weight in (3, 0)
    )
    torch.testing.assert_close(with_term.predictive, without.predictive)
    module = build(read_recipe(recipe, ["losses.perceptual=3"]))
    generative = module.part_losses(x_0, y, 5000, (0, 1)).generative
    distance = module.running_means.means()["perceptual"]
    assert generative is not None and without.generative is not None and float(distance) > 0
    torch.testing.assert_close(generative - without.generative, 3 * distance, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("chained", ["true", "false"])
def test_the_perceptual_term_hears_the_blend_with_the_prediction(
    recipe: Path, pair: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch, chained: str
) -> None:
    x_0, y = pair
    heard = []

    def watched(estimate: Tensor, *others: Any) -> Tensor:
        heard.append(estimate)
        return perceptual_error(estimate, *others)

    monkeypatch.setattr("speechduet.training.module.perceptual_error", watched)
    for beta in (0, 1, 0.25):
        given = [
            "losses.perceptual=3",
            f"times.chained={chained}",
            f"losses.heard_beta={beta}",
        ]
        module = build(read_recipe(recipe, given))
        prediction = Watched(module, monkeypatch).predictions
        generative = module.part_losses(x_0, y, 5000, (0, 1)).generative
    torch.testing.assert_close(heard[0], prediction[0])
    torch.testing.assert_close(heard[2], 0.25 * heard[1] + 0.75 * heard[0])
    decoder = module.system.predictive_decoder
    assert generative is not None and decoder is not None
    generative.backward()  # type: ignore[no-untyped-call]
    assert decoder.head.weight.grad is None
